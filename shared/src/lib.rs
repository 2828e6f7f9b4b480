//! The vocabulary of both binaries.
//!
//! In reading order: what a user is ([`domain`]), what is said about one ([`event`]), where both are kept ([`store`]),
//! and then what every process needs: [`config`], [`trace_context`], [`telemetry`], [`metrics`], [`lifecycle`], [`backoff`],
//! and a [`call`] as both are measured and traced by; what passes from one to the other beside the database, [`passwords`] by [`redis`]; what
//! their command lines have in common, [`cli`]; and what tests need of it, [`crash_point`].
//!
//! Deliberately absent: an HTTP server, RabbitMQ, Keycloak and mail.

pub mod domain;
pub mod event;

pub mod store;

pub mod address;
pub mod backoff;
pub mod call;
pub mod cli;
pub mod config;
pub mod crash_point;
pub mod lifecycle;
pub mod metrics;
pub mod passwords;
pub mod redis;
pub mod telemetry;
pub mod trace_context;

//! The promises of Usher, one module each, on real services.
//!
//! One binary, so that it is linked once. How a test is written stands in [`harness`]; `cargo dev test` runs them.

pub mod harness;

mod browser;
mod journey;
mod readme;

mod conformance;
mod connections;
mod database;
mod enumeration;
mod grouping;
mod http;
mod idempotency;
mod limits;
mod mail_requests;
mod passwords;
mod registration;
mod rules;
mod status;

mod jwt_attacks;
mod tokens;
mod validate_token;

mod relay;
mod topology;

mod dead_letters;
mod examples;
mod expiry;
mod operator;
mod sharing;
mod sweep;

mod breakers;
mod lease;
mod mail;
mod provisioning;
mod shutdown;
mod smtp;
mod token;

mod metrics;
mod observability;
mod redaction;
mod trace;

mod command_line;
mod configuration;
mod invariants;
mod kubernetes;
mod least_privilege;
mod migrations;
mod plans;

mod crash_points;
mod faults;

mod keycloak_contract;

//! What the tests stand on.
//!
//! # How to write a test here
//!
//! * A test is a `#[tokio::test]` in the module of the promise it checks, and reads as that promise. The modules bear
//!   the names of the files they hold to their word.
//! * It owns what it touches: [`database::Database::create`], [`rabbit::Vhost::create`], and a Keycloak that is its own:
//!   [`fake_keycloak::FakeKeycloak`] to inject faults (and [`fake_smtp::FakeSmtp`] for those of a mail server), [`keycloak::Realm::create`] when only the real one will do. With
//!   users of its own it may share the realm of the stack, [`keycloak::Realm::shared`]. All of it is removed again when
//!   the value is dropped, also after a failure.
//! * It never sleeps. It waits for what it wants to see, with a deadline: [`eventually::eventually`]. To stop a process
//!   at a known point, hold the request that marks the point: [`fake_keycloak::FakeKeycloak::hold`].
//! * A service that is missing is a failure, not a reason to skip; a test that fails now and then is a defect, not a
//!   reason to try again.
//! * To cut or to stall a line, put a [`proxy::Proxy`] into it. To kill or to freeze a process, run the real binary:
//!   [`process::Binary`]. To kill or to freeze a server, start one of the test's own: [`own_rabbitmq`], [`own_postgres`]. All of
//!   them leave everybody else's services alone.
//! * Who must not get lost is registered by a [`witness::Witness`], which compares at the end what was acknowledged with
//!   what every part of the system has.
//! * SQL, names of queues and texts of Keycloak may stand in a test: it looks at the house from outside, and would prove
//!   nothing by asking the house what to expect.
//!
//! `cargo dev test [FILTER]` starts the services and runs the tests against them.

pub mod stack;

pub mod database;
pub mod fake_keycloak;
pub mod fake_smtp;
pub mod keycloak;
pub mod keycloak_access;
pub mod mail_catcher;
pub mod mailbox;
pub mod rabbit;
pub mod set_up_pages;

pub mod auth;
pub mod browser;
pub mod signing_key;
pub mod system;
pub mod witness;

pub mod account;
pub mod collector;
pub mod metrics;
pub mod own_postgres;
pub mod own_rabbitmq;
pub mod process;
pub mod prometheus;
pub mod proxy;
pub mod readiness;
pub mod reserved_port;

pub mod cleanup;
pub mod eventually;
pub mod http;
pub mod own_name;
pub mod source;

//! What an operator does by hand, a file for each subject.
//!
//! A command reads the sections of the worker's environment that it needs, and no others. Its answer goes to stdout, as a
//! table or as JSON ([`shared::cli::answer`]); who did what to whom goes to the log ([`audit`]). Each may be repeated:
//! what is done already stays as it is.

pub mod audit;
pub mod dead;
mod holding;
pub mod link;
pub mod mail;
pub mod parked;
pub mod parked_queue;
pub mod person;
pub mod status;
mod trend;
pub mod users;

use std::process::ExitCode;

use clap::Subcommand;
use shared::{
    cli::{self, answer},
    config::DatabaseConfig,
    store::{self, SessionLimits, StoreError},
};
use sqlx::PgPool;

use crate::doctor;

/// Exit code when there is nobody of that name: `EX_NOUSER` of sysexits.h.
pub const EXIT_NOT_FOUND: u8 = 67;

#[derive(Subcommand)]
pub enum Command {
    /// Where everybody is on the way: counts, ages, causes
    Status(status::Status),
    /// Look at everything that a worker depends on, and say what to mend
    Doctor(doctor::Doctor),
    /// One person, by id, username or address
    #[command(subcommand)]
    Users(users::Command),
    /// Users who were given up, and giving them back
    #[command(subcommand)]
    Parked(parked::Command),
    /// Messages that could not be understood
    #[command(subcommand)]
    Dead(dead::Command),
    /// What the mails look like that we send ourselves
    #[command(subcommand)]
    Mail(mail::Command),
}

/// There is nobody of that name, so nothing was done.
#[derive(Debug, thiserror::Error)]
#[error("there is no such user")]
pub struct NoSuchUser;

/// The same in Keycloak.
#[derive(Debug, thiserror::Error)]
#[error("Keycloak has no such account")]
pub struct NoSuchAccount;

impl Command {
    #[tokio::main(flavor = "current_thread")]
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Status(status) => status.run().await,
            Self::Doctor(doctor) => doctor.run().await,
            Self::Users(command) => command.run().await,
            Self::Parked(command) => command.run().await,
            Self::Dead(command) => command.run().await,
            Self::Mail(command) => command.run(),
        }
    }
}

/// What a fault ends the process with.
pub fn exit_code(fault: &anyhow::Error) -> ExitCode {
    let is_nobody = fault.is::<NoSuchUser>() || fault.is::<NoSuchAccount>();
    if is_nobody { ExitCode::from(EXIT_NOT_FOUND) } else { cli::exit_code(fault) }
}

/// One connection, made when it is needed.
fn connect(database: &DatabaseConfig) -> Result<PgPool, StoreError> {
    store::connect(&database.url, 1, SessionLimits::WORKER, "usher-worker/operator")
}

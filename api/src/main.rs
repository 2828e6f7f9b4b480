//! `usher-api`: accepts registrations and commits them.

use std::process::ExitCode;

use api::config::{ApiConfig, MigrationConfig};
use clap::{Parser, Subcommand};
use shared::{
    config::{ConfigError, EXIT_USAGE, Environment},
    telemetry::{self, TelemetryConfig},
};

#[derive(Parser)]
#[command(name = "usher-api", about = "Accepts registrations and commits them", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve requests (the default)
    Serve,
    /// Bring the database up to date; any number of processes may do it at once
    Migrate,
}

/// What a command does, and what it must know for it.
enum Work {
    Serve(Box<ApiConfig>),
    Migrate(MigrationConfig),
}

impl Work {
    fn of(command: &Command, environment: Environment) -> Result<Self, ConfigError> {
        match command {
            Command::Serve => ApiConfig::read(environment).map(Box::new).map(Self::Serve),
            Command::Migrate => MigrationConfig::read(environment).map(Self::Migrate),
        }
    }

    fn telemetry(&self) -> &TelemetryConfig {
        match self {
            Self::Serve(config) => &config.telemetry,
            Self::Migrate(config) => &config.telemetry,
        }
    }
}

fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve);
    let work = match Work::of(&command, Environment::of_process()) {
        Ok(work) => work,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    // Outlives the runtime, so that the last words of every task are kept.
    let _telemetry = match telemetry::start("usher-api", work.telemetry()) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("usher-api: {}", telemetry::chain(&error));
            return ExitCode::FAILURE;
        }
    };
    run(work).unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}

#[tokio::main]
async fn run(work: Work) -> anyhow::Result<ExitCode> {
    match work {
        Work::Serve(config) => Ok(api::serve(*config).await?),
        Work::Migrate(config) => Ok(api::migrate(config).await?),
    }
}

//! `usher-api`: accepts registrations and commits them.

use std::process::ExitCode;

use api::config::ApiConfig;
use clap::{Parser, Subcommand};
use shared::{
    config::{EXIT_USAGE, Environment},
    telemetry,
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

fn main() -> ExitCode {
    let command = Cli::parse().command.unwrap_or(Command::Serve);
    let config = match ApiConfig::read(Environment::of_process()) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("{faults}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    // Outlives the runtime, so that the last words of every task are kept.
    let _telemetry = match telemetry::start("usher-api", &config.telemetry) {
        Ok(telemetry) => telemetry,
        Err(error) => {
            eprintln!("usher-api: {}", telemetry::chain(&error));
            return ExitCode::FAILURE;
        }
    };
    run(&command, config).unwrap_or_else(|error| {
        tracing::error!("{error:#}");
        ExitCode::FAILURE
    })
}

#[tokio::main]
async fn run(command: &Command, config: ApiConfig) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve => Ok(api::serve(config).await?),
        Command::Migrate => Ok(api::migrate(config).await?),
    }
}

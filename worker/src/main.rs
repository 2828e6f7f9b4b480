//! `usher-worker`: relays events and leads users into Keycloak.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shared::{
    config::{EXIT_USAGE, Environment},
    lifecycle::Lifecycle,
    telemetry,
};
use worker::{Worker, config::WorkerConfig};

#[derive(Parser)]
#[command(name = "usher-worker", about = "Relays events and leads users into Keycloak", version)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Relay events, provision users, send set-up mails (the default)
    Run,
}

fn main() -> ExitCode {
    let Command::Run = Cli::parse().command.unwrap_or(Command::Run);
    let config = match WorkerConfig::read(Environment::of_process()) {
        Ok(config) => config,
        Err(faults) => {
            eprintln!("usher-worker: {faults}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    start(config).unwrap_or_else(|error| {
        eprintln!("usher-worker: {error:#}");
        ExitCode::FAILURE
    })
}

fn start(config: WorkerConfig) -> anyhow::Result<ExitCode> {
    // Outlives the runtime, so that the last words of every task are kept.
    let _telemetry = telemetry::start("usher-worker", &config.telemetry)?;
    run(config).inspect_err(|error| tracing::error!("{error:#}"))
}

#[tokio::main]
async fn run(config: WorkerConfig) -> anyhow::Result<ExitCode> {
    let drain = config.process.drain_timeout;
    let worker = Worker::build(config).await?;
    let lifecycle = Lifecycle::default();
    worker.start(&lifecycle)?;
    Ok(lifecycle.run(drain).await)
}

//! `usher-worker`: relays events and leads users into Keycloak.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use clap::{Parser, Subcommand, error::ErrorKind};
use shared::{
    config::{EXIT_USAGE, Environment},
    lifecycle::Lifecycle,
    telemetry,
};
use worker::{Worker, config::WorkerConfig, operator};

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
    #[command(flatten)]
    Operator(operator::Command),
}

fn main() -> ExitCode {
    let done = match Cli::try_parse() {
        Ok(Cli { command: Some(Command::Operator(command)) }) => command.run().map(|()| ExitCode::SUCCESS),
        Ok(_) => start(),
        Err(told) => return explain(&told),
    };
    done.unwrap_or_else(|fault| {
        // Whoever reads along may have gone.
        writeln!(io::stderr(), "usher-worker: {fault:#}").ok();
        operator::exit_code(&fault)
    })
}

/// Help was asked for, or is needed.
fn explain(told: &clap::Error) -> ExitCode {
    told.print().ok();
    match told.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ => ExitCode::from(EXIT_USAGE),
    }
}

fn start() -> anyhow::Result<ExitCode> {
    let config = WorkerConfig::read(Environment::of_process())?;
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

//! `usher-worker`: relays events and leads users into Keycloak.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use shared::{
    cli::{self, completions::Completions, healthcheck::Healthcheck},
    config::Environment,
    lifecycle::{Lifecycle, Signals},
    telemetry,
};
use worker::{
    Worker,
    config::{WorkerConfig, process},
    operator,
};

#[derive(Parser)]
#[command(name = "usher-worker", about = "Relays events and leads users into Keycloak", version = cli::version(option_env!("USHER_COMMIT")))]
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
    /// What the environment says
    #[command(subcommand)]
    Config(cli::config::Command),
    /// Whether the worker that runs here is ready
    Healthcheck(Healthcheck),
    /// Print what a shell needs to complete these commands
    Completions(Completions),
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Run => return start(),
            Self::Operator(command) => command.run(),
            Self::Config(command) => command.run(WorkerConfig::parse),
            Self::Healthcheck(check) => check.run(process::ops_listen(Environment::of_process())?),
            Self::Completions(completions) => completions.run::<Cli>(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn main() -> ExitCode {
    cli::main("usher-worker", |Cli { command }| command.unwrap_or(Command::Run).run(), operator::exit_code)
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
    let (lifecycle, signals) = (Lifecycle::default(), Signals::listen()?);
    worker.start(&lifecycle)?;
    Ok(lifecycle.run(signals, drain).await)
}

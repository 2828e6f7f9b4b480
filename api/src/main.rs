//! `usher-api`: accepts registrations and commits them.

use std::process::ExitCode;

use api::{
    config::{ApiConfig, MigrationConfig, server},
    routes,
};
use clap::{Parser, Subcommand};
use shared::{
    cli::{self, answer, completions::Completions, healthcheck::Healthcheck},
    config::Environment,
    telemetry,
};

#[derive(Parser)]
#[command(name = "usher-api", about = "Accepts registrations and commits them", version = cli::version(option_env!("USHER_COMMIT")))]
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
    /// Print the description of the interface, the same as at /openapi.json
    Openapi,
    /// What the environment says
    #[command(subcommand)]
    Config(cli::config::Command),
    /// Whether the api that runs here is ready
    Healthcheck(Healthcheck),
    /// Print what a shell needs to complete these commands
    Completions(Completions),
}

impl Command {
    fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Serve => return serve(),
            Self::Migrate => return migrate(),
            Self::Openapi => answer::write(&format!("{}\n", routes::openapi().to_pretty_json()?)).map(drop),
            Self::Config(command) => command.run(ApiConfig::parse),
            Self::Healthcheck(check) => check.run(server::ops_listen(Environment::of_process())?),
            Self::Completions(completions) => completions.run::<Cli>(),
        }?;
        Ok(ExitCode::SUCCESS)
    }
}

fn main() -> ExitCode {
    cli::main("usher-api", |Cli { command }| command.unwrap_or(Command::Serve).run(), cli::exit_code)
}

fn serve() -> anyhow::Result<ExitCode> {
    let config = ApiConfig::read(Environment::of_process())?;
    // Outlives the runtime, so that the last words of every task are kept.
    let _telemetry = telemetry::start("usher-api", &config.telemetry)?;
    run(api::serve(config))
}

fn migrate() -> anyhow::Result<ExitCode> {
    let config = MigrationConfig::read(Environment::of_process())?;
    let _telemetry = telemetry::start("usher-api", &config.telemetry)?;
    run(api::migrate(config))
}

#[tokio::main]
async fn run<E: Into<anyhow::Error>>(work: impl Future<Output = Result<ExitCode, E>>) -> anyhow::Result<ExitCode> {
    work.await.map_err(Into::into).inspect_err(|error| tracing::error!("{error:#}"))
}

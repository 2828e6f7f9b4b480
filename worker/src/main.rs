//! `usher-worker`: relays events and leads users into Keycloak.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use shared::{
    config::{EXIT_USAGE, Environment},
    lifecycle::Lifecycle,
    telemetry,
};
use worker::{
    Worker,
    config::{
        WorkerConfig,
        mail::{MailSection, MailText},
    },
    mailer::{
        preview,
        template::{Template, Variables},
    },
};

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
    /// What the mails look like that we send ourselves
    #[command(subcommand)]
    Mail(MailCommand),
}

#[derive(Subcommand)]
enum MailCommand {
    /// Write the mails, filled in with a sample, as files to look at
    Preview {
        /// The mail; all that there are by default
        #[arg(long)]
        template: Option<Template>,
        /// The language; all that there are by default
        #[arg(long)]
        locale: Option<String>,
        /// Where the files go
        #[arg(long, default_value = "mail-preview")]
        folder: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command.unwrap_or(Command::Run) {
        Command::Run => WorkerConfig::read(Environment::of_process()).map(start),
        Command::Mail(MailCommand::Preview { template, locale, folder }) => {
            let mut environment = Environment::of_process();
            let text = MailSection::preview(&mut environment);
            environment.finish(text).map(|text| preview(&text, template, locale.as_deref(), &folder))
        }
    };
    match done {
        Ok(Ok(code)) => code,
        Ok(Err(error)) => {
            eprintln!("usher-worker: {error:#}");
            ExitCode::FAILURE
        }
        Err(faults) => {
            eprintln!("usher-worker: {faults}");
            ExitCode::from(EXIT_USAGE)
        }
    }
}

fn preview(
    (text, lifespan): &(MailText, Duration),
    template: Option<Template>,
    locale: Option<&str>,
    folder: &Path,
) -> anyhow::Result<ExitCode> {
    let variables = Variables::sample(&text.product, *lifespan);
    for file in preview::write(&text.templates, template, &variables, locale, folder)? {
        // Whoever reads along may have gone; the files are there all the same.
        writeln!(std::io::stdout(), "{}", file.display()).ok();
    }
    Ok(ExitCode::SUCCESS)
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

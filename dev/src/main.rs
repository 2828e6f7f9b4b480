//! `cargo dev`: the whole system on this machine, on real parts, without containers.
//!
//! Read in this order: `up` is the list of what a start does; `services/` holds one file for each service, on top of
//! `process` (start, find again, stop) and `readiness`; `stack`, `ports`, `addresses`, `account` and `env_file` say
//! where everything lies, listens and runs as; `packages`, `install`, `conformance_tool`, `prometheus_tool` and
//! `programs` name, fetch and find the programs; `first_user` proves that it works.

mod account;
mod action_link;
mod addresses;
mod bench;
mod build;
mod cargo;
mod chaos;
mod commands;
mod conformance_tool;
mod env_file;
mod first_user;
mod install;
mod java_trust;
mod logs;
mod mail_catcher;
mod packages;
mod port_base;
mod ports;
mod process;
mod programs;
mod progress;
mod prometheus_tool;
mod services;
mod settings;
mod settle_ports;
mod stack;
mod timeline;
mod up;

use std::{
    io::{self, ErrorKind},
    process::ExitCode,
};

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::stack::Stack;

/// The native development stack of Usher.
#[derive(Parser)]
#[command(name = "cargo dev", bin_name = "cargo dev")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what is missing, start everything, register a first user and show the way it takes
    Up,
    /// Start everything but Usher itself
    Services,
    /// Stop everything that was started; the data stays
    Down,
    /// Show what runs, on which port, and whether it is ready
    Status,
    /// Show the end of the logs
    Logs {
        /// One service; all of them without
        name: Option<String>,
        /// Keep showing what is written
        #[arg(short, long)]
        follow: bool,
    },
    /// Start the services if need be, then build and run all tests
    Test {
        /// Only tests whose name contains this
        filter: Option<String>,
        /// For the test programs, such as --ignored for tests that take minutes
        #[arg(last = true)]
        arguments: Vec<String>,
    },
    /// Kill everything at random while users register, then count who is left
    Chaos(chaos::Options),
    /// Measure Usher, in release builds, beside what bounds it and what one would take instead
    Bench(bench::Options),
    /// Write .sqlx/ anew, after a query or a migration was changed
    Sqlx,
    /// Stop everything and remove all state, .dev/
    Clean,
    /// The mail catcher, as the stack runs it
    #[command(hide = true)]
    MailCatcher { smtp_port: u16, http_port: u16 },
}

#[tokio::main]
async fn main() -> ExitCode {
    match Box::pin(run(Arguments::parse().command)).await {
        Ok(code) => code,
        // Whoever read the output has seen enough: `cargo dev logs | head`.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\ncargo dev: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

async fn run(command: Command) -> Result<ExitCode> {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let stack = Stack::locate()?;
    match command {
        Command::Up => up::run(&stack).await?,
        Command::Services => up::only_services(&stack).await?,
        Command::Down => commands::down(&stack).await?,
        Command::Status => commands::status(&stack).await?,
        Command::Logs { name, follow } => commands::logs(&stack, name.as_deref(), follow).await?,
        Command::Test { filter, arguments } => return commands::test(&stack, filter.as_deref(), &arguments).await,
        Command::Chaos(options) => return Box::pin(chaos::run(&stack, &options)).await,
        Command::Bench(options) => return bench::run(&stack, &options).await,
        Command::Sqlx => commands::sqlx(&stack).await?,
        Command::Clean => commands::clean(&stack).await?,
        Command::MailCatcher { smtp_port, http_port } => mail_catcher::run(smtp_port, http_port).await?,
    }
    Ok(ExitCode::SUCCESS)
}

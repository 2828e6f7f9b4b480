//! `usher-bench`: measures Usher beside what bounds it and what one would take instead, in one run, and prints ratios.
//! `cargo dev bench` starts the services, builds this and runs it.
//!
//! Read in this order: `benchmarks/` holds one file for each; `rounds` lets ours and the reference take turns; `row`
//! says what a goal is; `reference/` holds what ours is compared with; `load/` asks; `ground/` is what they run on: a
//! database, a vhost and a realm that belong to the run, and processes; `report/` tells what came out.

#![expect(clippy::cast_precision_loss, reason = "what is counted here stays far below 2^52")]

mod benchmarks;
mod ground;
mod load;
mod options;
mod reference;
mod report;
mod rounds;
mod row;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Parser as _;
use shared::lifecycle::Signals;

use crate::{
    ground::relay,
    options::{Command, Options},
};

#[tokio::main]
async fn main() -> ExitCode {
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    match Box::pin(run(Options::parse().command)).await {
        Ok(code) => code,
        Err(error) => {
            eprintln!("usher-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Run(choice) => {
            let mut signals = Signals::listen()?;
            // What is dropped ends the processes that it started.
            tokio::select! {
                measured = Box::pin(benchmarks::run(&choice)) => measured,
                name = signals.next() => bail!("stopped by {name}"),
            }
        }
        Command::Handler { listen } => reference::handler::serve(listen).await.map(|()| ExitCode::SUCCESS),
        Command::Relay { listen } => relay::run(listen).await,
    }
}

//! The command line.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Parser, Subcommand};

use crate::benchmarks::Benchmark;

#[derive(Parser)]
#[command(name = "usher-bench", about = "Measures Usher; run it by cargo dev bench")]
pub(crate) struct Options {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Measure
    Run(Choice),
    /// The bare handler that registrations are compared with
    #[command(hide = true)]
    Handler { listen: SocketAddr },
    /// A worker's relay alone
    #[command(hide = true)]
    Relay { listen: SocketAddr },
}

/// What is measured, how long, and how it is told.
#[derive(Args)]
pub(crate) struct Choice {
    /// One benchmark; all of them without
    pub(crate) name: Option<Benchmark>,
    /// One object for each row instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    /// Few and short rounds: shows that everything works, and measures little
    #[arg(long)]
    pub(crate) quick: bool,
    /// Also what takes long: ten million users
    #[arg(long)]
    pub(crate) full: bool,
    /// Where the table and the charts are written
    #[arg(long)]
    pub(crate) report: Option<PathBuf>,
}

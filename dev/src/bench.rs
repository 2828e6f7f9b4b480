//! `cargo dev bench`: starts the services, builds a release and lets `bench/` measure it. What measures is a program of
//! its own, so that `cargo dev` stays quick to build and what is measured is a release.

use std::{
    os::unix::process::CommandExt as _,
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{env_file, progress::Board, stack::Stack, up};

/// The page and the charts, for readers of the repository.
const REPORT: &str = "docs/benchmarks";

#[derive(Args)]
pub(crate) struct Options {
    /// One benchmark; all of them without, which writes docs/benchmarks/results.md anew
    name: Option<String>,
    /// Print one object for each row
    #[arg(long)]
    json: bool,
    /// Few and short rounds, to see that everything works; writes no page
    #[arg(long)]
    quick: bool,
    /// Also what takes long: ten million users
    #[arg(long)]
    full: bool,
}

pub(crate) async fn run(stack: &Stack, options: &Options) -> Result<ExitCode> {
    let board = if options.json { Board::Silent } else { Board::new() };
    up::for_benchmarks(stack, &board).await?;
    drop(board);
    let release = stack.binaries.parent().context("cargo dev has no directory")?.join("release/usher-bench");
    let mut command = Command::new(release);
    command.arg("run").args(&options.name).envs(env_file::variables(stack));
    let flags = [("--json", options.json), ("--quick", options.quick), ("--full", options.full)];
    command.args(flags.iter().filter(|(_, given)| *given).map(|(flag, _)| flag));
    if options.name.is_none() && !options.quick {
        command.arg("--report").arg(stack.root.join(REPORT));
    }
    // In the place of this process, so that a signal to it reaches what measures.
    Err(command.exec()).context("cannot run usher-bench")
}

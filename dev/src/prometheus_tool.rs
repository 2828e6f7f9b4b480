//! Prometheus and promtool, which hold the rules and dashboards against what is measured: tests alone need them.
//!
//! Debian's package is unpacked into the cache instead of installed, for the two programs in it: installed, it would start
//! a Prometheus of the system.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{
    programs,
    progress::{Board, Line},
    stack::Stack,
};

const LOG: &str = "prometheus-install";

/// The directory with both programs; that of the system, if it has them.
pub(crate) fn programs(stack: &Stack) -> PathBuf {
    let systems = programs::in_path(stack, "promtool").filter(|_| programs::in_path(stack, "prometheus").is_some());
    systems.and_then(|promtool| Some(promtool.parent()?.to_owned())).unwrap_or_else(|| home(stack).join("usr/bin"))
}

fn home(stack: &Stack) -> PathBuf {
    stack.state.join("cache/prometheus")
}

/// Fetches and unpacks the package, unless the programs are there.
pub(crate) async fn install(stack: &Stack, board: &Board) -> Result<()> {
    let line = board.line("prometheus");
    if programs(stack).join("promtool").exists() {
        line.unchanged("promtool is there");
        return Ok(());
    }
    unpack(stack, &line)
        .await
        .inspect_err(|_| line.failed())
        .context("run apt-get update, or install prometheus by this system's own means")?;
    line.done("promtool is unpacked");
    Ok(())
}

async fn unpack(stack: &Stack, line: &Line) -> Result<()> {
    line.step("fetching Debian's package prometheus (19 MB), to unpack it in .dev/cache");
    let unfinished = stack.state.join("cache/prometheus-unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    fs::create_dir_all(&unfinished)?;
    let download = ["download", "prometheus"];
    programs::run(stack, LOG, Command::new("apt-get").args(download).current_dir(&unfinished)).await?;
    let package = fs::read_dir(&unfinished)?.flatten().next().context("apt-get downloaded nothing")?.path();
    programs::run(stack, LOG, Command::new("dpkg-deb").arg("--extract").args([&package, &unfinished])).await?;
    fs::remove_file(package)?;
    // In place when complete: what was begun and not finished is begun again.
    fs::rename(unfinished, home(stack)).context("cannot move prometheus into place")
}

//! Prometheus and promtool, which hold the rules and dashboards against what is measured: tests alone need them.
//!
//! Debian's package is unpacked into the cache instead of installed, for the two programs in it: installed, it would start
//! a Prometheus of the system.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::{
    logs, programs,
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
    unpack(stack, &line).await.inspect_err(|_| line.failed())?;
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
    let log = File::create(stack.log_file(LOG))?;
    run(stack, "apt-get", &["download", "prometheus"], &unfinished, &log).await?;
    let package = fs::read_dir(&unfinished)?.flatten().next().context("apt-get downloaded nothing")?.path();
    run(stack, "dpkg-deb", &["--extract", &package.display().to_string(), "."], &unfinished, &log).await?;
    fs::remove_file(package)?;
    // In place when complete: what was begun and not finished is begun again.
    fs::rename(unfinished, home(stack)).context("cannot move prometheus into place")
}

async fn run(stack: &Stack, program: &str, arguments: &[&str], directory: &Path, log: &File) -> Result<()> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(directory).stdin(Stdio::null()).kill_on_drop(true);
    command.stdout(log.try_clone()?).stderr(log.try_clone()?);
    let status = command.status().await.with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!(
            "prometheus could not be unpacked\n{}\nRun apt-get update, or install prometheus by this system's own means",
            logs::tail(stack, LOG, 0)
        );
    }
    Ok(())
}

//! Builds the workspace while the services start.

use std::process::Stdio;

use anyhow::{Context as _, Result, bail};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::Command,
};

use crate::{
    cargo,
    progress::{Board, Line},
    stack::Stack,
};

const SHOWN_ON_FAILURE: usize = 60;

pub(crate) async fn workspace(stack: &Stack, board: &Board) -> Result<()> {
    let line = board.line("build");
    line.step("cargo build --workspace (the first time takes minutes)");
    let result = cargo_build(stack, &line).await;
    match &result {
        Ok(()) => line.done("the workspace is built"),
        Err(_) => line.failed(),
    }
    result
}

async fn cargo_build(stack: &Stack, line: &Line) -> Result<()> {
    let mut child = Command::from(cargo::command(stack))
        .args(["build", "--workspace"])
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .context("cannot run cargo")?;
    let mut output = Vec::new();
    let mut lines = BufReader::new(child.stderr.take().context("cargo has no output")?).lines();
    while let Some(text) = lines.next_line().await? {
        line.detail(text.trim());
        output.push(text);
    }
    if !child.wait().await?.success() {
        let end = output.split_off(output.len().saturating_sub(SHOWN_ON_FAILURE));
        bail!("cargo build --workspace failed\n{}", end.join("\n"));
    }
    Ok(())
}

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

/// Usher as it is delivered, and what measures it.
const RELEASE: [&str; 7] = ["--release", "--package", "api", "--package", "worker", "--package", "bench"];

pub(crate) async fn workspace(stack: &Stack, board: &Board) -> Result<()> {
    build(stack, board, &["--workspace"], "the workspace is built").await
}

pub(crate) async fn for_release(stack: &Stack, board: &Board) -> Result<()> {
    build(stack, board, &RELEASE, "the release is built").await
}

async fn build(stack: &Stack, board: &Board, what: &[&str], done: &str) -> Result<()> {
    let line = board.line("build");
    line.step(&format!("cargo build {} (the first time takes minutes)", what.join(" ")));
    let result = cargo_build(stack, &line, what).await;
    match &result {
        Ok(()) => line.done(done),
        Err(_) => line.failed(),
    }
    result
}

async fn cargo_build(stack: &Stack, line: &Line, what: &[&str]) -> Result<()> {
    let mut child = Command::from(cargo::command(stack))
        .arg("build")
        .args(what)
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
        bail!("cargo build {} failed\n{}", what.join(" "), end.join("\n"));
    }
    Ok(())
}

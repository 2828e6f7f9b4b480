//! schemathesis, which holds the api against its description, kubernetes-validate, which holds manifests against the
//! schemas of Kubernetes, and pika, by which an example speaks to RabbitMQ: tests alone need them. They lie in a Python
//! environment of their own, with the versions that `tests/conformance/requirements.txt` names.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{
    programs,
    progress::{Board, Line},
    stack::Stack,
};

const LOG: &str = "schemathesis-install";

pub(crate) fn schemathesis(stack: &Stack) -> PathBuf {
    home(stack).join("bin/schemathesis")
}

pub(crate) fn kubernetes_validate(stack: &Stack) -> PathBuf {
    home(stack).join("bin/kubernetes-validate")
}

pub(crate) fn python(stack: &Stack) -> PathBuf {
    home(stack).join("bin/python")
}

fn home(stack: &Stack) -> PathBuf {
    stack.state.join("cache/schemathesis")
}

/// Debian's Python makes no environments until another package is there.
pub(crate) fn lacks_python(stack: &Stack) -> bool {
    let can_make_environments = || {
        let mut python = std::process::Command::new("python3");
        let python = python.args(["-c", "import ensurepip, venv"]).stderr(Stdio::null());
        python.status().is_ok_and(|status| status.success())
    };
    !is_there(stack) && (programs::in_path(stack, "python3").is_none() || !can_make_environments())
}

/// Makes the environment, unless it is there with these versions.
pub(crate) async fn install(stack: &Stack, board: &Board) -> Result<()> {
    let line = board.line("conformance");
    let wanted = stack.root.join("tests/conformance/requirements.txt");
    let installed = home(stack).join("requirements.txt");
    let text = fs::read_to_string(&wanted).with_context(|| format!("{} cannot be read", wanted.display()))?;
    if is_there(stack) && fs::read_to_string(&installed).is_ok_and(|it| it == text) {
        line.unchanged("schemathesis, kubernetes-validate and pika are there");
        return Ok(());
    }
    make_environment(stack, &line, &wanted).await.inspect_err(|_| line.failed())?;
    // Written last: what was begun and not finished is begun again.
    fs::write(installed, text)?;
    line.done("schemathesis, kubernetes-validate and pika are installed");
    Ok(())
}

/// Not so when the system's Python, which the environment leads to, has become another one.
fn is_there(stack: &Stack) -> bool {
    schemathesis(stack).exists() && kubernetes_validate(stack).exists() && python(stack).exists()
}

async fn make_environment(stack: &Stack, line: &Line, requirements: &Path) -> Result<()> {
    line.step(
        "fetching schemathesis, kubernetes-validate and pika from the Python package index (a quarter of a minute)",
    );
    programs::run(stack, LOG, Command::new("python3").args(["-m", "venv", "--clear"]).arg(home(stack))).await?;
    let fetch = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--requirement"];
    programs::run(stack, LOG, Command::new(python(stack)).args(fetch).arg(requirements)).await
}

//! Redis, for passwords on their way and for counts: what may be lost, so it writes nothing to disk.

use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::{Probe, Service, ensure};
use crate::{process::Launch, programs, progress::Board, stack::Stack};

pub(crate) fn service(stack: &Stack) -> Service {
    Service {
        name: "redis",
        ports: vec![stack.ports.redis],
        ready: Probe::Tcp(stack.ports.redis),
        start_within: Duration::from_secs(20),
        stop_by: Signal::SIGTERM,
        stop_within: Duration::from_secs(5),
    }
}

pub(crate) async fn start(stack: &Stack, board: &Board) -> Result<()> {
    let line = board.line("redis");
    ensure(stack, &service(stack), &line, async || launch(stack)).await
}

fn launch(stack: &Stack) -> Result<Launch> {
    let port = stack.ports.redis.to_string();
    let arguments = ["--bind", "127.0.0.1", "--port", &port, "--save", "", "--appendonly", "no"];
    Ok(Launch {
        program: programs::in_path(stack, "redis-server").context("Redis' server is missing")?,
        arguments: arguments.map(str::to_owned).into(),
        environment: vec![],
        directory: stack.state.join("run"),
    })
}

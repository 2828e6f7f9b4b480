//! The mail catcher: this very program under a hidden subcommand (`mail_catcher/`), as a process of its own.

use std::time::Duration;

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{Probe, Service, ensure};
use crate::{addresses, process::Launch, progress::Board, stack::Stack};

pub(crate) fn service(stack: &Stack) -> Service {
    Service {
        name: "mail",
        ports: vec![stack.ports.mail, stack.ports.smtp],
        ready: Probe::Http(format!("{}/ready", addresses::mail(stack))),
        start_within: Duration::from_secs(20),
        stop_by: Signal::SIGTERM,
        stop_within: Duration::from_secs(5),
    }
}

pub(crate) async fn start(stack: &Stack, board: &Board) -> Result<()> {
    let line = board.line("mail");
    ensure(stack, &service(stack), &line, async || Ok(launch(stack))).await
}

fn launch(stack: &Stack) -> Launch {
    Launch {
        program: stack.binaries.join("dev"),
        arguments: vec!["mail-catcher".into(), stack.ports.smtp.to_string(), stack.ports.mail.to_string()],
        environment: vec![],
        directory: stack.state.join("run"),
    }
}

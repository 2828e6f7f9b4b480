//! `cargo dev status`: one line for each service.

use std::io::{self, Write as _};

use anyhow::Result;

use crate::{
    process,
    services::{self, Service},
    stack::Stack,
};

pub(crate) async fn status(stack: &Stack) -> Result<()> {
    for service in services::all(stack) {
        let state = state(stack, &service).await;
        writeln!(io::stdout(), "{:<11} {state}", service.name)?;
    }
    Ok(())
}

async fn state(stack: &Stack, service: &Service) -> String {
    let Some(pid) = process::running(stack, service.name) else { return "stopped".into() };
    let ready = match service.ready.ask().await {
        Ok(()) => "ready".to_owned(),
        Err(error) => format!("not ready: {error:#}"),
    };
    format!("running  pid {pid:<8} 127.0.0.1:{:<6} {ready}", service.ports[0])
}

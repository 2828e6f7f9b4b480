//! `cargo dev status`: one line for each service.

use crate::{
    process,
    services::{self, Service},
    stack::Stack,
};

pub(crate) async fn status(stack: &Stack) {
    for service in services::all(stack) {
        println!("{:<11} {}", service.name, state(stack, &service).await);
    }
}

async fn state(stack: &Stack, service: &Service) -> String {
    let Some(pid) = process::running(stack, service.name) else { return "stopped".into() };
    let ready = match service.ready.ask().await {
        Ok(()) => "ready".to_owned(),
        Err(error) => format!("not ready: {error:#}"),
    };
    format!("running  pid {pid:<8} 127.0.0.1:{:<6} {ready}", service.ports[0])
}

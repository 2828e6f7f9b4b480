//! `cargo dev down`: everything that was started ends, in the reverse order of its start.

use anyhow::Result;
use futures_util::future::try_join_all;

use crate::{
    chaos, process,
    services::{self, Service, postgres, rabbitmq, usher},
    stack::Stack,
};

pub(crate) async fn down(stack: &Stack) -> Result<()> {
    if !stack.state.exists() {
        println!("nothing runs");
        return Ok(());
    }
    stack.open()?;
    let _lock = stack.lock()?;
    let running = services::all(stack).iter().any(|service| process::running(stack, service.name).is_some());
    stop_all(stack).await?;
    if !running {
        println!("nothing runs");
    }
    chaos::end_what_is_left(stack).await
}

async fn stop_all(stack: &Stack) -> Result<()> {
    try_join_all(usher::services(stack).iter().map(|service| stop(stack, service))).await?;
    // The broker signs off at its name server, Keycloak at its database: those two last.
    let last = [rabbitmq::epmd(stack), postgres::service(stack)];
    let others = services::infrastructure(stack);
    let others = others.iter().filter(|service| last.iter().all(|last| last.name != service.name));
    try_join_all(others.map(|service| stop(stack, service))).await?;
    try_join_all(last.iter().map(|service| stop(stack, service))).await?;
    Ok(())
}

async fn stop(stack: &Stack, service: &Service) -> Result<()> {
    if process::stop(stack, service.name, service.stop_by, service.stop_within).await? {
        println!("stopped {}", service.name);
    }
    Ok(())
}

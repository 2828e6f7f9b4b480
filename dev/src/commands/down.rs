//! `cargo dev down`: everything that was started ends, in the reverse order of its start.

use anyhow::Result;

use crate::{
    process,
    services::{self, Service, keycloak, mail, postgres, rabbitmq, usher},
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
    Ok(())
}

async fn stop_all(stack: &Stack) -> Result<()> {
    let [api, worker_1, worker_2] = &usher::services(stack)[..] else { return Ok(()) };
    tokio::try_join!(stop(stack, worker_1), stop(stack, worker_2), stop(stack, api))?;
    let (broker, names) = (rabbitmq::service(stack), rabbitmq::epmd(stack));
    let (identity, catcher) = (keycloak::service(stack), mail::service(stack));
    tokio::try_join!(stop(stack, &broker), stop(stack, &identity), stop(stack, &catcher))?;
    // The broker signs off at its name server, Keycloak at its database: those two last.
    stop(stack, &names).await?;
    stop(stack, &postgres::service(stack)).await
}

async fn stop(stack: &Stack, service: &Service) -> Result<()> {
    if process::stop(stack, service.name, service.stop_by, service.stop_within).await? {
        println!("stopped {}", service.name);
    }
    Ok(())
}

//! The services of the stack, in the order of their start: PostgreSQL, then RabbitMQ, Keycloak, Redis and the mail
//! catcher side by side, then Usher itself.

pub(crate) mod keycloak;
pub(crate) mod mail;
pub(crate) mod postgres;
pub(crate) mod rabbitmq;
pub(crate) mod redis;
pub(crate) mod usher;

mod readiness;

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, join_all},
};
use nix::sys::signal::Signal;

pub(crate) use readiness::Probe;

use crate::{
    logs, ports,
    process::{self, Launch},
    progress::{Board, Line},
    stack::Stack,
};

const POLL: Duration = Duration::from_millis(100);

/// What everybody needs to know about a service, whether it runs or not.
pub(crate) struct Service {
    pub(crate) name: &'static str,
    /// The first one is the port that people use.
    pub(crate) ports: Vec<u16>,
    pub(crate) ready: Probe,
    pub(crate) start_within: Duration,
    pub(crate) stop_by: Signal,
    pub(crate) stop_within: Duration,
}

pub(crate) fn infrastructure(stack: &Stack) -> Vec<Service> {
    let mut services = vec![postgres::service(stack), rabbitmq::epmd(stack)];
    services.extend(rabbitmq::services(stack));
    services.extend([keycloak::service(stack), redis::service(stack), mail::service(stack)]);
    services
}

pub(crate) fn all(stack: &Stack) -> Vec<Service> {
    let mut services = infrastructure(stack);
    services.extend(usher::services(stack));
    services
}

pub(crate) async fn start_infrastructure(stack: &Stack, board: &Board) -> Result<()> {
    postgres::start(stack, board).await?;
    let starts: [BoxFuture<'_, Result<()>>; 4] = [
        rabbitmq::start(stack, board).boxed(),
        keycloak::start(stack, board).boxed(),
        redis::start(stack, board).boxed(),
        mail::start(stack, board).boxed(),
    ];
    // All come to their end even if one fails: none is left half prepared.
    join_all(starts).await.into_iter().collect()
}

/// A taken port is told before anything starts, not minutes later by the service that needs it.
pub(crate) async fn ensure_ports_free(stack: &Stack, services: &[Service]) -> Result<()> {
    for service in services.iter().filter(|service| process::running(stack, service.name).is_none()) {
        for port in &service.ports {
            ports::ensure_free(service.name, *port).await?;
        }
    }
    Ok(())
}

/// Starts `service` unless it runs, and waits until it is of use.
/// `launch` is called only for a start: preparing a data directory under a running server would harm it.
pub(crate) async fn ensure(
    stack: &Stack,
    service: &Service,
    line: &Line,
    launch: impl AsyncFnOnce() -> Result<Launch>,
) -> Result<()> {
    let result = ensure_or_explain(stack, service, line, launch).await;
    if result.is_err() {
        line.failed();
    }
    result
}

async fn ensure_or_explain(
    stack: &Stack,
    service: &Service,
    line: &Line,
    launch: impl AsyncFnOnce() -> Result<Launch>,
) -> Result<()> {
    let address = format!("127.0.0.1:{}", service.ports[0]);
    if process::running(stack, service.name).is_some() {
        wait_until_ready(stack, service, 0).await?;
        line.unchanged(&format!("already running on {address}"));
        return Ok(());
    }
    let launch = launch().await?;
    line.step("starting");
    let log_begin = process::spawn(stack, service.name, &launch)?;
    wait_until_ready(stack, service, log_begin).await?;
    line.done(&format!("ready on {address}"));
    Ok(())
}

async fn wait_until_ready(stack: &Stack, service: &Service, log_begin: u64) -> Result<()> {
    let asked = Instant::now();
    loop {
        let Err(answer) = service.ready.ask().await else { return Ok(()) };
        let cause = if process::running(stack, service.name).is_none() {
            "ended by itself while starting".to_owned()
        } else if asked.elapsed() > service.start_within {
            format!("was not ready after {} s (its last answer: {answer:#})", service.start_within.as_secs())
        } else {
            tokio::time::sleep(POLL).await;
            continue;
        };
        bail!(
            "{name} {cause}\n{tail}\nThe whole log: cargo dev logs {name}. To start again: cargo dev down, cargo dev up; \
             to start from nothing: cargo dev clean",
            name = service.name,
            tail = logs::tail(stack, service.name, log_begin),
        );
    }
}

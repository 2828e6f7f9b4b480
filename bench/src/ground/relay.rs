//! A worker's relay alone, in a process of its own: a whole worker would consume what it publishes, and the two would be
//! measured as one.

use std::{net::SocketAddr, process::ExitCode, sync::Arc};

use anyhow::Result;
use axum::{Router, routing::get};
use shared::{
    config::Environment,
    lifecycle::{Lifecycle, Signals},
    store::{self, SessionLimits, bell, outbox::LowMark},
    telemetry,
};
use tokio::{net::TcpListener, sync::Notify};
use worker::{broker::connection::Link, config::WorkerConfig, relay::Relay};

/// With all that a worker has around it: its settings, its limits, its logs and spans, its ear for the api's bell.
/// Serves one page on `listen`, which says that it runs.
pub(crate) async fn run(listen: SocketAddr) -> Result<ExitCode> {
    let config = WorkerConfig::read(Environment::of_process())?;
    let _telemetry = telemetry::start("usher-worker", &config.telemetry)?;
    let database = &config.database;
    let pool = store::connect(&database.url, database.max_connections, SessionLimits::WORKER, "usher-bench")?;
    let (lifecycle, signals, rung) = (Lifecycle::default(), Signals::listen()?, Arc::new(Notify::new()));
    let shutdown = lifecycle.shutdown();
    let link = Link::new("relay", &config.broker, shutdown.clone());
    let relay = Relay {
        pool: pool.clone(),
        config: config.relay,
        broker: config.broker,
        bell: Arc::clone(&rung),
        full_pass: LowMark::LAG / 2,
    };
    lifecycle.spawn("listener", bell::listen(pool, rung, shutdown.clone()));
    lifecycle.spawn("relay", relay.run(link, shutdown.clone()));
    let page = Router::new().route("/", get(async || "running"));
    let page = axum::serve(TcpListener::bind(listen).await?, page).with_graceful_shutdown(shutdown.cancelled_owned());
    lifecycle.spawn("page", page.into_future());
    Ok(lifecycle.run(signals, config.process.drain_timeout).await)
}

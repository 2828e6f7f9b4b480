//! The worker: moves events and leads users into Keycloak.
//!
//! In reading order, which is the way of the data: [`relay`] publishes the outbox to the [`broker`], [`consumer`] takes
//! the events from there and hands each user to the [`provisioner`], which makes sure of the [`account`] in
//! [`keycloak`] and has the [`mailer`] send the set-up mail, there or by [`smtp`]. [`sweep`] hands over everybody whom the events missed.
//! What can go wrong is judged in [`outcome`], with the [`evidence`] of other users; a [`breaker`] keeps everybody away
//! from a downstream that is down; [`settle`] tells the broker what became of a message.

pub mod relay;

pub mod broker;

pub mod consumer;
pub mod settle;
pub mod sweep;

pub mod provisioner;

pub mod account;
pub mod breaker;
pub mod evidence;
pub mod keycloak;
pub mod mailer;
pub mod outcome;
pub mod smtp;

pub mod config;
pub mod health;

use std::{future::Future, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use broker::connection::{Link, LinkState};
use config::WorkerConfig;
use consumer::Consumer;
use health::Health;
use provisioner::Provisioner;
use relay::Relay;
use settle::Settler;
use shared::{
    config::Stage,
    lifecycle::Lifecycle,
    store::{self, SessionLimits, bell, durability, outbox::LowMark},
};
use sqlx::PgPool;
use sweep::Sweep;
use tokio::{
    net::TcpListener,
    sync::{Notify, watch},
};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A worker that is ready to run.
pub struct Worker {
    config: WorkerConfig,
    pool: PgPool,
    ops: TcpListener,
}

impl Worker {
    /// Binds the ops port. Connects to nothing yet: what is down at start is waited for.
    pub async fn build(config: WorkerConfig) -> anyhow::Result<Self> {
        let database = &config.database;
        let pool = store::connect(&database.url, database.max_connections, SessionLimits::WORKER, "usher-worker")?;
        let address = config.process.ops_listen;
        let ops = TcpListener::bind(address).await.with_context(|| format!("could not listen on {address}"))?;
        Ok(Self { config, pool, ops })
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    pub fn ops_addr(&self) -> std::io::Result<SocketAddr> {
        self.ops.local_addr()
    }

    /// Starts everything that a worker does.
    pub fn start(self, lifecycle: &Lifecycle) -> anyhow::Result<()> {
        let Self { config, pool, ops } = self;
        let shutdown = lifecycle.shutdown();
        let provisioner = Arc::new(Provisioner::new(&config, pool.clone(), shutdown.clone())?);
        lifecycle.spawn("links", provisioner.mailer().look_for_links(shutdown.clone()));
        let relay_link = Link::new("relay", &config.broker, shutdown.clone());
        let consumer_link = Link::new("consumer", &config.broker, shutdown.clone());
        let links: Vec<LinkState> = vec![relay_link.state(), consumer_link.state()];
        let rung = Arc::new(Notify::new());

        if config.stage == Stage::Production {
            lifecycle.spawn("durability", durability::watch(pool.clone(), shutdown.clone()));
        }
        let listener = bell::listen(pool.clone(), Arc::clone(&rung), shutdown.clone());
        lifecycle.spawn("listener", listener);
        let relay = Relay {
            pool: pool.clone(),
            config: config.relay.clone(),
            broker: config.broker.clone(),
            bell: rung,
            full_pass: LowMark::LAG / 2,
        };
        lifecycle.spawn("relay", relay.run(relay_link, shutdown.clone()));
        let consumer = Arc::new(Consumer {
            pool: pool.clone(),
            provisioner: Arc::clone(&provisioner),
            settler: Arc::new(Settler::new(config.broker.clone())),
            prefetch: config.provision.concurrency,
            database_away: watch::Sender::new(false),
        });
        // Health answers until the last user in flight is done.
        let drained = CancellationToken::new();
        let working = Arc::new(drained.clone().drop_guard());
        lifecycle.spawn("consumer", hold(Arc::clone(&working), consumer.run(consumer_link, shutdown.clone())));
        let sweep = Sweep {
            pool: pool.clone(),
            provisioner: Arc::clone(&provisioner),
            interval: config.sweep_interval,
            width: config.provision.concurrency.into(),
        };
        lifecycle.spawn("sweep", hold(working, sweep.run(shutdown.clone())));
        let health = Health { pool, links, provisioner, shutdown };
        lifecycle.spawn("health", health.serve(ops, drained));
        Ok(())
    }
}

/// Keeps `guard` until `task` has ended.
async fn hold<T>(guard: Arc<DropGuard>, task: impl Future<Output = T>) -> T {
    let ended = task.await;
    drop(guard);
    ended
}

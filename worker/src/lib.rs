//! The worker: moves events and leads users into Keycloak.
//!
//! In reading order, which is the way of the data: [`relay`] publishes the outbox to the [`broker`], in [`passes`];
//! [`consumer`] takes the events from there and hands each user to the [`provisioner`], which makes sure of the
//! [`account`] in [`keycloak`] and has the [`mailer`] send the set-up mail, there or by [`smtp`]. [`sweep`] hands over
//! everybody whom the events missed. What can go wrong is judged in [`outcome`], with the [`evidence`] of other users; a [`breaker`]
//! keeps everybody away from a downstream that is down; [`insist`] writes down what was done although the database
//! stumbles; [`settle`] tells the broker what became of a message; [`census`] counts who waits, for the [`metrics`].
//! Who never confirms is erased in the end ([`expiry`]), as a human does it ([`erasure`]), if the account is their [`own`].
//! What a human does by hand is an [`operator`]'s command; what the worker depends on, the [`doctor`] looks at.

pub mod passes;
pub mod relay;

pub mod broker;

pub mod consumer;
pub mod settle;
pub mod sweep;

pub mod provisioner;

pub mod erasure;
pub mod expiry;
pub mod own;

pub mod account;
pub mod breaker;
pub mod evidence;
pub mod insist;
pub mod keycloak;
pub mod mailer;
pub mod outcome;
pub mod smtp;

pub mod census;
pub mod config;
pub mod doctor;
pub mod health;
pub mod metrics;
pub mod operator;

use std::{future::Future, net::SocketAddr, sync::Arc};

use anyhow::Context as _;
use broker::connection::{Link, LinkState};
use config::WorkerConfig;
use consumer::Consumer;
use expiry::Expiry;
use futures_util::FutureExt as _;
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
        let pool = store::connect(&database.url, database.max_connections, SessionLimits::WORKER, store::WORKER)?;
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
        let database_away = consumer.database_away.subscribe();
        // Health answers until the last user in flight is done.
        let drained = CancellationToken::new();
        let working = Arc::new(drained.clone().drop_guard());
        let migrated = migrated(pool.clone(), shutdown.clone()).boxed().shared();
        let consuming = once(migrated.clone(), consumer.run(consumer_link, shutdown.clone()));
        lifecycle.spawn("consumer", hold(Arc::clone(&working), consuming));
        let sweep = Sweep {
            pool: pool.clone(),
            provisioner: Arc::clone(&provisioner),
            interval: config.sweep_interval,
            width: config.provision.concurrency.into(),
        };
        let sweeping = once(migrated.clone(), sweep.run(shutdown.clone()));
        lifecycle.spawn("sweep", hold(Arc::clone(&working), sweeping));
        if let Some(expiry) = Expiry::wanted(&config, &pool, &provisioner) {
            lifecycle.spawn("expiry", hold(working, once(migrated, expiry.run(shutdown.clone()))));
        }
        lifecycle.spawn("census", census::run(pool.clone(), shutdown.clone()));
        metrics::begin(&pool, parts(&links, &provisioner));
        let health = Health { pool, links, provisioner, database_away, shutdown };
        lifecycle.spawn("health", health.serve(ops, drained));
        Ok(())
    }
}

/// Who may be away, and how to ask whether that is so.
fn parts(links: &[LinkState], provisioner: &Arc<Provisioner>) -> Vec<metrics::Part> {
    let links = links.iter().cloned().map(|link| (link.role, Box::new(move || link.is_up()) as _));
    let (keycloak, mail) = (Arc::clone(provisioner), Arc::clone(provisioner));
    let keycloak: metrics::Part = ("keycloak", Box::new(move || !keycloak.breakers.keycloak.is_open()));
    let mail: metrics::Part = ("mail", Box::new(move || !mail.breakers.mail.is_open()));
    let database: metrics::Part = ("database", Box::new(metrics::database_is_up));
    links.chain([database, keycloak, mail]).collect()
}

/// Whether the schema has all that we write to: whoever was mailed could not be marked so in an older one. No when the
/// process ends first.
async fn migrated(pool: PgPool, shutdown: CancellationToken) -> bool {
    store::until_schema_is_current(&pool, &shutdown).await
}

/// Runs `task` once all is `ready`, if it ever is.
async fn once<E>(ready: impl Future<Output = bool>, task: impl Future<Output = Result<(), E>>) -> Result<(), E> {
    if ready.await { task.await } else { Ok(()) }
}

/// Keeps `guard` until `task` has ended.
async fn hold<T>(guard: Arc<DropGuard>, task: impl Future<Output = T>) -> T {
    let ended = task.await;
    drop(guard);
    ended
}

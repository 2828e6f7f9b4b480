//! The api: accepts a registration and commits it. Everything after that is the worker's.
//!
//! In reading order: the table of addresses ([`routes`]), what a client sends ([`body`], [`fields`], [`new_user`],
//! [`described`]), the two things that are done with it ([`registration`], [`mail_request`], both by way of
//! [`database`], registrations [in groups](grouping) and perhaps with a [password](chosen_password)), and how errors
//! are told ([`error`], [`problem`]); beside it, what is done with Keycloak ([`tokens`]). Around it stand
//! [`middleware`], [`limits`], [`security_headers`], [`listener`], [`metrics`], [`cleanup`], [`config`] and [`state`].
//!
//! Deliberately absent: SQL, which stands in `shared::store`, and RabbitMQ and mail. A registration must neither wait
//! for them nor fail with them, so there is no client of theirs that it could call. Nor does it touch the one of
//! Keycloak, which hands tokens out and checks them.

pub mod routes;

pub mod body;
pub mod described;
pub mod fields;
pub mod new_user;

pub mod chosen_password;
pub mod database;
pub mod grouping;
pub mod mail_request;
pub mod registration;

pub mod tokens;

pub mod error;
pub mod problem;

pub mod cleanup;
pub mod config;
pub mod limits;
pub mod listener;
pub mod metrics;
pub mod middleware;
pub mod security_headers;
pub mod state;

use std::{convert::Infallible, net::SocketAddr, process::ExitCode, sync::Arc, time::Duration};

use shared::{
    config::Stage,
    lifecycle::{Lifecycle, Signals},
    store::{self, SessionLimits, StoreError, bell::Bell, durability},
    telemetry,
};
use sqlx::PgPool;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::{
    chosen_password::ChosenPasswords,
    cleanup::Cleanup,
    config::{ApiConfig, MigrationConfig, callers::Origins},
    database::Database,
    grouping::Collector,
    limits::{Limits, shared::SharedCounts},
    listener::{ListenError, Listener, Patience, Peers},
    routes::health::Probe,
    state::AppState,
    tokens::Tokens,
};

/// The api, bound and not yet serving.
#[derive(Debug)]
pub struct App {
    public: Listener,
    ops: Listener,
    state: AppState,
    collector: Collector,
    patience: Patience,
    peers: Peers,
    origins: Origins,
    cleanup: Cleanup,
    /// One connection for what must not queue behind registrations: the bell and the readiness probe.
    side: PgPool,
    /// Whether it is left to find out that the database does not forget.
    unproven: bool,
}

/// Why the api does not start.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("could not set up the database")]
    Database(#[from] StoreError),
    #[error("could not set up the client of Redis")]
    Redis(#[from] redis::RedisError),
    #[error("could not set up the HTTP client for Keycloak")]
    Keycloak(#[from] reqwest::Error),
    #[error("could not listen for signals")]
    Signals(#[source] std::io::Error),
}

impl App {
    /// Binds both listeners. Keycloak may be away, and so may the database; in production it must not be one that
    /// forgets.
    pub async fn build(config: ApiConfig) -> Result<Self, BuildError> {
        let database = Database::new(&config.database)?;
        let side = store::connect(&config.database.url, 1, SessionLimits::API, "usher-api/side")?;
        let public = Listener::bind("API_LISTEN", config.server.listen).await?;
        let ops = Listener::bind("API_OPS_LISTEN", config.server.ops_listen).await?;
        let unproven = config.stage == Stage::Production && !is_durable(&side).await?;
        let cooldown = config.mail_requests.cooldown;
        let cleanup = Cleanup { pool: database.pool().clone(), interval: config.cleanup_interval, cooldown };
        let (groups, collector) = grouping::groups(&database, config.server.register_writers, config.event_grace);
        let counts = config.redis.as_ref().map(SharedCounts::new).transpose()?;
        let state = AppState {
            database,
            bell: Bell::default(),
            groups,
            event_grace: config.event_grace,
            idempotency_ttl: config.idempotency_ttl,
            passwords: config.passwords.as_ref().map(ChosenPasswords::new).transpose()?,
            mail_requests: config.mail_requests,
            limits: Limits::new(&config.limits, config.proxies.clone(), counts.as_ref()),
            tokens: Arc::new(Tokens::new(&config.keycloak, &config.tokens)?),
        };
        let (patience, origins) = (config.server.patience, config.origins);
        let peers = Peers::new(config.server.connections_per_client, config.proxies);
        Ok(Self { public, ops, state, collector, patience, peers, origins, cleanup, side, unproven })
    }

    /// Where the public listener is, also when its port was left to the system.
    pub fn local_addr(&self) -> SocketAddr {
        self.public.address()
    }

    /// Where health is answered.
    pub fn ops_addr(&self) -> SocketAddr {
        self.ops.address()
    }

    /// Serves until `lifecycle` shuts down. Health and the bell stay until the last request is answered.
    pub fn spawn(self, lifecycle: &Lifecycle) {
        let Self { public, ops, state, collector, patience, peers, origins, cleanup, side, unproven } = self;
        metrics::begin(state.database.pool());
        let shutdown = lifecycle.shutdown();
        let drained = CancellationToken::new();
        if unproven {
            lifecycle.spawn("durability", durability::watch(side.clone(), shutdown.clone()));
        }
        let probe = Probe { pool: side.clone(), shutdown: shutdown.clone() };
        let health = routes::health::router(probe);
        lifecycle.spawn("cleanup", cleanup.run(shutdown.clone()));
        lifecycle.spawn("limits", state.limits.clone().keep_small(shutdown.clone()));
        lifecycle.spawn("health", {
            // Who asks for health may come from an address that many clients share.
            let (peers, drained) = (peers.counted_apart(), drained.clone());
            async move {
                ops.serve(health, patience, peers, drained.cancelled()).await;
                Ok::<_, Infallible>(())
            }
        });
        lifecycle.spawn("keys", {
            let (keys, drained) = (Arc::clone(&state.tokens.keys), drained.clone());
            async move {
                keys.run(drained).await;
                Ok::<_, Infallible>(())
            }
        });
        lifecycle.spawn("groups", {
            let drained = drained.clone();
            async move {
                collector.run(drained).await;
                Ok::<_, Infallible>(())
            }
        });
        lifecycle.spawn("bell", {
            let (bell, drained) = (state.bell.clone(), drained.clone());
            async move {
                bell.run(side.clone(), drained).await;
                close(&side).await;
                Ok::<_, Infallible>(())
            }
        });
        lifecycle.spawn("http", async move {
            let _last = drained.drop_guard();
            let pool = state.database.pool().clone();
            public.serve(routes::router(state, &origins), patience, peers, shutdown.cancelled()).await;
            close(&pool).await;
            Ok::<_, Infallible>(())
        });
    }
}

/// False when the database is away: it is asked again later, and a registration is not possible meanwhile.
async fn is_durable(pool: &PgPool) -> Result<bool, StoreError> {
    match durability::look(pool).await {
        Ok(()) => Ok(true),
        Err(StoreError::NotDurable) => Err(StoreError::NotDurable),
        Err(error) => {
            tracing::warn!(error = telemetry::chain(&error), "starting without the database");
            Ok(false)
        }
    }
}

/// Serves until the process is asked to end.
pub async fn serve(config: ApiConfig) -> Result<ExitCode, BuildError> {
    let drain = config.server.drain_timeout;
    let app = App::build(config).await?;
    let (lifecycle, signals) = (Lifecycle::default(), Signals::listen().map_err(BuildError::Signals)?);
    tracing::info!(listen = %app.local_addr(), ops = %app.ops_addr(), "accepting registrations");
    app.spawn(&lifecycle);
    Ok(lifecycle.run(signals, drain).await)
}

/// Brings the database up to date.
pub async fn migrate(config: MigrationConfig) -> Result<ExitCode, StoreError> {
    let pool = store::connect(&config.database.url, 1, SessionLimits::API, "usher-api/migrate")?;
    store::migrate(&pool).await?;
    tracing::info!("the database is up to date");
    close(&pool).await;
    Ok(ExitCode::SUCCESS)
}

/// Says goodbye to the server, unless that takes longer than it is worth.
async fn close(pool: &PgPool) {
    timeout(Duration::from_secs(1), pool.close()).await.ok();
}

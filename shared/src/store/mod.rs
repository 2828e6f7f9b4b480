//! All SQL of Usher, one file per subject.
//!
//! Registration and provisioning commit durably. The one transaction that does not is the relay's, see [`outbox`].

pub mod bell;
pub mod census;
pub mod durability;
pub mod expiry;
pub mod funnel;
pub mod hold;
pub mod idempotency_keys;
pub mod mail_requests;
pub mod outbox;
pub mod parked;
pub mod person;
pub mod provisioning;
pub mod registrations;
pub mod rights;
mod session;
mod trust;

use std::{future::Future, sync::Arc, time::Duration};

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    Executor as _, PgConnection, PgPool, Row as _,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

pub use session::Session;
use session::lend;
use trust::Trust;

use crate::telemetry::chain;

/// The schema that this binary was built with.
pub static MIGRATOR: Migrator = {
    let mut migrator = sqlx::migrate!("../migrations");
    // An older binary must start beside a newer schema during a rollout.
    migrator.ignore_missing = true;
    migrator
};

/// What went wrong with the database, by what was being done.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("DATABASE_URL is not a PostgreSQL address")]
    Address(#[source] sqlx::Error),
    #[error("could not {doing}")]
    Query {
        doing: &'static str,
        #[source]
        source: sqlx::Error,
    },
    #[error("the database did not answer in time to: {doing}")]
    Timeout { doing: &'static str },
    #[error("could not migrate the database")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    #[error(
        "the database runs with fsync=off: a crash would lose users that were promised (USHER_ENV=development allows it)"
    )]
    NotDurable,
}

/// Names what was being done when a query fails.
fn query(doing: &'static str) -> impl FnOnce(sqlx::Error) -> StoreError {
    move |source| StoreError::Query { doing, source }
}

/// Waits for a statement, but not for ever: the server's own limit does not help against one that is frozen or cut off.
async fn within<T>(doing: &'static str, answer: impl Future<Output = sqlx::Result<T>>) -> Result<T, StoreError> {
    match timeout(ANSWER_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(query(doing)),
        Err(_) => Err(StoreError::Timeout { doing }),
    }
}

/// Longer than any statement may take on the server.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(12);

/// Limits of a session. All but the first are kept by the server, so that a frozen or cut-off client lets go of its locks.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    /// How long a connection is waited for.
    pub acquire: Duration,
    pub statement: Duration,
    pub idle_in_transaction: Duration,
}

impl SessionLimits {
    /// The api answers within 3 s or not at all. The relay's low mark builds on it: see [`outbox::LowMark`].
    pub const API: Self = Self {
        acquire: Duration::from_millis(2_500),
        statement: Duration::from_secs(3),
        idle_in_transaction: Duration::from_secs(5),
    };
    /// Nobody waits for a worker's answer, so it waits patiently. The relay holds its claim while the broker confirms.
    pub const WORKER: Self = Self {
        acquire: Duration::from_secs(10),
        statement: Duration::from_secs(10),
        idle_in_transaction: Duration::from_secs(30),
    };
}

/// What a worker's sessions are called, of which it has one for as long as it runs.
pub const WORKER: &str = "usher-worker";

/// How a session plans: once for each statement, by its indexes.
///
/// Sessions last, and a plan that looked cheap is kept. In an outbox that was empty when it was vacuumed, as it is most
/// of the time, it looked cheap to read everything: with a backlog of 100,000 events a claim took 7.6 s, until the
/// autovacuum had counted them. Every statement of [`store`](self) that is asked all the time has an index, and what
/// one has chosen and locked it deletes by an array, for which there is no join to plan.
pub const PLANS: [(&str, &str); 3] = [
    ("enable_seqscan", "off"),
    // A LIMIT that is not known yet looks expensive, for which a plan would be made anew each time.
    ("plan_cache_mode", "force_generic_plan"),
    // Where there is no index, a plan looks so expensive now that it would be compiled to machine code.
    ("jit", "off"),
];

/// A pool that connects when first used: a database that is away delays nothing but the queries.
///
/// A session that may only read is not used again: what made it so (a setting of the database, a switch-over) holds for
/// its whole life, and a new one may be free of it.
pub fn connect(
    url: &SecretString,
    max_connections: u32,
    limits: SessionLimits,
    application: &str,
) -> Result<PgPool, StoreError> {
    let options = url.expose_secret().parse::<PgConnectOptions>().map_err(StoreError::Address)?;
    let options = options.application_name(application).options(PLANS).options([
        ("statement_timeout", limits.statement.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", limits.idle_in_transaction.as_millis().to_string()),
        ("tcp_keepalives_idle", "5".to_owned()),
        ("tcp_keepalives_interval", "2".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
        ("tcp_user_timeout", "15000".to_owned()),
    ]);
    let trust = Arc::new(Trust::default());
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(limits.acquire)
        // The question whether it may write tells too whether it is alive.
        .test_before_acquire(false)
        .before_acquire(move |connection, session| {
            let asks = trust.ends(session.idle_for);
            Box::pin(async move { if asks { may_write(connection).await } else { Ok(true) } })
        });
    Ok(pool.connect_lazy_with(options))
}

/// So that the one who needs a session has time left for another one.
const ALIVE_WITHIN: Duration = Duration::from_secs(2);

async fn may_write(connection: &mut PgConnection) -> sqlx::Result<bool> {
    // Not prepared, so that it takes one round trip.
    let answer = timeout(ALIVE_WITHIN, connection.fetch_one("SHOW transaction_read_only"));
    let answer = answer.await.map_err(|late| sqlx::Error::Io(late.into()))??;
    Ok(answer.try_get::<&str, _>(0)? == "off")
}

/// Runs the migrations that are missing. Any number of processes may do it at once: an advisory lock lines them up.
pub async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    // Not back into the pool, however this ends: the limit is lifted on this one.
    let mut connection = within("connect to the database", pool.acquire()).await?.detach();
    // An index over many rows takes longer than a query may.
    within("lift the statement timeout", connection.execute("SET statement_timeout = 0")).await?;
    MIGRATOR.run(&mut connection).await?;
    Ok(())
}

/// Whether the schema has all that this binary was built with.
pub async fn schema_is_current(pool: &PgPool) -> Result<bool, StoreError> {
    Ok(rights::missing_migrations(pool).await?.is_empty())
}

/// Waits until [`schema_is_current`]. Says no when `shutdown` came first.
pub async fn until_schema_is_current(pool: &PgPool, shutdown: &CancellationToken) -> bool {
    let mut last = String::new();
    let wait = async {
        loop {
            let state = match schema_is_current(pool).await {
                Ok(true) => return,
                Ok(false) => "the schema is older than this binary; run usher-api migrate".to_owned(),
                Err(error) => chain(&error),
            };
            if last != state {
                tracing::warn!(state, "waiting for the database");
                last = state;
            }
            sleep(SCHEMA_INTERVAL).await;
        }
    };
    shutdown.run_until_cancelled(wait).await.is_some()
}

const SCHEMA_INTERVAL: Duration = Duration::from_secs(1);

/// Whether the database answers, and takes what is written.
pub async fn may_be_written(pool: &PgPool) -> Result<bool, StoreError> {
    let mut session = lend(pool).await?;
    // Asked here as well: the pool does not ask a session that it has just made.
    let may = within("see whether the database may be written", may_write(&mut session)).await?;
    if !may {
        session.close_on_drop();
    }
    Ok(may)
}

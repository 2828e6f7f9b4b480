//! All SQL of Usher, one file per subject.
//!
//! Registration and provisioning commit durably. The one transaction that does not is the relay's, see [`outbox`].

pub mod bell;
pub mod durability;
pub mod outbox;
pub mod provisioning;
pub mod registrations;

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::{
    Executor as _, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};

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

/// Limits of a session, kept by the server, so that a frozen or cut-off client lets go of its locks.
#[derive(Debug, Clone, Copy)]
pub struct SessionLimits {
    pub statement: Duration,
    pub idle_in_transaction: Duration,
}

impl SessionLimits {
    /// The api answers within 3 s or not at all. The relay's low mark builds on it: see [`outbox::LowMark`].
    pub const API: Self = Self { statement: Duration::from_secs(3), idle_in_transaction: Duration::from_secs(5) };
    /// The relay holds its claim while the broker confirms.
    pub const WORKER: Self = Self { statement: Duration::from_secs(10), idle_in_transaction: Duration::from_secs(30) };
}

/// A pool that connects when first used: a database that is away delays nothing but the queries.
pub fn connect(
    url: &SecretString,
    max_connections: u32,
    limits: SessionLimits,
    application: &str,
) -> Result<PgPool, StoreError> {
    let options = url.expose_secret().parse::<PgConnectOptions>().map_err(StoreError::Address)?;
    let options = options.application_name(application).options([
        ("statement_timeout", limits.statement.as_millis().to_string()),
        ("idle_in_transaction_session_timeout", limits.idle_in_transaction.as_millis().to_string()),
        ("tcp_keepalives_idle", "5".to_owned()),
        ("tcp_keepalives_interval", "2".to_owned()),
        ("tcp_keepalives_count", "3".to_owned()),
        ("tcp_user_timeout", "15000".to_owned()),
    ]);
    Ok(PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(Duration::from_millis(2_500))
        .connect_lazy_with(options))
}

/// Runs the migrations that are missing. Any number of processes may do it at once: an advisory lock lines them up.
pub async fn migrate(pool: &PgPool) -> Result<(), StoreError> {
    let mut connection = pool.acquire().await.map_err(query("connect to the database"))?;
    // An index over many rows takes longer than a query may.
    connection.execute("SET statement_timeout = 0").await.map_err(query("lift the statement timeout"))?;
    MIGRATOR.run(&mut *connection).await?;
    // Not back into the pool: the limit is lifted on this one.
    connection.detach();
    Ok(())
}

/// Whether the schema is at least the one this binary was built with.
pub async fn schema_is_current(pool: &PgPool) -> Result<bool, StoreError> {
    let wanted = MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or_default();
    let applied = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM _sqlx_migrations WHERE version = $1 AND success) AS "exists!""#,
        wanted
    );
    match applied.fetch_one(pool).await {
        Ok(exists) => Ok(exists),
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => Ok(false),
        Err(error) => Err(query("read the schema version")(error)),
    }
}

const UNDEFINED_TABLE: &str = "42P01";

/// Refuses a server that may forget what it has confirmed.
pub async fn require_durable(pool: &PgPool) -> Result<(), StoreError> {
    let fsync = sqlx::query_scalar!(r#"SELECT current_setting('fsync') AS "fsync!""#)
        .fetch_one(pool)
        .await
        .map_err(query("read the setting fsync"))?;
    if fsync == "on" { Ok(()) } else { Err(StoreError::NotDurable) }
}

/// Whether the database answers.
pub async fn ping(pool: &PgPool) -> Result<(), StoreError> {
    sqlx::query!("SELECT").execute(pool).await.map(drop).map_err(query("reach the database"))
}

//! A database of the run's own, on the server of the stack.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shared::store;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::time::{Instant, sleep};
use url::Url;

use super::NAME;

/// A session ends a little after its process.
const LEFT_WITHIN: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(20);

pub(crate) struct Database {
    pub(crate) url: String,
    pub(crate) pool: PgPool,
    name: String,
    server: String,
}

impl Database {
    /// Empty and migrated, on a server that keeps what it promises.
    pub(crate) async fn fresh(stack_url: &str) -> Result<Self> {
        Self::named(stack_url, NAME).await
    }

    pub(crate) async fn named(stack_url: &str, name: &str) -> Result<Self> {
        let (server, url) = (with_name(stack_url, "postgres")?, with_name(stack_url, name)?);
        let mut connection = PgConnection::connect(&server).await.context("PostgreSQL is not there")?;
        let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await?;
        ensure!(fsync == "on", "PostgreSQL runs with fsync={fsync}: what it measures would be worth nothing");
        left(&mut connection, name).await?;
        connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))).await?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        let pool = PgPoolOptions::new().max_connections(20).test_before_acquire(false).connect(&url).await?;
        store::migrate(&pool).await?;
        Ok(Self { url, pool, name: name.to_owned(), server })
    }

    /// Every round begins alike: with empty tables, and without what the one before left to be written.
    pub(crate) async fn empty(&self) -> Result<()> {
        self.pool.execute("TRUNCATE users, outbox, idempotency_keys, mail_requests").await?;
        self.pool.execute("CHECKPOINT").await?;
        Ok(())
    }

    pub(crate) async fn remove(self) -> Result<()> {
        self.pool.close().await;
        let mut connection = PgConnection::connect(&self.server).await?;
        connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name))).await?;
        Ok(())
    }
}

/// Nobody else may be there: not a run beside this one, and no worker that a killed one left, which would join in.
async fn left(connection: &mut PgConnection, name: &str) -> Result<()> {
    let began = Instant::now();
    loop {
        let sessions: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND backend_type = 'client backend'",
        )
        .bind(name)
        .fetch_one(&mut *connection)
        .await?;
        if sessions == 0 {
            return Ok(());
        }
        ensure!(began.elapsed() < LEFT_WITHIN, "another run, or what a killed one left, uses the database {name}");
        sleep(POLL).await;
    }
}

fn with_name(url: &str, name: &str) -> Result<String> {
    let mut url = Url::parse(url).context("DATABASE_URL is no address")?;
    url.set_path(name);
    Ok(url.into())
}

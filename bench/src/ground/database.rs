//! A database of the run's own, on the server of the stack.

use anyhow::{Context as _, Result, ensure};
use shared::store;
use sqlx::{
    AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use url::Url;

use super::NAME;

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
        // Not by force. PostgreSQL waits five seconds for others to leave, and refuses while somebody stays: a run beside
        // this one, or a worker that a killed one left, which would join in.
        let dropped = connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).await;
        dropped.with_context(|| format!("cannot drop the database {name}, which was left by another run"))?;
        connection.execute(AssertSqlSafe(format!("CREATE DATABASE {name}"))).await?;
        let options = url.parse::<PgConnectOptions>()?.options(store::PLANS);
        let pool = PgPoolOptions::new().max_connections(20).test_before_acquire(false).connect_with(options).await?;
        store::migrate(&pool).await?;
        Ok(Self { url, pool, name: name.to_owned(), server })
    }

    /// Every round begins alike: with empty tables, and without what the one before left to be written.
    pub(crate) async fn empty(&self) -> Result<()> {
        self.pool.execute("TRUNCATE users, outbox, idempotency_keys, mail_requests").await?;
        self.pool.execute("CHECKPOINT").await?;
        Ok(())
    }

    pub(crate) async fn registered(&self) -> Result<i64> {
        Ok(sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(&self.pool).await?)
    }

    pub(crate) async fn remove(self) -> Result<()> {
        self.pool.close().await;
        let mut connection = PgConnection::connect(&self.server).await?;
        connection.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name))).await?;
        Ok(())
    }
}

fn with_name(url: &str, name: &str) -> Result<String> {
    let mut url = Url::parse(url).context("DATABASE_URL is no address")?;
    url.set_path(name);
    Ok(url.into())
}

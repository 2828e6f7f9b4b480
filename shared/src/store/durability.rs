//! Refusing a database that may forget what it has confirmed.
//!
//! A server with `fsync=off` cannot keep the promise, so in production no process works on one. A database that is away
//! is no reason not to start: it is looked at as soon as it can be, and one that turns out not to be durable ends the
//! process then.

use std::time::Duration;

use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use super::{StoreError, session::lend, within};

const PAUSE: Duration = Duration::from_secs(1);

/// Looks until it is known, then waits for `shutdown`. Ends earlier with [`StoreError::NotDurable`] only.
pub async fn watch(pool: PgPool, shutdown: CancellationToken) -> Result<(), StoreError> {
    while let Some(looked) = shutdown.run_until_cancelled(look(&pool)).await {
        match looked {
            Ok(()) => break,
            Err(StoreError::NotDurable) => return Err(StoreError::NotDurable),
            // Whoever needs the database says so loudly enough.
            Err(_) => _ = shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await,
        }
    }
    shutdown.cancelled().await;
    Ok(())
}

/// Looks once.
pub async fn look(pool: &PgPool) -> Result<(), StoreError> {
    let fsync = within(
        "read the setting fsync",
        sqlx::query_scalar!(r#"SELECT current_setting('fsync') AS "fsync!""#).fetch_one(&mut *lend(pool).await?),
    )
    .await?;
    if fsync == "on" { Ok(()) } else { Err(StoreError::NotDurable) }
}

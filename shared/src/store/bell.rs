//! The bell between the api and the relay: "there is something in the outbox".
//!
//! Only a hint. It is rung after the commit, never inside it: a NOTIFY in the transaction holds a global lock across
//! the flush of the WAL and was measured to cut 16 writers from 4,940 to 680 transactions per second. A ring that is
//! lost costs the relay's poll interval, nothing else.

use std::{convert::Infallible, sync::Arc, time::Duration};

use sqlx::{PgPool, postgres::PgListener};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};
use tokio_util::sync::CancellationToken;

use super::{StoreError, query, within};

const CHANNEL: &str = "usher_outbox";

/// Between two rings.
const PAUSE: Duration = Duration::from_millis(2);

/// The handle to ring with. Rings while one is on its way become one.
#[derive(Debug, Clone, Default)]
pub struct Bell(Arc<Notify>);

impl Bell {
    /// Returns at once, whatever the database does.
    pub fn ring(&self) {
        self.0.notify_one();
    }

    /// Carries the rings to the database, one at a time, until `shutdown`. The first one goes at once; those that follow
    /// it closely wait for [`PAUSE`] and become one: while many register, to ring for each would cost as much as to write
    /// them.
    pub async fn run(self, pool: PgPool, shutdown: CancellationToken) {
        while shutdown.run_until_cancelled(self.0.notified()).await.is_some() {
            let rung = Instant::now();
            if let Err(error) = notify(&pool).await {
                tracing::debug!(error = &error as &dyn std::error::Error, "a ring was lost; the relay will poll");
            }
            shutdown.run_until_cancelled(sleep_until(rung + PAUSE)).await;
        }
    }
}

/// Rings once, by itself.
pub async fn notify(pool: &PgPool) -> Result<(), StoreError> {
    within("ring the bell", sqlx::query!("SELECT pg_notify($1, '')", CHANNEL).execute(pool)).await?;
    Ok(())
}

/// Listens on a connection of its own until `shutdown`, and passes each ring to `heard`.
///
/// Rings once after every (re)connect, because whatever was rung in between is lost.
pub async fn listen(pool: PgPool, heard: Arc<Notify>, shutdown: CancellationToken) -> Result<(), Infallible> {
    const AGAIN: Duration = Duration::from_secs(1);
    while !shutdown.is_cancelled() {
        let listened = shutdown.run_until_cancelled(Box::pin(listen_once(&pool, &heard))).await;
        if let Some(Err(error)) = listened {
            tracing::warn!(error = &error as &dyn std::error::Error, "not listening for new events; polling instead");
            shutdown.run_until_cancelled(sleep(AGAIN)).await;
        }
    }
    Ok(())
}

async fn listen_once(pool: &PgPool, heard: &Notify) -> Result<(), StoreError> {
    let mut listener = within("connect the listener", PgListener::connect_with(pool)).await?;
    within("listen for new events", listener.listen(CHANNEL)).await?;
    heard.notify_one();
    // `None` says that the connection was lost; the listener reconnects in the next call.
    loop {
        listener.try_recv().await.map_err(query("wait for new events"))?;
        heard.notify_one();
    }
}

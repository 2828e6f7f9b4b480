//! The bell between the api and the relay: "there is something in the outbox".
//!
//! Only a hint. It is rung after the commit, never inside it: a NOTIFY in the transaction holds a global lock across
//! the flush of the WAL and was measured to cut 16 writers from 4,940 to 680 transactions per second. A ring that is
//! lost costs the relay's poll interval, nothing else.

use std::{convert::Infallible, sync::Arc, time::Duration};

use sqlx::{
    Executor as _, PgPool,
    postgres::{PgListener, PgPoolOptions},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{StoreError, query, session::lend, within};

const CHANNEL: &str = "usher_outbox";

/// Between two rings.
const PAUSE: Duration = Duration::from_millis(2);

/// After which a listener asks whether it is connected still. Meanwhile the relay polls.
const SILENCE: Duration = Duration::from_secs(10);

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
    within("ring the bell", sqlx::query!("SELECT pg_notify($1, '')", CHANNEL).execute(&mut *lend(pool).await?)).await?;
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

/// Until the connection is lost.
async fn listen_once(pool: &PgPool, heard: &Notify) -> Result<(), StoreError> {
    // In a pool of its own: sqlx takes a listener back without a limit, and a dead one would keep others from their turn.
    let own = PgPoolOptions::new().max_connections(1).connect_lazy_with(pool.connect_options().as_ref().clone());
    let mut listener = within("connect the listener", Box::pin(PgListener::connect_with(&own))).await?;
    // Whoever connects anew rings.
    listener.eager_reconnect(false);
    within("listen for new events", listener.listen(CHANNEL)).await?;
    heard.notify_one();
    while is_rung(&mut listener).await? {
        heard.notify_one();
    }
    Ok(())
}

/// Says no when the connection is lost. Who only listens does not learn that a host has vanished, and asks now and then.
async fn is_rung(listener: &mut PgListener) -> Result<bool, StoreError> {
    loop {
        if let Ok(ring) = timeout(SILENCE, listener.try_recv()).await {
            return ring.map(|ring| ring.is_some()).map_err(query("wait for new events"));
        }
        within("see whether anybody could ring", listener.execute("SELECT 1")).await?;
    }
}

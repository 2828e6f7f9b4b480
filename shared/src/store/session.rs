//! Sessions of a pool, which goes on without those that do not come back.
//!
//! sqlx asks a session whether it is alive before it takes it back, also one whose answer nobody waited for, and waits
//! without a limit. Where the host has vanished without a word, that is until the kernel gives up: a quarter of an hour
//! in which no new session may take its place. So nothing here is asked on the pool itself: each statement has a
//! [`Session`] of it, and that one has [`RETURNS_WITHIN`] to come back.

use std::{
    ops::{Deref, DerefMut},
    time::Duration,
};

use sqlx::{Executor as _, PgConnection, PgPool, Postgres, pool::PoolConnection};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use super::{StoreError, within};

/// As long as a statement of the api may take on the server, so that one that is only slow gives its session back.
const RETURNS_WITHIN: Duration = Duration::from_secs(3);

/// On loan from a pool. What does not return in time is dropped, and the pool may connect anew.
#[derive(Debug)]
pub struct Session {
    connection: PoolConnection<Postgres>,
    closes: bool,
}

impl Session {
    /// Waits for as long as the pool allows.
    pub async fn of(pool: &PgPool) -> sqlx::Result<Self> {
        Ok(Self { connection: pool.acquire().await?, closes: false })
    }

    /// Instead of going back. That too has its limit, which is sqlx's own.
    pub fn close_on_drop(&mut self) {
        self.closes = true;
        self.connection.close_on_drop();
    }
}

impl Deref for Session {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if !self.closes {
            // What sqlx would do by itself. When it is cut off, the connection is dropped and its place is free.
            let returned = self.connection.return_to_pool();
            TaskTracker::new().spawn(timeout(RETURNS_WITHIN, returned));
        }
    }
}

/// A session for one statement.
pub(super) async fn lend(pool: &PgPool) -> Result<Session, StoreError> {
    // On the heap: to connect is a large future, and whoever waits for it a larger one.
    within("connect to the database", Box::pin(Session::of(pool))).await
}

/// Rolled back unless it is committed. A session whose transaction was not ended is closed: nobody knows what is left
/// in it, and what is written there next might look committed and be rolled back.
#[derive(Debug)]
pub(super) struct Transaction {
    session: Session,
    is_open: bool,
}

impl Transaction {
    pub(super) async fn begin(doing: &'static str, pool: &PgPool, statement: &'static str) -> Result<Self, StoreError> {
        let mut begun = Self { session: lend(pool).await?, is_open: true };
        within(doing, begun.session.execute(statement)).await?;
        Ok(begun)
    }

    pub(super) async fn commit(mut self, doing: &'static str) -> Result<(), StoreError> {
        self.end(doing, "COMMIT").await
    }

    /// Keeps the session, unlike to drop it.
    pub(super) async fn roll_back(mut self, doing: &'static str) -> Result<(), StoreError> {
        self.end(doing, "ROLLBACK").await
    }

    async fn end(&mut self, doing: &'static str, statement: &'static str) -> Result<(), StoreError> {
        within(doing, self.session.execute(statement)).await?;
        self.is_open = false;
        Ok(())
    }
}

impl Deref for Transaction {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.session
    }
}

impl DerefMut for Transaction {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.session
    }
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if self.is_open {
            self.session.close_on_drop();
        }
    }
}

//! Asking the database without waiting for it longer than a caller would.

use std::{future::Future, sync::Arc, time::Duration};

use shared::store::StoreError;
use sqlx::PgPool;
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

/// Long enough for a loaded server, short enough to be an answer. The server's own limit on a statement does not help
/// against a server that is frozen or cut off.
const PATIENCE: Duration = Duration::from_secs(3);
/// What is left of it is enough to connect and to ask.
const TURN_WITHIN: Duration = Duration::from_secs(1);

/// The database, and turns to ask it, one for each connection.
///
/// The pool has a queue of its own, but whoever comes to its front may have to make a connection first, with what the
/// queue has left of the time for it. After an outage that can be too little for everybody: each begins to connect and is
/// cut off, nobody ever has a connection, and it goes on for as long as people come. Whoever has a turn need not queue
/// there.
#[derive(Debug, Clone)]
pub struct Database {
    pub pool: PgPool,
    turns: Arc<Semaphore>,
}

/// Why the database gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    #[error("the database did not answer within {PATIENCE:?}")]
    Late,
    #[error("others asked the database for all of {TURN_WITHIN:?}")]
    Busy,
    /// The same question may be answered later.
    #[error("the database is away")]
    Away(#[source] StoreError),
    /// The same question would be refused again.
    #[error("the database refused the question")]
    Refused(#[source] StoreError),
}

impl Database {
    /// `pool` has so many connections.
    pub fn new(pool: PgPool, connections: u32) -> Self {
        Self { pool, turns: Arc::new(Semaphore::new(connections.try_into().unwrap_or(Semaphore::MAX_PERMITS))) }
    }

    /// Waits for `answer`, for a while.
    pub async fn ask<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, DatabaseError> {
        let deadline = Instant::now() + PATIENCE;
        let Ok(Ok(_turn)) = timeout(TURN_WITHIN, self.turns.acquire()).await else {
            return Err(DatabaseError::Busy);
        };
        match timeout_at(deadline, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) if is_away(&error) => Err(DatabaseError::Away(error)),
            Ok(Err(error)) => Err(DatabaseError::Refused(error)),
            Err(_elapsed) => Err(DatabaseError::Late),
        }
    }
}

fn is_away(error: &StoreError) -> bool {
    match error {
        StoreError::Query { source, .. } => is_passing(source),
        StoreError::Timeout { .. } | StoreError::NotDurable => true,
        StoreError::Address(_) | StoreError::Migrate(_) => false,
    }
}

fn is_passing(error: &sqlx::Error) -> bool {
    use sqlx::Error as E;
    match error {
        E::Database(error) => error.code().is_some_and(|code| is_passing_state(&code)),
        // No row: a registration met one row after the other that vanished when it looked at it.
        E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::RowNotFound => {
            true
        }
        _ => false,
    }
}

/// By the classes of <https://www.postgresql.org/docs/current/errcodes-appendix.html>: connection (08), read-only
/// standby (25), login (28), rollback (40), no such database (3D), resources (53), operator intervention and statement
/// timeout (57), system (58), and a table that the migration has yet to make (42P01).
fn is_passing_state(code: &str) -> bool {
    code == "42P01" || ["08", "25", "28", "3D", "40", "53", "57", "58"].iter().any(|class| code.starts_with(class))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn database(connections: u32) -> Database {
        Database::new(PgPool::connect_lazy("postgres://nowhere").unwrap(), connections)
    }

    fn query(source: sqlx::Error) -> StoreError {
        StoreError::Query { doing: "test", source }
    }

    #[tokio::test]
    async fn tells_a_server_that_is_away_from_a_question_that_is_wrong() {
        let database = database(1);
        let away = database.ask(async { Err::<(), _>(query(sqlx::Error::PoolTimedOut)) }).await;
        assert!(matches!(away, Err(DatabaseError::Away(_))), "{away:?}");
        let wrong = database.ask(async { Err::<(), _>(query(sqlx::Error::ColumnNotFound("x".to_owned()))) }).await;
        assert!(matches!(wrong, Err(DatabaseError::Refused(_))), "{wrong:?}");
    }

    #[tokio::test]
    async fn whoever_has_a_turn_does_not_share_its_time() {
        let database = database(1);
        let silence = || database.ask(std::future::pending::<Result<(), _>>());
        tokio::select! {
            biased;
            first = silence() => panic!("the one who has the turn came first: {first:?}"),
            second = silence() => assert!(matches!(second, Err(DatabaseError::Busy)), "{second:?}"),
        }
    }

    #[test]
    fn states_that_pass() {
        for (code, passing) in [("57P01", true), ("57014", true), ("53300", true), ("25006", true), ("42P01", true)] {
            assert_eq!(is_passing_state(code), passing, "{code}");
        }
        for code in ["23505", "23514", "42601", "42703", "22021"] {
            assert!(!is_passing_state(code), "{code}");
        }
    }
}

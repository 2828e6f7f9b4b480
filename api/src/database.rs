//! Asking the database without waiting for it longer than a caller would.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use shared::{
    config::DatabaseConfig,
    store::{self, Session, SessionLimits, StoreError},
};
use sqlx::{PgConnection, PgPool};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tokio_util::task::TaskTracker;

/// Long enough for a loaded server, short enough to be an answer. The server's own limit on a statement does not help
/// against a server that is frozen or cut off.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);
/// What is left of it is enough to ask.
const TURN_WITHIN: Duration = Duration::from_secs(1);
/// Longer than anybody waits: the next one has the connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// The database, and turns to ask it, one for each connection.
///
/// To connect goes on without the request that began it. Otherwise, after an outage, it can take longer than anybody
/// waits: each begins to connect and is cut off, nobody ever has a connection, and so it stays for as long as people
/// come. Whoever has no turn yet does not begin, so no more are connecting than the pool has room for.
#[derive(Debug, Clone)]
pub struct Database {
    pool: PgPool,
    turns: Arc<Semaphore>,
    connecting: TaskTracker,
}

type Turn = (Session, OwnedSemaphorePermit);

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
    /// The database may be away.
    pub fn new(config: &DatabaseConfig) -> Result<Self, StoreError> {
        let limits = SessionLimits { acquire: CONNECT_WITHIN, ..SessionLimits::API };
        let pool = store::connect(&config.url, config.max_connections, limits, "usher-api")?;
        Ok(Self::with(pool, config.max_connections))
    }

    fn with(pool: PgPool, connections: u32) -> Self {
        let turns = Arc::new(Semaphore::new(connections.try_into().unwrap_or(Semaphore::MAX_PERMITS)));
        Self { pool, turns, connecting: TaskTracker::new() }
    }

    /// For whom nobody waits.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Asks `question` on a connection, and waits for the answer, for a while.
    pub async fn ask<T>(
        &self,
        question: impl AsyncFnOnce(&mut PgConnection) -> Result<T, StoreError>,
    ) -> Result<T, DatabaseError> {
        let answer = async {
            let (mut session, _turn) = self.turn().await?;
            let answer = question(&mut session).await;
            if answer.as_ref().is_err_and(may_only_read) {
                session.close_on_drop();
            }
            answer.map_err(DatabaseError::from)
        };
        timeout(PATIENCE, answer).await.unwrap_or(Err(DatabaseError::Late))
    }

    async fn turn(&self) -> Result<Turn, DatabaseError> {
        let Ok(Ok(turn)) = timeout(TURN_WITHIN, Arc::clone(&self.turns).acquire_owned()).await else {
            return Err(DatabaseError::Busy);
        };
        let pool = self.pool.clone();
        let mut connecting = Box::pin(async move { Ok((Session::of(&pool).await?, turn)) });
        let session = match connecting.as_mut().now_or_never() {
            Some(at_once) => at_once,
            // Ends by itself, and nothing is lost when it is cut off.
            None => self.connecting.spawn(connecting).await.unwrap_or(Err(sqlx::Error::WorkerCrashed)),
        };
        session.map_err(|source| StoreError::Query { doing: "connect to the database", source }.into())
    }
}

impl DatabaseError {
    /// The line to the database is gone, and with it the answer: whether the question was heard, nobody knows.
    pub(crate) fn is_a_lost_line(&self) -> bool {
        match self {
            Self::Away(StoreError::Query { source: sqlx::Error::Io(_), .. }) => true,
            // The server's last word, as it stops or ends this one session. It may come after a commit.
            Self::Away(StoreError::Query { source: sqlx::Error::Database(error), .. }) => {
                matches!(error.code().as_deref(), Some("57P01" | "57P02"))
            }
            _ => false,
        }
    }
}

impl From<StoreError> for DatabaseError {
    fn from(error: StoreError) -> Self {
        if is_away(&error) { Self::Away(error) } else { Self::Refused(error) }
    }
}

/// So it stays for the life of the session, whatever becomes of the database.
fn may_only_read(error: &StoreError) -> bool {
    let StoreError::Query { source: sqlx::Error::Database(error), .. } = error else { return false };
    error.code().as_deref() == Some("25006")
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

    fn query(source: sqlx::Error) -> StoreError {
        StoreError::Query { doing: "test", source }
    }

    #[test]
    fn tells_a_server_that_is_away_from_a_question_that_is_wrong() {
        let away = DatabaseError::from(query(sqlx::Error::PoolTimedOut));
        assert!(matches!(away, DatabaseError::Away(_)), "{away:?}");
        let wrong = DatabaseError::from(query(sqlx::Error::ColumnNotFound("x".to_owned())));
        assert!(matches!(wrong, DatabaseError::Refused(_)), "{wrong:?}");
    }

    #[tokio::test]
    async fn no_more_connect_than_there_is_room_for() {
        let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("postgres://{}/usher", silent.local_addr().unwrap());
        let database = Database::with(PgPool::connect_lazy(&url).unwrap(), 1);
        let ask = || database.ask(async |_| Ok(()));
        tokio::select! {
            biased;
            first = ask() => panic!("the one who connects came first: {first:?}"),
            second = ask() => assert!(matches!(second, Err(DatabaseError::Busy)), "{second:?}"),
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

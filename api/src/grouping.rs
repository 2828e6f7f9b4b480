//! Registrations that come while others are being written, written together: one statement and one commit for many.
//!
//! Nobody waits for company. Whoever finds a writer free is written alone and at once; whoever does not waits until one
//! is, at most [`TURN_WITHIN`], and is then written together with all who wait by then. What becomes of a group is no
//! answer to anybody: who was written is told so, and everybody else, whatever the reason, is registered alone, as if
//! there had been no group. The id is the same in both, so a group whose end nobody learned is found again by it.

use std::{sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use shared::store::registrations::{self, Candidate, Registered, group};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;

use crate::database::{Database, DatabaseError, PATIENCE};

/// For how long two who wait for somebody else's commit can hold everybody up.
const TURN_WITHIN: Duration = Duration::from_millis(20);
/// A group whose answer takes longer has met something that its members had better meet alone.
const GROUP_WITHIN: Duration = Duration::from_secs(1);
/// More would make the statement long, and a failure expensive.
const LARGEST: usize = 64;

/// The way to be registered.
#[derive(Debug, Clone)]
pub struct Groups {
    writers: Arc<Semaphore>,
    queue: mpsc::UnboundedSender<Waiting>,
    event_grace: Duration,
}

/// What takes those who wait along. To be run for as long as there are requests.
#[derive(Debug)]
pub struct Collector {
    writers: Arc<Semaphore>,
    queue: mpsc::UnboundedReceiver<Waiting>,
    database: Database,
    event_grace: Duration,
}

/// Somebody who wants to be registered, and the way to tell that it is done. Dropped without a word when it is not.
#[derive(Debug)]
struct Waiting {
    candidate: Candidate,
    done: oneshot::Sender<DateTime<Utc>>,
}

/// `writers` of them write at once.
pub fn groups(database: &Database, writers: u16, event_grace: Duration) -> (Groups, Collector) {
    // As many as there may be requests, so it need not be bounded.
    let (queue, waiting) = mpsc::unbounded_channel();
    let writers = Arc::new(Semaphore::new(writers.into()));
    let groups = Groups { writers: Arc::clone(&writers), queue, event_grace };
    (groups, Collector { writers, queue: waiting, database: database.clone(), event_grace })
}

impl Groups {
    /// Registers, alone or with others. The answer is the same.
    pub async fn register(&self, database: &Database, candidate: Candidate) -> Result<Registered, DatabaseError> {
        let registered = async {
            if let Ok(_writer) = self.writers.try_acquire() {
                return self.alone(database, &candidate).await;
            }
            match self.with_others(candidate.clone()).await {
                Some(created_at) => Ok(Registered::Created { id: candidate.id, created_at }),
                None => self.alone(database, &candidate).await,
            }
        };
        timeout(PATIENCE, registered).await.unwrap_or(Err(DatabaseError::Late))
    }

    async fn with_others(&self, candidate: Candidate) -> Option<DateTime<Utc>> {
        let (done, answer) = oneshot::channel();
        self.queue.send(Waiting { candidate, done }).ok()?;
        answer.await.ok()
    }

    /// After an outage every connection of the pool may be dead, and the one who is given it asks on the next.
    async fn alone(&self, database: &Database, candidate: &Candidate) -> Result<Registered, DatabaseError> {
        for _ in 0..database.pool().options().get_max_connections() {
            let answer = self.once(database, candidate).await;
            if !answer.as_ref().is_err_and(DatabaseError::is_a_lost_line) {
                return answer;
            }
        }
        self.once(database, candidate).await
    }

    async fn once(&self, database: &Database, candidate: &Candidate) -> Result<Registered, DatabaseError> {
        database.ask(async |connection| registrations::register(connection, candidate, self.event_grace).await).await
    }
}

impl Collector {
    /// Until `drained`; what is begun then is finished.
    pub async fn run(mut self, drained: CancellationToken) {
        let mut writing = JoinSet::new();
        while let Some(Some(first)) = drained.run_until_cancelled(self.queue.recv()).await {
            let writer = timeout(TURN_WITHIN, Arc::clone(&self.writers).acquire_owned()).await;
            let mut group = vec![first];
            while group.len() < LARGEST
                && let Ok(next) = self.queue.try_recv()
            {
                group.push(next);
            }
            // Who has gone meanwhile is not registered: nobody was told anything.
            group.retain(|waiting| !waiting.done.is_closed());
            let (database, grace) = (self.database.clone(), self.event_grace);
            writing.spawn(async move {
                write(&database, group, grace).await;
                drop(writer);
            });
            while writing.try_join_next().is_some() {}
        }
        while writing.join_next().await.is_some() {}
    }
}

/// Tells those who were written. Nothing is said to the others, who then go on alone.
async fn write(database: &Database, group: Vec<Waiting>, event_grace: Duration) {
    let (candidates, mut done): (Vec<_>, Vec<_>) =
        group.into_iter().map(|waiting| (waiting.candidate, Some(waiting.done))).unzip();
    let answer = database.ask(async |connection| group::register_group(connection, &candidates, event_grace).await);
    match timeout(GROUP_WITHIN, answer).await {
        Ok(Ok(written)) => {
            for (candidate, done) in candidates.iter().zip(&mut done) {
                if let (Some(created_at), Some(done)) = (written.get(&candidate.id), done.take()) {
                    // Who has gone learns it by asking again.
                    done.send(*created_at).ok();
                }
            }
        }
        Ok(Err(error)) => {
            tracing::debug!(
                members = candidates.len(),
                error = shared::telemetry::chain(&error),
                "one by one instead of as a group"
            );
        }
        Err(_elapsed) => tracing::debug!(members = candidates.len(), "one by one: the group is late"),
    }
}

//! What every part of the system has, at the end.

mod broker;
mod database;
mod keycloak;
mod mail;

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

pub use keycloak::Administrator;

use crate::history::{Account, Attempt, History};

/// Where Usher keeps what it owes.
#[derive(Debug, Clone)]
pub struct Places {
    pub database: sqlx::PgPool,
    pub amqp_url: String,
}

/// What Keycloak and the mail server have.
#[derive(Debug, Clone, Default)]
pub struct Outside {
    pub accounts: Vec<Account>,
    /// The recipient of each mail, in lower case.
    pub mails: Vec<String>,
}

/// A user some of whose sends have no recorded answer.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Unanswered {
    pub user: Uuid,
    pub sends: i32,
    /// The last of them may still be answered.
    pub is_leased: bool,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, sqlx::FromRow)]
pub struct Progress {
    /// Users who have their account and their first mail.
    pub provisioned: i64,
    /// Events that wait to be published.
    pub outbox: i64,
}

impl Outside {
    /// A realm and a mail catcher may be shared: of theirs, only what bears a name with `prefix` is read. `mail_url`
    /// speaks Mailpit's API.
    pub async fn read(keycloak: &Administrator, mail_url: &str, prefix: &str) -> Result<Self> {
        Ok(Self { accounts: keycloak.accounts(prefix).await?, mails: mail::recipients(mail_url, prefix).await? })
    }
}

impl Places {
    /// Reads everything of ours. The client's log is its own.
    pub async fn read(&self, attempts: Vec<Attempt>, outside: Outside) -> Result<History> {
        Ok(History {
            attempts,
            rows: database::rows(&self.database).await?,
            outbox: database::outbox_depth(&self.database).await?,
            queues: broker::depths(&self.amqp_url).await?,
            accounts: outside.accounts,
            mails: outside.mails,
            strangers: BTreeSet::new(),
            answers_lost: 0,
        })
    }

    /// Sends whose outcome is not known yet and whose run has not ended: after a kill, those that it cut off.
    pub async fn sends_in_flight(&self) -> Result<u32> {
        database::sends_in_flight(&self.database).await
    }

    /// Everybody some of whose sends have no recorded answer.
    pub async fn unanswered(&self) -> Result<Vec<Unanswered>> {
        database::unanswered(&self.database).await
    }

    pub async fn progress(&self) -> Result<Progress> {
        database::progress(&self.database).await
    }

    /// Messages that wait for a worker.
    pub async fn queued(&self) -> Result<u64> {
        let depths = broker::depths(&self.amqp_url).await?;
        Ok(depths.iter().filter(|(queue, _)| broker::is_work(queue)).map(|(_, depth)| depth).sum())
    }

    /// Waits until nothing is left to do: every user complete or parked, no event and no message waiting.
    pub async fn until_quiet(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        loop {
            let left = self.left_to_do().await;
            match left {
                Ok(left) if left.is_empty() => return Ok(()),
                Ok(left) if Instant::now() >= deadline => bail!("still to do after {patience:?}: {left}"),
                Err(error) if Instant::now() >= deadline => return Err(error),
                _ => sleep(Duration::from_millis(100)).await,
            }
        }
    }

    async fn left_to_do(&self) -> Result<String> {
        let mut left = database::open_users(&self.database).await?;
        let outbox = database::outbox_depth(&self.database).await?;
        if outbox > 0 {
            left.push(format!("{outbox} events in the outbox"));
        }
        if !left.is_empty() {
            return Ok(left.join(", "));
        }
        let depths = broker::depths(&self.amqp_url).await?;
        let waiting = depths.into_iter().filter(|(queue, depth)| *depth > 0 && broker::is_work(queue));
        Ok(waiting.map(|(queue, depth)| format!("{depth} messages in {queue}")).collect::<Vec<_>>().join(", "))
    }
}

//! What was attempted, and what every part of the system has of it at the end.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// One registration as its client saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    pub username: String,
    pub email: String,
    /// The id in the 2xx; `None` when the client never got one.
    pub acknowledged: Option<Uuid>,
}

/// A row of `users`.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Row {
    pub id: Uuid,
    pub username: String,
    pub email: String,
    pub created_at: DateTime<Utc>,
    pub keycloak_id: Option<Uuid>,
    pub is_synced: bool,
    pub is_parked: bool,
    pub mail_wanted: i32,
    pub mail_served: i32,
    /// Sends that were begun.
    pub mail_attempts: i32,
    /// Sends whose outcome was recorded.
    pub mail_answered: i32,
}

impl Row {
    pub fn is_complete(&self) -> bool {
        self.is_synced && self.mail_served == self.mail_wanted && !self.is_parked
    }

    /// Sends of which nobody knows whether a mail left.
    pub fn unanswered(&self) -> i32 {
        self.mail_attempts - self.mail_answered
    }
}

/// A user of Keycloak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: Uuid,
    pub username: String,
    pub email: String,
    pub created_at: DateTime<Utc>,
}

/// Everything that a verdict is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    pub attempts: Vec<Attempt>,
    pub rows: Vec<Row>,
    /// Rows of the outbox that were never published.
    pub outbox: u64,
    /// Messages by queue.
    pub queues: BTreeMap<String, u64>,
    pub accounts: Vec<Account>,
    /// The recipient of each mail that was caught, in lower case.
    pub mails: Vec<String>,
    /// Accounts that were there without us: somebody else's.
    pub strangers: BTreeSet<Uuid>,
    /// Sends whose answer was lost on purpose: those in flight at injected kills, and injected timeouts.
    pub answers_lost: u32,
}

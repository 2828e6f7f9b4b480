//! A user, and how far one has come.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{email::EmailAddress, name::PersonName, username::Username};

/// Identity of a user in Usher; a UUIDv7, so that new rows lie side by side in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserId(Uuid);

impl UserId {
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    pub fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl From<Uuid> for UserId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What somebody who registers tells us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewUser {
    pub username: Username,
    pub email: EmailAddress,
    pub first_name: PersonName,
    pub last_name: PersonName,
}

/// The facts of a row that say how far a user has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    pub created_at: DateTime<Utc>,
    pub synced_at: Option<DateTime<Utc>>,
    pub mail_sent_at: Option<DateTime<Utc>>,
    pub mail_is_owed: bool,
    pub parked_at: Option<DateTime<Utc>>,
    pub parked_reason: Option<String>,
}

/// How far a user has come; never stored, always derived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UserStatus {
    /// Committed; not yet known to exist in Keycloak.
    Pending,
    /// Exists in Keycloak; a set-up mail is still owed.
    Synced,
    /// Exists in Keycloak, and every mail asked for was accepted by a mail server.
    Complete,
    /// Waits for an operator, who is told why.
    Parked,
}

impl Progress {
    pub fn status(&self) -> UserStatus {
        if self.parked_at.is_some() {
            UserStatus::Parked
        } else if self.synced_at.is_none() {
            UserStatus::Pending
        } else if self.mail_is_owed {
            UserStatus::Synced
        } else {
            UserStatus::Complete
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_follows_from_the_facts() {
        let now = DateTime::UNIX_EPOCH;
        let new = Progress {
            created_at: now,
            synced_at: None,
            mail_sent_at: None,
            mail_is_owed: true,
            parked_at: None,
            parked_reason: None,
        };
        let synced = Progress { synced_at: Some(now), ..new.clone() };
        let complete = Progress { mail_is_owed: false, mail_sent_at: Some(now), ..synced.clone() };
        let parked = Progress { parked_at: Some(now), ..complete.clone() };
        let statuses = [new, synced, complete, parked].map(|facts| facts.status());
        assert_eq!(statuses, [UserStatus::Pending, UserStatus::Synced, UserStatus::Complete, UserStatus::Parked]);
    }
}

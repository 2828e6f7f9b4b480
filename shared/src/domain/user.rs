//! A user, and how far one has come.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::{email::EmailAddress, locale::Locale, name::PersonName, username::Username};

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
    /// The language to write to them in.
    pub locale: Option<Locale>,
}

impl NewUser {
    /// Tells two registrations apart without keeping either: SHA-256 of what is registered. No secret may enter it,
    /// or whoever reads it could try guesses at that secret.
    pub fn fingerprint(&self) -> [u8; 32] {
        let texts = [self.username.as_str(), self.email.as_str(), self.first_name.as_str(), self.last_name.as_str()];
        // Where there is none, it adds nothing: those who were registered before there were any are still the same.
        let texts = texts.into_iter().chain(self.locale.as_ref().map(Locale::as_str));
        // With the lengths, or else two different registrations could come to the same bytes.
        let hash =
            texts.fold(Sha256::new(), |hash, text| hash.chain_update(text.len().to_le_bytes()).chain_update(text));
        hash.finalize().into()
    }
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
    /// One of [`PasswordState`]; nothing if no password was chosen at the registration.
    pub password_state: Option<String>,
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

/// What became of a password that was chosen at the registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PasswordState {
    /// For the account to be made.
    Waiting,
    /// The account was made with it. It lets nobody in before the address is confirmed, and is gone when another mail is
    /// asked for before that.
    Set,
    /// It was gone before the account was made. The set-up mail asks for another one.
    Lost,
    /// The realm's policy does not allow it. The set-up mail asks for another one.
    Refused,
}

impl PasswordState {
    pub const ALL: [Self; 4] = [Self::Waiting, Self::Set, Self::Lost, Self::Refused];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Set => "set",
            Self::Lost => "lost",
            Self::Refused => "refused",
        }
    }
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
    fn a_fingerprint_tells_registrations_apart() {
        let user = |username, first, last| NewUser {
            locale: None,
            username: Username::parse(username).unwrap(),
            email: EmailAddress::parse("ada@example.org").unwrap(),
            first_name: PersonName::parse(first).unwrap(),
            last_name: PersonName::parse(last).unwrap(),
        };
        let ada = user("ada", "Ada", "Lovelace").fingerprint();
        assert_eq!(ada, user("ADA", " Ada", "Lovelace").fingerprint(), "what is parsed to the same is the same");
        assert_ne!(ada, user("bob", "Ada", "Lovelace").fingerprint());
        assert_ne!(ada, user("ada", "AdaL", "ovelace").fingerprint());
        let german = NewUser { locale: Some(Locale::parse("de").unwrap()), ..user("ada", "Ada", "Lovelace") };
        assert_ne!(ada, german.fingerprint());
    }

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
            password_state: None,
        };
        let synced = Progress { synced_at: Some(now), ..new.clone() };
        let complete = Progress { mail_is_owed: false, mail_sent_at: Some(now), ..synced.clone() };
        let parked = Progress { parked_at: Some(now), ..complete.clone() };
        let statuses = [new, synced, complete, parked].map(|facts| facts.status());
        assert_eq!(statuses, [UserStatus::Pending, UserStatus::Synced, UserStatus::Complete, UserStatus::Parked]);
    }
}

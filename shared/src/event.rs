//! The wire contract: what is said about users, and in which shape (described in `docs/asyncapi.json`).
//!
//! An event is a hint that a row deserves a look. It carries ids and a version, never a copy of the user.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::domain::user::UserId;

/// What happened to a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    /// A user was registered.
    UserCreated,
    /// Somebody asked for another password-setup mail.
    PasswordSetupRequested,
    /// A user was given up until an operator looks.
    UserParked,
    /// An operator has looked, and has the user tried again.
    UserReplayed,
}

impl EventType {
    /// The CloudEvents type, which is the routing key too.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UserCreated => "user.created",
            Self::PasswordSetupRequested => "user.password-setup-requested",
            Self::UserParked => "user.parked",
            Self::UserReplayed => "user.replayed",
        }
    }
}

/// The version of the bodies written here. Readers take any version that names a user.
const VERSION: u32 = 1;

/// `{"version":1,"userId":"…"}`
pub fn about(user: UserId) -> Value {
    json!({ "version": VERSION, "userId": user })
}

/// `{"version":1,"userId":"…","cause":"conflict"}`
pub fn parked(user: UserId, cause: &str) -> Value {
    json!({ "version": VERSION, "userId": user, "cause": cause })
}

/// What a reader needs of a body; everything else in it, now or in later versions, is ignored.
#[derive(Debug, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Subject {
    pub user_id: UserId,
}

impl Subject {
    /// Reads a message body. The error says what is wrong with it.
    pub fn from_body(body: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }
}

/// A committed event on its way to the broker.
#[derive(Debug, Clone)]
pub struct OutboxEvent {
    pub event_id: Uuid,
    pub event_type: String,
    pub user_id: UserId,
    pub data: Value,
    pub trace_context: crate::trace_context::TraceContext,
    pub created_at: DateTime<Utc>,
    /// How often the broker did not take it.
    pub tries: i32,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_version_still_names_its_user() {
        let user = UserId::generate();
        let body = format!(r#"{{"version":7,"userId":"{user}","tenant":"x"}}"#);
        assert_eq!(Subject::from_body(body.as_bytes()).unwrap().user_id, user);
    }

    #[test]
    fn a_body_without_a_user_says_what_is_wrong() {
        let error = Subject::from_body(b"{}").unwrap_err();
        assert!(error.to_string().contains("userId"), "{error}");
        assert!(Subject::from_body(b"not json").is_err());
        assert!(Subject::from_body(br#"{"userId":"42"}"#).is_err());
    }
}

//! All that is known of one person, for the operator who was asked about them.

use chrono::{DateTime, Utc};
use sqlx::PgPool;
use uuid::Uuid;

use super::{StoreError, session::lend, within};
use crate::domain::user::{Progress, UserId, UserStatus};

/// A row, personal data included: for an operator's eyes, never for a log.
pub struct Person {
    pub id: UserId,
    pub username: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    pub locale: Option<String>,
    pub progress: Progress,
    pub attempts: i32,
    pub next_attempt_at: DateTime<Utc>,
    /// Until then a run has the person to itself; nothing when nobody works on it.
    pub leased_until: Option<DateTime<Utc>>,
    pub last_error: Option<String>,
    pub keycloak_id: Option<Uuid>,
    pub keycloak_realm: Option<String>,
    pub mail_wanted: i32,
    pub mail_served: i32,
    pub mail_attempts: i32,
}

impl Person {
    pub fn status(&self) -> UserStatus {
        self.progress.status()
    }
}

/// How an operator names a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    Id(UserId),
    Username(String),
    Email(String),
}

impl From<&str> for Named {
    fn from(name: &str) -> Self {
        match Uuid::parse_str(name) {
            Ok(id) => Self::Id(id.into()),
            Err(_) if name.contains('@') => Self::Email(name.to_ascii_lowercase()),
            Err(_) => Self::Username(name.to_ascii_lowercase()),
        }
    }
}

impl From<UserId> for Named {
    fn from(id: UserId) -> Self {
        Self::Id(id)
    }
}

pub async fn find(pool: &PgPool, name: impl Into<Named>) -> Result<Option<Person>, StoreError> {
    let (id, username, email) = match name.into() {
        Named::Id(id) => (Some(id.as_uuid()), None, None),
        Named::Username(username) => (None, Some(username), None),
        Named::Email(email) => (None, None, Some(email)),
    };
    let row = within(
        "look a person up",
        sqlx::query!(
            r#"
        SELECT id, username, email, first_name, last_name, locale, created_at, synced_at, mail_sent_at, parked_at,
               parked_reason, password_state, attempts, next_attempt_at, last_error, keycloak_id, keycloak_realm,
               mail_wanted, mail_served, mail_attempts,
               CASE WHEN leased_until >= now() THEN leased_until END AS leased_until
          FROM users WHERE id = $1 OR username = $2 OR lower(email) = $3
        "#,
            id,
            username,
            email,
        )
        .fetch_optional(&mut *lend(pool).await?),
    )
    .await?;
    Ok(row.map(|row| Person {
        id: row.id.into(),
        username: row.username,
        email: row.email,
        first_name: row.first_name,
        last_name: row.last_name,
        locale: row.locale,
        progress: Progress {
            created_at: row.created_at,
            synced_at: row.synced_at,
            mail_sent_at: row.mail_sent_at,
            mail_is_owed: row.mail_wanted > row.mail_served,
            parked_at: row.parked_at,
            parked_reason: row.parked_reason,
            password_state: row.password_state,
        },
        attempts: row.attempts,
        next_attempt_at: row.next_attempt_at,
        leased_until: row.leased_until,
        last_error: row.last_error,
        keycloak_id: row.keycloak_id,
        keycloak_realm: row.keycloak_realm,
        mail_wanted: row.mail_wanted,
        mail_served: row.mail_served,
        mail_attempts: row.mail_attempts,
    }))
}

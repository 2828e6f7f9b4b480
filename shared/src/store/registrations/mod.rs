//! Users as the api sees them: written once, alone or in a [`group`], read for their status.

pub mod group;

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{
    StoreError,
    idempotency_keys::{self, Keyed, Known},
    query, within,
};
use crate::{
    domain::{
        locale::Locale,
        user::{NewUser, PasswordState, Progress, UserId},
    },
    event::{self, EventType},
    trace_context::TraceContext,
};

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    Created {
        id: UserId,
        created_at: DateTime<Utc>,
    },
    /// The same request was committed before, under the same key.
    Before {
        id: UserId,
        created_at: DateTime<Utc>,
    },
    /// The key belongs to another request.
    OtherRequest,
    Taken {
        username: bool,
        email: bool,
    },
}

/// Somebody who wants to be registered, and what is committed together with the user.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// Made before the first try. Whose try was cut off is found again by it, and so never told that the name is taken.
    pub id: UserId,
    pub user: NewUser,
    /// The cause of the event.
    pub trace: TraceContext,
    /// Whether a password waits for the account.
    pub with_password: bool,
    /// By which the client may ask for the same answer again.
    pub key: Option<Keyed>,
}

/// Writes the user, the event and the idempotency key in one statement: all are committed, or nothing is.
///
/// Whoever comes with the same key or name while another is still being committed waits for that one, as long as a
/// statement may take. The sweep leaves the user to the event for `event_grace`.
pub async fn register(
    connection: &mut PgConnection,
    candidate: &Candidate,
    event_grace: Duration,
) -> Result<Registered, StoreError> {
    // Between the conflict and the look at it the other row may vanish (a rolled back insert, a key that expired).
    for _ in 0..3 {
        if let Some(created) = insert(connection, candidate, event_grace).await? {
            return Ok(created);
        }
        if let Some(known) = known(connection, candidate).await? {
            return Ok(known);
        }
        let found = who_has_it(connection, candidate).await?;
        if found != (Registered::Taken { username: false, email: false }) {
            return Ok(found);
        }
    }
    Err(query("register a user")(sqlx::Error::RowNotFound))
}

/// `None` when somebody else has the username, the address or the key.
async fn insert(
    connection: &mut PgConnection,
    Candidate { id, user, trace, with_password, key }: &Candidate,
    event_grace: Duration,
) -> Result<Option<Registered>, StoreError> {
    let inserted = within(
        "register a user",
        sqlx::query_scalar!(
            r#"
        WITH new_user AS (
            INSERT INTO users (id, username, email, first_name, last_name, locale, password_state, next_attempt_at,
                               traceparent)
            VALUES ($1, $2, $3, $4, $5, $14, $15, now() + make_interval(secs => $6), $10::jsonb->>'traceparent')
            ON CONFLICT DO NOTHING
            RETURNING id, created_at
        ), event AS (
            INSERT INTO outbox (event_id, event_type, user_id, data, trace_context)
            SELECT $7, $8, id, $9, $10 FROM new_user
        ), key AS (
            INSERT INTO idempotency_keys (key_hash, fingerprint, user_id, created_at, expires_at)
            SELECT $11, $12, id, created_at, now() + make_interval(secs => $13) FROM new_user
             WHERE $11::bytea IS NOT NULL
        )
        SELECT created_at FROM new_user
        "#,
            id.as_uuid(),
            user.username.as_str(),
            user.email.as_str(),
            user.first_name.as_str(),
            user.last_name.as_str(),
            event_grace.as_secs_f64(),
            Uuid::now_v7(),
            EventType::UserCreated.as_str(),
            event::about(*id),
            Json(trace) as _,
            key.as_ref().map(|keyed| keyed.key.hash().to_vec()),
            key.as_ref().map(|_| user.fingerprint().to_vec()),
            key.as_ref().map_or(0.0, |keyed| keyed.ttl.as_secs_f64()),
            user.locale.as_ref().map(Locale::as_str),
            with_password.then_some(PasswordState::Waiting.as_str()),
        )
        .fetch_optional(connection),
    );
    match inserted.await {
        Ok(created_at) => Ok(created_at.map(|created_at| Registered::Created { id: *id, created_at })),
        Err(error) if is_key_conflict(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The key cannot be passed over as a taken name is: the user must not be written without it.
fn is_key_conflict(error: &StoreError) -> bool {
    let StoreError::Query { source: sqlx::Error::Database(error), .. } = error else { return false };
    error.constraint() == Some("idempotency_keys_pkey")
}

/// What the candidate's key stands for already. Perhaps for the candidate: a try was committed and nobody learned it.
pub async fn known(
    connection: &mut PgConnection,
    Candidate { id: own, user, key, .. }: &Candidate,
) -> Result<Option<Registered>, StoreError> {
    let Some(Keyed { key, .. }) = key else { return Ok(None) };
    match idempotency_keys::find(connection, key, user).await? {
        Known::Same { id, created_at } if id == *own => Ok(Some(Registered::Created { id, created_at })),
        Known::Same { id, created_at } => Ok(Some(Registered::Before { id, created_at })),
        Known::Other => Ok(Some(Registered::OtherRequest)),
        Known::Nothing => idempotency_keys::forget_if_expired(connection, key).await.map(|()| None),
    }
}

/// Perhaps the candidate has: by a try that was committed although nobody learned it.
async fn who_has_it(
    connection: &mut PgConnection,
    Candidate { id, user, .. }: &Candidate,
) -> Result<Registered, StoreError> {
    let found = within(
        "look up what is taken",
        sqlx::query!(
            r#"
        SELECT EXISTS (SELECT FROM users WHERE username = $1) AS "username!",
               EXISTS (SELECT FROM users WHERE lower(email) = lower($2)) AS "email!",
               (SELECT created_at FROM users WHERE id = $3) AS own
        "#,
            user.username.as_str(),
            user.email.as_str(),
            id.as_uuid(),
        )
        .fetch_one(connection),
    )
    .await?;
    Ok(match found.own {
        Some(created_at) => Registered::Created { id: *id, created_at },
        None => Registered::Taken { username: found.username, email: found.email },
    })
}

/// How far a user has come; `None` when there is no such user.
pub async fn progress(connection: &mut PgConnection, id: UserId) -> Result<Option<Progress>, StoreError> {
    within("read a user's progress", sqlx::query_as!(
        Progress,
        r#"
        SELECT created_at, synced_at, mail_sent_at, mail_wanted > mail_served AS "mail_is_owed!", parked_at, parked_reason,
               password_state
          FROM users WHERE id = $1
        "#,
        id.as_uuid(),
    )
    .fetch_optional(connection)).await
}

//! Users as the api sees them: written once, read for their status.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::{StoreError, query, within};
use crate::{
    domain::user::{NewUser, Progress, UserId},
    event::{self, EventType},
    trace_context::TraceContext,
};

/// What became of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Registered {
    Created { id: UserId, created_at: DateTime<Utc> },
    Taken { username: bool, email: bool },
}

/// Writes the user and the event in one statement: both are committed, or neither.
///
/// `event_grace` is how long the sweep leaves the user to the event.
pub async fn register(
    pool: &PgPool,
    user: &NewUser,
    trace: &TraceContext,
    event_grace: Duration,
) -> Result<Registered, StoreError> {
    // Between the conflict and the look at it the other row may vanish (a rolled back insert, a deleted user).
    for _ in 0..3 {
        if let Some(created) = insert(pool, user, trace, event_grace).await? {
            return Ok(created);
        }
        let taken = who_has_it(pool, user).await?;
        if taken != (Registered::Taken { username: false, email: false }) {
            return Ok(taken);
        }
    }
    Err(query("register a user")(sqlx::Error::RowNotFound))
}

async fn insert(
    pool: &PgPool,
    user: &NewUser,
    trace: &TraceContext,
    event_grace: Duration,
) -> Result<Option<Registered>, StoreError> {
    let id = UserId::generate();
    let created_at = within(
        "register a user",
        sqlx::query_scalar!(
            r#"
        WITH new_user AS (
            INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at)
            VALUES ($1, $2, $3, $4, $5, now() + make_interval(secs => $6))
            ON CONFLICT DO NOTHING
            RETURNING id, created_at
        ), event AS (
            INSERT INTO outbox (event_id, event_type, user_id, data, trace_context)
            SELECT $7, $8, id, $9, $10 FROM new_user
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
            event::about(id),
            Json(trace) as _,
        )
        .fetch_optional(pool),
    )
    .await?;
    Ok(created_at.map(|created_at| Registered::Created { id, created_at }))
}

async fn who_has_it(pool: &PgPool, user: &NewUser) -> Result<Registered, StoreError> {
    let taken = within(
        "look up what is taken",
        sqlx::query!(
            r#"
        SELECT EXISTS (SELECT FROM users WHERE username = $1) AS "username!",
               EXISTS (SELECT FROM users WHERE lower(email) = lower($2)) AS "email!"
        "#,
            user.username.as_str(),
            user.email.as_str(),
        )
        .fetch_one(pool),
    )
    .await?;
    Ok(Registered::Taken { username: taken.username, email: taken.email })
}

/// How far a user has come; `None` when there is no such user.
pub async fn progress(pool: &PgPool, id: UserId) -> Result<Option<Progress>, StoreError> {
    within("read a user's progress", sqlx::query_as!(
        Progress,
        r#"
        SELECT created_at, synced_at, mail_sent_at, mail_wanted > mail_served AS "mail_is_owed!", parked_at, parked_reason
          FROM users WHERE id = $1
        "#,
        id.as_uuid(),
    )
    .fetch_optional(pool)).await
}

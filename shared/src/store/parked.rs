//! Users who were given up, for the operator who looks at them, and the replay that gives them back.
//!
//! A replay is a claim without a lease: it takes a number, so that whatever a run from before the parking still wants to
//! write changes nothing any more.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::{StoreError, session::lend, within};
use crate::{
    domain::user::UserId,
    event::{self, EventType},
    trace_context::TraceContext,
};

/// One who was given up.
#[derive(Debug, Clone)]
pub struct ParkedUser {
    pub id: UserId,
    pub reason: String,
    pub parked_at: DateTime<Utc>,
    pub parked_for: Duration,
    /// For operators: it may quote what other servers said.
    pub last_error: Option<String>,
}

/// The parked, those who wait longest first, up to `limit`.
pub async fn list(pool: &PgPool, reason: Option<&str>, limit: i64) -> Result<Vec<ParkedUser>, StoreError> {
    let rows = within(
        "list the parked",
        sqlx::query!(
            r#"
        SELECT id, parked_reason AS "reason!", parked_at AS "parked_at!", last_error,
               extract(epoch FROM now() - parked_at)::float8 AS "parked_for!"
          FROM users
         WHERE parked_at IS NOT NULL AND ($1::text IS NULL OR parked_reason = $1)
         ORDER BY parked_at LIMIT $2
        "#,
            reason,
            limit,
        )
        .fetch_all(&mut *lend(pool).await?),
    )
    .await?;
    let parked = rows.into_iter().map(|row| ParkedUser {
        id: row.id.into(),
        reason: row.reason,
        parked_at: row.parked_at,
        parked_for: Duration::from_secs_f64(row.parked_for.max(0.0)),
        last_error: row.last_error,
    });
    Ok(parked.collect())
}

/// Whom of these users nobody has replayed.
pub async fn still_parked(pool: &PgPool, ids: &[Uuid]) -> Result<Vec<Uuid>, StoreError> {
    within(
        "see who is still parked",
        sqlx::query_scalar!("SELECT id FROM users WHERE id = ANY($1) AND parked_at IS NOT NULL", ids)
            .fetch_all(&mut *lend(pool).await?),
    )
    .await
}

/// Who is replayed, and how.
#[derive(Debug, Clone, Copy, Default)]
pub struct Replay<'a> {
    /// This one; all by default.
    pub id: Option<UserId>,
    /// Parked for this reason; for any by default.
    pub reason: Option<&'a str>,
    /// Whoever is parked for this reason is to get another account: the one that is known is forgotten.
    pub anew_if: Option<&'a str>,
}

/// Somebody who is on the way again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    pub id: UserId,
    /// Why he was parked.
    pub reason: String,
}

/// For one statement.
const BATCH: i64 = 1_000;

/// Gives users back who are parked now, as if they had never been tried, and says so in an event of the same statement.
/// Whom somebody has a lease on is left alone, and so is who is parked again meanwhile.
pub async fn replay(pool: &PgPool, which: Replay<'_>) -> Result<Vec<Replayed>, StoreError> {
    let begun =
        within("read the clock", sqlx::query_scalar!(r#"SELECT now() AS "now!""#).fetch_one(&mut *lend(pool).await?))
            .await?;
    let mut replayed = Vec::new();
    loop {
        let batch = replay_batch(pool, which, begun).await?;
        if batch.is_empty() {
            return Ok(replayed);
        }
        replayed.extend(batch);
    }
}

async fn replay_batch(pool: &PgPool, which: Replay<'_>, begun: DateTime<Utc>) -> Result<Vec<Replayed>, StoreError> {
    let rows = within(
        "replay the parked",
        sqlx::query!(
            r#"
        WITH chosen AS MATERIALIZED (
            SELECT id, parked_reason FROM users
             WHERE parked_at <= $1
               AND ($2::uuid IS NULL OR id = $2) AND ($3::text IS NULL OR parked_reason = $3)
               AND (leased_until IS NULL OR leased_until < now())
             ORDER BY parked_at
             LIMIT $4
               FOR UPDATE
        ), replayed AS (
            UPDATE users u
               SET parked_at = NULL, parked_reason = NULL, claim_no = claim_no + 1, leased_until = NULL,
                   attempts = 0, last_error = NULL, next_attempt_at = now(),
                   keycloak_id = CASE WHEN c.parked_reason = $5 THEN NULL ELSE keycloak_id END,
                   keycloak_realm = CASE WHEN c.parked_reason = $5 THEN NULL ELSE keycloak_realm END,
                   synced_at = CASE WHEN c.parked_reason = $5 THEN NULL ELSE synced_at END,
                   -- The password went with the account; if there was none, it stays so.
                   password_state = CASE WHEN c.parked_reason = $5 AND password_state IS NOT NULL THEN 'waiting'
                                         ELSE password_state END
              FROM chosen c
             WHERE u.id = c.id
            RETURNING u.id, c.parked_reason
        ), event AS (
            INSERT INTO outbox (event_id, event_type, user_id, data, trace_context)
            SELECT gen_random_uuid(), $6, id, jsonb_set($7, '{userId}', to_jsonb(id)), $8 FROM replayed
        )
        SELECT id, parked_reason AS "reason!" FROM replayed
        "#,
            begun,
            which.id.map(UserId::as_uuid),
            which.reason,
            BATCH,
            which.anew_if,
            EventType::UserReplayed.as_str(),
            event::about(Uuid::nil().into()),
            Json(TraceContext::current()) as _,
        )
        .fetch_all(&mut *lend(pool).await?),
    )
    .await?;
    Ok(rows.into_iter().map(|row| Replayed { id: row.id.into(), reason: row.reason }).collect())
}

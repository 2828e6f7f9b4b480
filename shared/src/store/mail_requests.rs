//! Requests for another set-up mail: written down, and granted if that does no harm.

use std::time::Duration;

use sqlx::{PgConnection, PgPool, types::Json};
use uuid::Uuid;

use super::{StoreError, session::lend, within};
use crate::{
    domain::mail_target::MailTarget,
    event::{self, EventType},
    trace_context::TraceContext,
};

/// How often one user may be mailed by request.
#[derive(Debug, Clone, Copy)]
pub struct Allowance {
    /// Between two mails that were granted.
    pub cooldown: Duration,
    /// In a day.
    pub daily: u32,
}

/// Writes the request down, whoever it names, and orders one more mail if there is such a user who
///
/// * is not parked: an operator has to look first, nor being erased,
/// * was not granted a mail within the cooldown, nor too many within a day,
/// * is owed no mail, or only one that does not answer this request: it may have left already (a run has begun and has
///   not said how it ended, be its lease over or not), or it would only confirm the address, leaving the password that
///   was chosen at the registration as it is, and whoever asks here may be somebody else than who chose it. Any other owed mail that is not on its way yet answers the request
///   too, and the next mail answers all that were ordered before it.
///
/// One statement, so that the row, the order and its event are committed together or not at all. Nobody learns what
/// became of it. The due time and the budget of a user are touched only when nothing was open, so a request never
/// shortens a backoff; `event_grace` is how long the sweep then leaves the user to the event.
pub async fn request(
    connection: &mut PgConnection,
    target: &MailTarget,
    quota: Allowance,
    trace: &TraceContext,
    event_grace: Duration,
) -> Result<(), StoreError> {
    let hash = target.hash();
    within(
        "write down a request for a mail",
        sqlx::query!(
            r#"
        WITH target AS MATERIALIZED (
            SELECT id FROM users WHERE username = $2 OR lower(email) = $3
        ), granted_before AS MATERIALIZED (
            SELECT count(*) AS number, max(created_at) AS latest FROM mail_requests
             WHERE granted AND user_id = (SELECT id FROM target)
               AND created_at > now() - greatest(interval '1 day', make_interval(secs => $4))
        ), ordered AS (
            UPDATE users
               SET mail_wanted = mail_wanted + 1, traceparent = $10::jsonb->>'traceparent',
                   attempts = CASE WHEN mail_wanted = mail_served THEN 0 ELSE attempts END,
                   last_error = CASE WHEN mail_wanted = mail_served THEN NULL ELSE last_error END,
                   next_attempt_at = CASE WHEN mail_wanted = mail_served THEN now() + make_interval(secs => $6)
                                          ELSE next_attempt_at END
             WHERE id = (SELECT id FROM target) AND parked_at IS NULL AND expiring_at IS NULL
               AND (mail_wanted = mail_served
                    OR (mail_wanted = mail_claimed AND synced_at IS NOT NULL AND leased_until IS NOT NULL)
                    OR (mail_wanted = 1 AND password_state IS NOT NULL))
               AND NOT EXISTS (SELECT FROM granted_before
                                WHERE number >= $5 OR latest > now() - make_interval(secs => $4))
            RETURNING id
        ), event AS (
            INSERT INTO outbox (event_id, event_type, user_id, data, trace_context)
            -- Only here is it known who the event is about.
            SELECT $7, $8, id, jsonb_set($9, '{userId}', to_jsonb(id)), $10 FROM ordered
        )
        INSERT INTO mail_requests (target_hash, user_id, granted)
        VALUES ($1, (SELECT id FROM target), EXISTS (SELECT FROM ordered))
        "#,
            &hash[..],
            target.username(),
            target.email(),
            quota.cooldown.as_secs_f64(),
            i64::from(quota.daily),
            event_grace.as_secs_f64(),
            Uuid::now_v7(),
            EventType::PasswordSetupRequested.as_str(),
            event::about(Uuid::nil().into()),
            Json(trace) as _,
        )
        .execute(connection),
    )
    .await
    .map(drop)
}

/// Deletes requests that no cooldown and no daily limit looks at any more, up to `limit`. Says how many.
pub async fn delete_old(pool: &PgPool, cooldown: Duration, limit: i64) -> Result<u64, StoreError> {
    within(
        "delete old requests for a mail",
        sqlx::query!(
            r#"
        DELETE FROM mail_requests WHERE id = ANY (ARRAY(
            SELECT id FROM mail_requests
             WHERE created_at < now() - greatest(interval '1 day', make_interval(secs => $1))
             ORDER BY created_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        "#,
            cooldown.as_secs_f64(),
            limit,
        )
        .execute(&mut *lend(pool).await?),
    )
    .await
    .map(|done| done.rows_affected())
}

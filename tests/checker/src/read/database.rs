//! PostgreSQL's part.

use anyhow::Result;
use sqlx::PgPool;

use super::{Progress, Unanswered};
use crate::history::Row;

pub(super) async fn rows(pool: &PgPool) -> Result<Vec<Row>> {
    let rows = sqlx::query_as(
        "SELECT id, username, email, created_at, keycloak_id, synced_at IS NOT NULL AS is_synced,
                parked_at IS NOT NULL AS is_parked, mail_wanted, mail_served, mail_attempts, mail_answered
           FROM users ORDER BY id",
    );
    Ok(rows.fetch_all(pool).await?)
}

pub(super) async fn outbox_depth(pool: &PgPool) -> Result<u64> {
    let depth: i64 = sqlx::query_scalar("SELECT count(*) FROM outbox").fetch_one(pool).await?;
    Ok(depth.unsigned_abs())
}

/// At most ten of them, with the reason of their last failure.
pub(super) async fn open_users(pool: &PgPool) -> Result<Vec<String>> {
    let open = sqlx::query_scalar(
        "SELECT username || coalesce(' (' || last_error || ')', '') FROM users
          WHERE parked_at IS NULL AND (synced_at IS NULL OR mail_wanted > mail_served) ORDER BY id LIMIT 10",
    );
    Ok(open.fetch_all(pool).await?)
}

pub(super) async fn unanswered(pool: &PgPool) -> Result<Vec<Unanswered>> {
    let unanswered = sqlx::query_as(
        "SELECT id AS user, mail_attempts - mail_answered AS sends, coalesce(leased_until > now(), false) AS is_leased
           FROM users WHERE mail_attempts > mail_answered",
    );
    Ok(unanswered.fetch_all(pool).await?)
}

pub(super) async fn progress(pool: &PgPool) -> Result<Progress> {
    let progress = sqlx::query_as(
        "SELECT (SELECT count(*) FROM users WHERE mail_served > 0) AS provisioned, (SELECT count(*) FROM outbox) AS outbox",
    );
    Ok(progress.fetch_one(pool).await?)
}

pub(super) async fn sends_in_flight(pool: &PgPool) -> Result<u32> {
    let tries: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM users WHERE leased_until IS NOT NULL AND mail_attempts > mail_answered",
    )
    .fetch_one(pool)
    .await?;
    Ok(u32::try_from(tries)?)
}

//! Registrations that can be asked for again by their key.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, PgPool};

use super::{StoreError, session::lend, within};
use crate::domain::{
    idempotency_key::IdempotencyKey,
    user::{NewUser, UserId},
};

/// A key, and for how long it is kept.
#[derive(Debug, Clone)]
pub struct Keyed {
    pub key: IdempotencyKey,
    pub ttl: Duration,
}

/// What a key stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// This registration, which was committed.
    Same { id: UserId, created_at: DateTime<Utc> },
    /// Another registration.
    Other,
    /// Nothing, or nothing any more.
    Nothing,
}

/// Looks a key up.
pub(super) async fn find(
    connection: &mut PgConnection,
    key: &IdempotencyKey,
    user: &NewUser,
) -> Result<Known, StoreError> {
    let row = within(
        "look up an idempotency key",
        sqlx::query!(
            "SELECT fingerprint, user_id, created_at FROM idempotency_keys WHERE key_hash = $1 AND expires_at > now()",
            &key.hash()[..]
        )
        .fetch_optional(connection),
    )
    .await?;
    Ok(match row {
        Some(row) if row.fingerprint == user.fingerprint() => {
            Known::Same { id: row.user_id.into(), created_at: row.created_at }
        }
        Some(_) => Known::Other,
        None => Known::Nothing,
    })
}

/// Makes room for a key that has expired and was not deleted yet.
pub(super) async fn forget_if_expired(connection: &mut PgConnection, key: &IdempotencyKey) -> Result<(), StoreError> {
    within(
        "forget an expired idempotency key",
        sqlx::query!("DELETE FROM idempotency_keys WHERE key_hash = $1 AND expires_at <= now()", &key.hash()[..])
            .execute(connection),
    )
    .await
    .map(drop)
}

/// Deletes expired keys, up to `limit`. Says how many.
pub async fn delete_expired(pool: &PgPool, limit: i64) -> Result<u64, StoreError> {
    within(
        "delete expired idempotency keys",
        sqlx::query!(
            r#"
        DELETE FROM idempotency_keys WHERE key_hash = ANY (ARRAY(
            SELECT key_hash FROM idempotency_keys
             WHERE expires_at <= now() ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED))
        "#,
            limit
        )
        .execute(&mut *lend(pool).await?),
    )
    .await
    .map(|done| done.rows_affected())
}

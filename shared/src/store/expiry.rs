//! Registrations that nobody has confirmed, and whose time is over.

use std::time::Duration;

use sqlx::PgPool;

use super::{StoreError, hold::Held, within};

/// Holds the user whose last mail left longest ago, if that is longer ago than `after`: complete, in this `realm`, and not
/// [kept](keep) before. In one statement, so that whoever asks for a mail until then is none of them.
pub async fn take(pool: &PgPool, realm: &str, after: Duration) -> Result<Option<Held>, StoreError> {
    let taken = within(
        "take a registration that may have expired",
        sqlx::query!(
            r#"
        UPDATE users SET leased_until = now() + interval '1 minute', claim_no = claim_no + 1
         WHERE id = (
            SELECT id FROM users
             WHERE kept_at IS NULL AND parked_at IS NULL AND synced_at IS NOT NULL AND mail_wanted = mail_served
               AND mail_sent_at < now() - make_interval(secs => $2)
               AND keycloak_realm = $1
               AND (leased_until IS NULL OR leased_until < now())
             ORDER BY mail_sent_at
             LIMIT 1
               FOR UPDATE SKIP LOCKED
        )
        RETURNING id, claim_no
        "#,
            realm,
            after.as_secs_f64(),
        )
        .fetch_optional(pool),
    )
    .await?;
    Ok(taken.map(|row| Held { id: row.id.into(), claim_no: row.claim_no }))
}

/// Lets go of a user whose account is in use, for good.
pub async fn keep(pool: &PgPool, held: Held) -> Result<(), StoreError> {
    within(
        "keep a registration",
        sqlx::query!(
            r#"UPDATE users SET kept_at = now(), leased_until = NULL WHERE id = $1 AND claim_no = $2"#,
            held.id.as_uuid(),
            held.claim_no
        )
        .execute(pool),
    )
    .await
    .map(drop)
}

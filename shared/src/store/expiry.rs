//! Registrations that nobody has confirmed, and whose time is over: held, looked at, and then kept or erased.
//!
//! That one is being erased is written down before its account goes. From then on nobody orders a mail for it, and
//! whoever finds it later, after a crash, goes on with it.

use std::time::Duration;

use sqlx::PgPool;

use super::{StoreError, hold::Held, session::lend, within};

/// A user whose registration may have expired, held for a minute.
#[derive(Debug, Clone, Copy)]
pub struct Overdue {
    pub held: Held,
    /// Somebody began to erase it, so that the account may be gone already.
    pub begun: bool,
}

/// Holds the user whose last mail left longest ago, if that is longer ago than `after`: complete, in this `realm`, and not
/// [kept](keep) before.
pub async fn take(pool: &PgPool, realm: &str, after: Duration) -> Result<Option<Overdue>, StoreError> {
    let taken = within(
        "take a registration that may have expired",
        sqlx::query!(
            r#"
        UPDATE users SET leased_until = now() + interval '1 minute', claim_no = claim_no + 1
         WHERE id = (
            SELECT id FROM users
             WHERE kept_at IS NULL AND parked_at IS NULL AND synced_at IS NOT NULL AND mail_wanted = mail_served
               AND keycloak_realm = $1
               AND mail_sent_at < now() - make_interval(secs => $2)
               AND (leased_until IS NULL OR leased_until < now())
             ORDER BY mail_sent_at
             LIMIT 1
               FOR UPDATE SKIP LOCKED
        )
        RETURNING id, claim_no, expiring_at IS NOT NULL AS "begun!"
        "#,
            realm,
            after.as_secs_f64(),
        )
        .fetch_optional(&mut *lend(pool).await?),
    )
    .await?;
    Ok(taken.map(|row| Overdue { held: Held { id: row.id.into(), claim_no: row.claim_no }, begun: row.begun }))
}

/// Writes down that the user is being erased, and holds him for a minute more. Says no to who asked for a mail
/// meanwhile.
pub async fn begin(pool: &PgPool, held: Held) -> Result<bool, StoreError> {
    let begun = within(
        "begin to let a registration expire",
        sqlx::query!(
            r#"
        UPDATE users SET expiring_at = now(), leased_until = now() + interval '1 minute'
         WHERE id = $1 AND claim_no = $2 AND mail_wanted = mail_served
        "#,
            held.id.as_uuid(),
            held.claim_no
        )
        .execute(&mut *lend(pool).await?),
    )
    .await?;
    Ok(begun.rows_affected() == 1)
}

/// Lets go of a user who does not expire, for good.
pub async fn keep(pool: &PgPool, held: Held) -> Result<(), StoreError> {
    within(
        "keep a registration",
        sqlx::query!(
            r#"
        UPDATE users SET kept_at = now(), expiring_at = NULL, leased_until = NULL WHERE id = $1 AND claim_no = $2
        "#,
            held.id.as_uuid(),
            held.claim_no
        )
        .execute(&mut *lend(pool).await?),
    )
    .await
    .map(drop)
}

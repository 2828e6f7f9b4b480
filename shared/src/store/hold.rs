//! A hold on one user: a claim, parked or not, so that no worker has the user meanwhile.
//!
//! It ends with the work that it was taken for, or a minute later if that dies. What is written says
//! `WHERE claim_no = $n`, as in a run.

use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::{
    StoreError,
    session::{Transaction, lend},
    within,
};
use crate::{
    domain::{email::EmailAddress, user::UserId},
    event::{self, EventType},
    trace_context::TraceContext,
};

/// A user whom nobody else works on.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    pub id: UserId,
    pub(super) claim_no: i64,
}

/// `None` while a worker has the user, or when there is none.
pub async fn take(pool: &PgPool, id: UserId) -> Result<Option<Held>, StoreError> {
    let claim_no = within(
        "take hold of a user",
        sqlx::query_scalar!(
            r#"
        UPDATE users SET leased_until = now() + interval '1 minute', claim_no = claim_no + 1
         WHERE id = $1 AND (leased_until IS NULL OR leased_until < now())
        RETURNING claim_no
        "#,
            id.as_uuid(),
        )
        .fetch_optional(&mut *lend(pool).await?),
    )
    .await?;
    Ok(claim_no.map(|claim_no| Held { id, claim_no }))
}

/// Lets go of a user as he was.
pub async fn let_go(pool: &PgPool, held: Held) -> Result<(), StoreError> {
    within(
        "let go of a user",
        sqlx::query!(
            r#"UPDATE users SET leased_until = NULL WHERE id = $1 AND claim_no = $2"#,
            held.id.as_uuid(),
            held.claim_no
        )
        .execute(&mut *lend(pool).await?),
    )
    .await
    .map(drop)
}

/// What asking for another address came to.
pub enum Reserved {
    Ours(Correction),
    /// Somebody else was registered with it.
    Taken,
    /// The hold did not hold.
    Lost,
}

/// Another address that is written down and not committed: nobody can be registered with it meanwhile, and when it is
/// dropped all is as it was. The row stays locked, so it is for one question to Keycloak.
pub struct Correction(Transaction);

impl Correction {
    /// Lets go of the user too.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.0.commit("commit an address").await
    }
}

/// Writes another address down, and orders a mail to it if none is owed; the event that leads to it is written too, unless
/// the user is parked.
pub async fn correct_email(pool: &PgPool, held: Held, email: &EmailAddress) -> Result<Reserved, StoreError> {
    let mut tx = Transaction::begin("begin a correction", pool, "BEGIN").await?;
    let corrected = within(
        "correct an address",
        sqlx::query_scalar!(
            r#"
        WITH corrected AS (
            UPDATE users
               SET email = $3, expiring_at = NULL, leased_until = NULL, attempts = 0, last_error = NULL, next_attempt_at = now(),
                   mail_wanted = CASE WHEN mail_wanted = mail_served THEN mail_wanted + 1 ELSE mail_wanted END
             WHERE id = $1 AND claim_no = $2
            RETURNING id, parked_at
        ), event AS (
            INSERT INTO outbox (event_id, event_type, user_id, data, trace_context)
            SELECT $4, $5, id, $6, $7 FROM corrected WHERE parked_at IS NULL
        )
        SELECT count(*) AS "corrected!" FROM corrected
        "#,
            held.id.as_uuid(),
            held.claim_no,
            email.as_str(),
            Uuid::now_v7(),
            EventType::PasswordSetupRequested.as_str(),
            event::about(held.id),
            Json(TraceContext::current()) as _,
        )
        .fetch_one(&mut *tx),
    )
    .await;
    match corrected {
        Ok(1) => Ok(Reserved::Ours(Correction(tx))),
        Ok(_) => Ok(Reserved::Lost),
        Err(StoreError::Query { source: sqlx::Error::Database(error), .. })
            if error.constraint() == Some("users_email_key") =>
        {
            Ok(Reserved::Taken)
        }
        Err(error) => Err(error),
    }
}

/// Makes an account that is there already a parked user's own. No mail is owed then: the account has its own way
/// in. Says no when another user has that account, the user is not parked, or the hold did not hold.
pub async fn link(pool: &PgPool, held: Held, account: Uuid, realm: &str) -> Result<bool, StoreError> {
    let linked = within(
        "link an account",
        sqlx::query!(
            r#"
        UPDATE users
           SET keycloak_id = $3, keycloak_realm = $4, synced_at = now(), password_state = NULL,
               mail_served = mail_wanted, parked_at = NULL, parked_reason = NULL, attempts = 0, last_error = NULL,
               leased_until = NULL
         WHERE id = $1 AND claim_no = $2 AND parked_at IS NOT NULL
           AND NOT EXISTS (SELECT FROM users other WHERE other.keycloak_id = $3 AND other.id <> $1)
        "#,
            held.id.as_uuid(),
            held.claim_no,
            account,
            realm,
        )
        .execute(&mut *lend(pool).await?),
    )
    .await?;
    Ok(linked.rows_affected() == 1)
}

/// Removes the user and all that speaks of him: events, idempotency keys, requests for mails (those that only named him
/// too, by these hashes). Says whether the hold held.
pub async fn erase(pool: &PgPool, held: Held, named: &[Vec<u8>]) -> Result<bool, StoreError> {
    let erased = within(
        "erase a user",
        sqlx::query_scalar!(
            r#"
        WITH erased AS (
            DELETE FROM users WHERE id = $1 AND claim_no = $2 RETURNING id
        ), events AS (
            DELETE FROM outbox WHERE user_id IN (SELECT id FROM erased)
        ), keys AS (
            DELETE FROM idempotency_keys WHERE user_id IN (SELECT id FROM erased)
        ), requests AS (
            DELETE FROM mail_requests
             WHERE EXISTS (SELECT FROM erased) AND (user_id = $1 OR target_hash = ANY($3))
        )
        SELECT count(*) AS "erased!" FROM erased
        "#,
            held.id.as_uuid(),
            held.claim_no,
            named,
        )
        .fetch_one(&mut *lend(pool).await?),
    )
    .await?;
    Ok(erased == 1)
}

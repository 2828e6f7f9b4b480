//! Users as a provisioning run sees them: claimed, worked on, and let go of.
//!
//! Every write after the claim says `WHERE claim_no = $n`. Whoever slept past the lease and was overtaken changes
//! nothing: the write says [`Fenced::Lost`] and the run ends. A write that lets go of the user also asks that nobody has
//! let go yet, so that it may be repeated when its answer was lost.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::{PgPool, types::Json};
use uuid::Uuid;

use super::{StoreError, session::lend, within};
use crate::{
    domain::user::{PasswordState, UserId},
    event::{self, EventType},
    trace_context::TraceContext,
};

/// A user who is ours until the lease ends.
///
/// What was parsed when the row was written is not parsed again: these are the stored texts.
#[derive(Clone)]
pub struct ClaimedUser {
    pub id: UserId,
    pub claim_no: i64,
    pub username: String,
    pub email: String,
    pub first_name: String,
    pub last_name: String,
    /// The language to write to them in.
    pub locale: Option<String>,
    pub created_at: DateTime<Utc>,
    /// This run included.
    pub attempts: i32,
    pub account: Option<Account>,
    /// Where the account is, or was until it was [forgotten](forget_account).
    pub realm: Option<String>,
    pub mail_wanted: i32,
    /// Whether a password was chosen at the registration and is still on its way to the account.
    pub password_waits: bool,
    /// Why the run before this one did not finish.
    pub last_error: Option<String>,
    /// Of the request that began what is missing: the registration, or the last order of a mail.
    pub cause: TraceContext,
}

impl ClaimedUser {
    /// Whether an earlier run gave an account up, to have it made anew: its deletion may still be on its way.
    pub fn account_was_forgotten(&self) -> bool {
        self.account.is_none() && self.realm.is_some()
    }

    /// Whether a password that was chosen at the registration is still the one that is wanted. Whoever asks for another
    /// mail wants to set one, and need not be who chose that one.
    pub fn chosen_password_counts(&self) -> bool {
        self.mail_wanted == 1
    }
}

/// The account in Keycloak.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: Uuid,
    /// What became of a password that was chosen at the registration.
    pub password: Option<PasswordState>,
}

/// What asking for a user gave.
pub enum Claim {
    Taken(Box<ClaimedUser>),
    /// Somebody has it, it is finished, parked, or not due yet: there is nothing to do for us.
    NotOurs,
    /// There is no such user.
    Unknown,
}

/// Whether a write found the claim still ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Fenced {
    Written,
    Lost,
}

impl Fenced {
    fn from_rows(rows: u64) -> Self {
        if rows == 1 { Self::Written } else { Self::Lost }
    }
}

/// Claims a user who is due, or who has not been tried since he was last finished: so an event may come before the
/// due time, and a duplicate of it never skips a backoff.
///
/// `with_mail` says whether users who only wait for a mail may be claimed.
pub async fn claim(pool: &PgPool, id: UserId, lease: Duration, with_mail: bool) -> Result<Claim, StoreError> {
    // CASE and not OR, by which a plan might look for the id in the index of those who are due, among all of them.
    let row = within(
        "claim a user",
        sqlx::query!(
            r#"
        UPDATE users
           SET claim_no = claim_no + 1, attempts = attempts + 1, leased_until = now() + make_interval(secs => $2),
               mail_claimed = mail_wanted
         WHERE id = $1
           AND parked_at IS NULL
           AND (leased_until IS NULL OR leased_until < now())
           AND CASE WHEN synced_at IS NULL THEN true ELSE mail_wanted > mail_served AND $3 END
           AND (next_attempt_at <= now() OR (attempts = 0 AND last_error IS NULL))
        RETURNING id, claim_no, username, email, first_name, last_name, locale, created_at, attempts, last_error,
                  keycloak_id, keycloak_realm, mail_wanted, password_state, traceparent
        "#,
            id.as_uuid(),
            lease.as_secs_f64(),
            with_mail,
        )
        .fetch_optional(&mut *lend(pool).await?),
    )
    .await?;
    let Some(row) = row else {
        return Ok(if exists(pool, id).await? { Claim::NotOurs } else { Claim::Unknown });
    };
    let password = PasswordState::ALL.into_iter().find(|state| row.password_state.as_deref() == Some(state.as_str()));
    Ok(Claim::Taken(Box::new(ClaimedUser {
        id: row.id.into(),
        claim_no: row.claim_no,
        username: row.username,
        email: row.email,
        first_name: row.first_name,
        last_name: row.last_name,
        locale: row.locale,
        created_at: row.created_at,
        attempts: row.attempts,
        password_waits: password == Some(PasswordState::Waiting),
        account: row.keycloak_id.map(|id| Account { id, password }),
        realm: row.keycloak_realm,
        mail_wanted: row.mail_wanted,
        last_error: row.last_error,
        cause: TraceContext::read(|name| row.traceparent.as_deref().filter(|_| name == "traceparent")),
    })))
}

async fn exists(pool: &PgPool, id: UserId) -> Result<bool, StoreError> {
    within(
        "look for a user",
        sqlx::query_scalar!(r#"SELECT EXISTS (SELECT FROM users WHERE id = $1) AS "exists!""#, id.as_uuid())
            .fetch_one(&mut *lend(pool).await?),
    )
    .await
}

/// The account is known to exist, in this realm.
pub async fn mark_synced(
    pool: &PgPool,
    user: &ClaimedUser,
    account: &Account,
    realm: &str,
) -> Result<Fenced, StoreError> {
    let done = within(
        "mark a user synced",
        sqlx::query!(
            r#"
        UPDATE users SET keycloak_id = $3, keycloak_realm = $4, synced_at = now(), password_state = $5
         WHERE id = $1 AND claim_no = $2
        "#,
            user.id.as_uuid(),
            user.claim_no,
            account.id,
            realm,
            account.password.map(PasswordState::as_str),
        )
        .execute(&mut *lend(pool).await?),
    )
    .await?;
    Ok(Fenced::from_rows(done.rows_affected()))
}

/// The account is about to be deleted and made anew, without the password that was chosen for it. Until it is, all is as
/// before it was made: whoever goes on finds it, or none, in the same realm. Takes the whole lease anew for it.
pub async fn forget_account(pool: &PgPool, user: &ClaimedUser, lease: Duration) -> Result<Fenced, StoreError> {
    let done = within(
        "forget an account",
        sqlx::query!(
            r#"
        UPDATE users
           SET keycloak_id = NULL, synced_at = NULL, password_state = $3,
               leased_until = now() + make_interval(secs => $4)
         WHERE id = $1 AND claim_no = $2
        "#,
            user.id.as_uuid(),
            user.claim_no,
            PasswordState::Waiting.as_str(),
            lease.as_secs_f64(),
        )
        .execute(&mut *lend(pool).await?),
    )
    .await?;
    Ok(Fenced::from_rows(done.rows_affected()))
}

/// Records that a mail is about to be sent, and takes the whole lease anew for it.
pub async fn begin_mail(pool: &PgPool, user: &ClaimedUser, lease: Duration) -> Result<Fenced, StoreError> {
    let done = within(
        "record a mail attempt",
        sqlx::query!(
            r#"
        UPDATE users SET mail_attempts = mail_attempts + 1, leased_until = now() + make_interval(secs => $3)
         WHERE id = $1 AND claim_no = $2
        "#,
            user.id.as_uuid(),
            user.claim_no,
            lease.as_secs_f64(),
        )
        .execute(&mut *lend(pool).await?),
    )
    .await?;
    Ok(Fenced::from_rows(done.rows_affected()))
}

/// What marking a user served found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Served {
    Complete,
    /// A request came while the mail was leaving: the user is due again at once.
    OwesAnother,
    Lost,
}

/// A mail server took the mail that `mail_wanted` at the claim asked for.
pub async fn mark_served(pool: &PgPool, user: &ClaimedUser) -> Result<Served, StoreError> {
    let owes_another = within(
        "mark a user served",
        sqlx::query_scalar!(
            r#"
        UPDATE users
           SET mail_served = $3, mail_sent_at = now(), mail_answered = mail_answered + 1,
               leased_until = NULL, attempts = 0, last_error = NULL, next_attempt_at = now()
         WHERE id = $1 AND claim_no = $2 AND leased_until IS NOT NULL
        RETURNING mail_wanted > mail_served AS "owes_another!"
        "#,
            user.id.as_uuid(),
            user.claim_no,
            user.mail_wanted,
        )
        .fetch_optional(&mut *lend(pool).await?),
    )
    .await?;
    Ok(match owes_another {
        Some(true) => Served::OwesAnother,
        Some(false) => Served::Complete,
        None => Served::Lost,
    })
}

/// Whether a try that did not finish counts against the budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    Counts,
    GivenBack,
}

/// Why a run lets go of a user before its end.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    /// For operators.
    pub error: &'a str,
    /// Whether it is the answer to a mail that [`begin_mail`] recorded.
    pub mail_answered: bool,
}

/// Lets go of a user until `delay` has passed.
pub async fn postpone(
    pool: &PgPool,
    user: &ClaimedUser,
    attempt: Attempt,
    delay: Duration,
    cause: Cause<'_>,
) -> Result<Fenced, StoreError> {
    let done = within(
        "postpone a user",
        sqlx::query!(
            r#"
        UPDATE users
           SET attempts = attempts - $3, next_attempt_at = now() + make_interval(secs => $4), last_error = $5,
               mail_answered = mail_answered + $6, leased_until = NULL
         WHERE id = $1 AND claim_no = $2 AND leased_until IS NOT NULL
        "#,
            user.id.as_uuid(),
            user.claim_no,
            i32::from(attempt == Attempt::GivenBack),
            delay.as_secs_f64(),
            cause.error,
            i32::from(cause.mail_answered),
        )
        .execute(&mut *lend(pool).await?),
    )
    .await?;
    Ok(Fenced::from_rows(done.rows_affected()))
}

/// Gives a user up until an operator looks, and says so in an event of the same statement.
pub async fn park(pool: &PgPool, user: &ClaimedUser, reason: &str, cause: Cause<'_>) -> Result<Fenced, StoreError> {
    let done = within(
        "park a user",
        sqlx::query!(
            r#"
        WITH parked AS (
            UPDATE users
               SET parked_at = now(), parked_reason = $3, last_error = $4, mail_answered = mail_answered + $9,
                   leased_until = NULL
             WHERE id = $1 AND claim_no = $2 AND leased_until IS NOT NULL
            RETURNING id
        )
        INSERT INTO outbox (event_id, event_type, user_id, data, trace_context)
        SELECT $5, $6, id, $7, $8 FROM parked
        "#,
            user.id.as_uuid(),
            user.claim_no,
            reason,
            cause.error,
            Uuid::now_v7(),
            EventType::UserParked.as_str(),
            event::parked(user.id, reason),
            Json(TraceContext::current()) as _,
            i32::from(cause.mail_answered),
        )
        .execute(&mut *lend(pool).await?),
    )
    .await?;
    Ok(Fenced::from_rows(done.rows_affected()))
}

/// Up to `limit` users whose time has come, the longest overdue first. Locks nobody, which would cost a commit to the disk:
/// others may find the same ones, and the claim decides.
pub async fn due(pool: &PgPool, limit: i64, with_mail: bool) -> Result<Vec<UserId>, StoreError> {
    let ids = within(
        "find who is due",
        sqlx::query_scalar!(
            r#"
        SELECT id FROM users
         WHERE parked_at IS NULL AND (synced_at IS NULL OR mail_wanted > mail_served)
           AND next_attempt_at <= now()
           AND (leased_until IS NULL OR leased_until < now())
           AND (synced_at IS NULL OR $2)
         ORDER BY next_attempt_at
         LIMIT $1
        "#,
            limit,
            with_mail,
        )
        .fetch_all(&mut *lend(pool).await?),
    )
    .await?;
    Ok(ids.into_iter().map(UserId::from).collect())
}

/// How long until somebody is due whom nobody works on; `None` when there is no such user.
pub async fn next_due(pool: &PgPool, with_mail: bool) -> Result<Option<Duration>, StoreError> {
    let seconds = within(
        "find when somebody is due",
        sqlx::query_scalar!(
            r#"
        SELECT extract(epoch FROM next_attempt_at - now())::float8 AS "seconds!" FROM users
         WHERE parked_at IS NULL AND (synced_at IS NULL OR mail_wanted > mail_served)
           AND (leased_until IS NULL OR leased_until < now())
           AND (synced_at IS NULL OR $1)
         ORDER BY next_attempt_at
         LIMIT 1
        "#,
            with_mail,
        )
        .fetch_optional(&mut *lend(pool).await?),
    )
    .await?;
    Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.max(0.0))))
}

//! Where everybody is on the way, for the operator who asks how it goes.
//!
//! Costs about the same with 10^3 and 10^7 users: each question looks at [`AT_MOST`] entries of an index and no more, and
//! what is beyond is said to be "at least". How many users there are in all is then the planner's estimate.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{StoreError, WORKER, session::lend, within};

/// How many rows one question looks at.
pub const AT_MOST: i64 = 10_000;

#[derive(Debug, Clone)]
pub struct Funnel {
    /// Everybody; an estimate when there are more than [`AT_MOST`].
    pub registered: u64,
    /// Whether a worker runs, as far as the database knows.
    pub worker_runs: bool,
    pub outbox: u64,
    /// The age of the event that waits longest.
    pub outbox_oldest: Option<Duration>,
    pub open: Open,
    pub parked: Vec<Parked>,
    pub last_minute: Cohort,
    pub last_hour: Cohort,
}

/// Who is neither complete nor parked; of more than [`AT_MOST`] those who are due first.
#[derive(Debug, Clone)]
pub struct Open {
    /// Not tried yet.
    pub new: u64,
    /// A worker has them now.
    pub leased: u64,
    /// They were tried, and wait for the next try.
    pub waiting: u64,
    /// Of all these, who has an account and waits for a mail.
    pub synced: u64,
    /// The age of the registration that is open longest.
    pub oldest: Option<Duration>,
    /// When the first of the waiting is tried again; the past means now.
    pub next_due: Option<DateTime<Utc>>,
    /// Why they wait, or did until a worker took them again: the most frequent first.
    pub causes: Vec<(String, u64)>,
}

/// Who is parked for one reason.
#[derive(Debug, Clone)]
pub struct Parked {
    pub reason: String,
    pub users: u64,
    /// How long the first of them has been.
    pub longest: Duration,
}

/// Who was registered within some time, and how far they have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cohort {
    pub registered: u64,
    pub synced: u64,
    pub mailed: u64,
}

pub async fn take(pool: &PgPool) -> Result<Funnel, StoreError> {
    let (outbox, outbox_oldest) = outbox(pool).await?;
    Ok(Funnel {
        registered: registered(pool).await?,
        worker_runs: worker_runs(pool).await?,
        outbox,
        outbox_oldest,
        open: open(pool).await?,
        parked: parked(pool).await?,
        last_minute: cohort(pool, Duration::from_mins(1)).await?,
        last_hour: cohort(pool, Duration::from_hours(1)).await?,
    })
}

async fn registered(pool: &PgPool) -> Result<u64, StoreError> {
    let number = sqlx::query_scalar!(
        r#"
        SELECT CASE WHEN counted < $1 THEN counted ELSE greatest(counted, reltuples::bigint) END AS "number!"
          FROM (SELECT count(*) AS counted FROM (SELECT FROM users LIMIT $1) AS first) AS users, pg_class
         WHERE oid = 'users'::regclass
        "#,
        AT_MOST
    );
    within("count the registered", number.fetch_one(&mut *lend(pool).await?)).await.map(i64::unsigned_abs)
}

/// The name of a session is shown to every role.
async fn worker_runs(pool: &PgPool) -> Result<bool, StoreError> {
    let sessions = sqlx::query_scalar!(
        r#"
        SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = $1) AS "any!"
        "#,
        WORKER
    );
    within("look for workers", sessions.fetch_one(&mut *lend(pool).await?)).await
}

async fn outbox(pool: &PgPool) -> Result<(u64, Option<Duration>), StoreError> {
    let row = sqlx::query!(
        r#"
        SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS pending) AS "pending!",
               (SELECT extract(epoch FROM now() - created_at)::float8 FROM outbox ORDER BY id LIMIT 1) AS oldest
        "#,
        AT_MOST
    );
    let row = within("count the outbox", row.fetch_one(&mut *lend(pool).await?)).await?;
    Ok((row.pending.unsigned_abs(), row.oldest.map(seconds)))
}

async fn open(pool: &PgPool) -> Result<Open, StoreError> {
    let row = within(
        "count who is on the way",
        sqlx::query!(
            r#"
        WITH open AS MATERIALIZED (
            SELECT created_at, next_attempt_at, synced_at, last_error, coalesce(leased_until >= now(), false) AS leased
              FROM users
             WHERE parked_at IS NULL AND (synced_at IS NULL OR mail_wanted > mail_served)
             ORDER BY next_attempt_at LIMIT $1
        ), causes AS (
            SELECT left(last_error, 160) AS cause, count(*) AS users FROM open
             WHERE last_error IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 5
        )
        SELECT count(*) FILTER (WHERE leased) AS "leased!",
               count(*) FILTER (WHERE NOT leased AND last_error IS NULL) AS "new!",
               count(*) FILTER (WHERE NOT leased AND last_error IS NOT NULL) AS "waiting!",
               count(synced_at) AS "synced!",
               extract(epoch FROM now() - min(created_at))::float8 AS oldest,
               min(next_attempt_at) FILTER (WHERE NOT leased AND last_error IS NOT NULL) AS next_due,
               (SELECT coalesce(array_agg(cause), '{}') FROM causes) AS "causes!: Vec<String>",
               (SELECT coalesce(array_agg(users), '{}') FROM causes) AS "users!: Vec<i64>"
          FROM open
        "#,
            AT_MOST
        )
        .fetch_one(&mut *lend(pool).await?),
    )
    .await?;
    Ok(Open {
        new: row.new.unsigned_abs(),
        leased: row.leased.unsigned_abs(),
        waiting: row.waiting.unsigned_abs(),
        synced: row.synced.unsigned_abs(),
        oldest: row.oldest.map(seconds),
        next_due: row.next_due,
        causes: row.causes.into_iter().zip(row.users.into_iter().map(i64::unsigned_abs)).collect(),
    })
}

async fn parked(pool: &PgPool) -> Result<Vec<Parked>, StoreError> {
    let rows = within(
        "count the parked",
        sqlx::query!(
            r#"
        SELECT parked_reason AS "reason!", count(*) AS "users!",
               extract(epoch FROM now() - min(parked_at))::float8 AS "longest!"
          FROM (SELECT parked_reason, parked_at FROM users WHERE parked_at IS NOT NULL
                 ORDER BY parked_at LIMIT $1) AS parked
         GROUP BY parked_reason ORDER BY parked_reason
        "#,
            AT_MOST
        )
        .fetch_all(&mut *lend(pool).await?),
    )
    .await?;
    let parked = rows.into_iter().map(|row| Parked {
        reason: row.reason,
        users: row.users.unsigned_abs(),
        longest: seconds(row.longest),
    });
    Ok(parked.collect())
}

/// Ids begin with the time of the registration, so their index has the newest at its end; there is none on that time.
async fn cohort(pool: &PgPool, within_last: Duration) -> Result<Cohort, StoreError> {
    let row = within(
        "count the newest",
        sqlx::query!(
            r#"
        SELECT count(*) AS "registered!", count(synced_at) AS "synced!", count(mail_sent_at) AS "mailed!"
          FROM (SELECT synced_at, mail_sent_at FROM users
                 WHERE id >= (lpad(to_hex((extract(epoch FROM now()) * 1000)::bigint - $2), 12, '0')
                              || repeat('0', 20))::uuid
                 ORDER BY id DESC LIMIT $1) AS newest
        "#,
            AT_MOST,
            i64::try_from(within_last.as_millis()).unwrap_or(i64::MAX),
        )
        .fetch_one(&mut *lend(pool).await?),
    )
    .await?;
    Ok(Cohort {
        registered: row.registered.unsigned_abs(),
        synced: row.synced.unsigned_abs(),
        mailed: row.mailed.unsigned_abs(),
    })
}

/// A clock that was set back must not panic anybody.
fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds.max(0.0))
}

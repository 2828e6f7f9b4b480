//! Who and what waits, counted. Each count stops at [`AT_MOST`], so that it costs the same however many there are.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{PgPool, types::Json};

use super::{StoreError, session::lend, within};

pub const AT_MOST: i64 = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// Events that are not published.
    pub outbox_pending: u64,
    /// The age of the one that waits longest; zero when there is none.
    pub outbox_oldest: Duration,
    /// Users who are neither complete nor parked.
    pub users_waiting: u64,
    /// How long the one has waited who is to get the first mail and waits longest; zero when there is none.
    pub longest_wait: Duration,
    /// Users who wait for an operator, by the reason.
    pub users_parked: BTreeMap<String, u64>,
}

pub async fn take(pool: &PgPool) -> Result<Census, StoreError> {
    let counts = sqlx::query!(
        r#"
        SELECT (SELECT count(*) FROM (SELECT FROM outbox LIMIT $1) AS pending) AS "outbox_pending!",
               (SELECT extract(epoch FROM now() - created_at)::float8 FROM outbox ORDER BY id LIMIT 1) AS outbox_oldest,
               (SELECT count(*) FROM (
                    SELECT FROM users
                     WHERE parked_at IS NULL AND (synced_at IS NULL OR mail_wanted > mail_served)
                     LIMIT $1) AS waiting) AS "users_waiting!",
               (SELECT extract(epoch FROM now() - min(created_at))::float8 FROM (
                    SELECT created_at FROM users
                     WHERE parked_at IS NULL AND (synced_at IS NULL OR mail_wanted > mail_served) AND mail_served = 0
                     LIMIT $1) AS first_mails) AS longest_wait,
               (SELECT coalesce(jsonb_object_agg(parked_reason, number), '{}') FROM (
                    SELECT parked_reason, count(*) AS number
                      FROM (SELECT parked_reason FROM users WHERE parked_at IS NOT NULL LIMIT $1) AS parked
                     GROUP BY parked_reason) AS reasons) AS "users_parked!: Json<BTreeMap<String, u64>>"
        "#,
        AT_MOST
    );
    let counts = within("count who waits", counts.fetch_one(&mut *lend(pool).await?)).await?;
    Ok(Census {
        outbox_pending: counts.outbox_pending.unsigned_abs(),
        outbox_oldest: duration(counts.outbox_oldest),
        users_waiting: counts.users_waiting.unsigned_abs(),
        longest_wait: duration(counts.longest_wait),
        users_parked: counts.users_parked.0,
    })
}

/// No event, or nobody, has an age.
fn duration(seconds: Option<f64>) -> Duration {
    Duration::from_secs_f64(seconds.unwrap_or_default().max(0.0))
}

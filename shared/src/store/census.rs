//! Who and what waits, counted. Each count stops at [`AT_MOST`], so that it costs the same however many there are.

use std::time::Duration;

use sqlx::PgPool;

use super::{StoreError, within};

pub const AT_MOST: i64 = 10_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Census {
    /// Events that are not published.
    pub outbox_pending: u64,
    /// The age of the one that waits longest; zero when there is none.
    pub outbox_oldest: Duration,
    /// Users who are neither complete nor parked.
    pub users_waiting: u64,
    pub users_parked: u64,
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
               (SELECT count(*) FROM (SELECT FROM users WHERE parked_at IS NOT NULL LIMIT $1) AS parked)
                   AS "users_parked!"
        "#,
        AT_MOST
    );
    let counts = within("count who waits", counts.fetch_one(pool)).await?;
    Ok(Census {
        outbox_pending: counts.outbox_pending.unsigned_abs(),
        outbox_oldest: Duration::from_secs_f64(counts.outbox_oldest.unwrap_or_default().max(0.0)),
        users_waiting: counts.users_waiting.unsigned_abs(),
        users_parked: counts.users_parked.unsigned_abs(),
    })
}

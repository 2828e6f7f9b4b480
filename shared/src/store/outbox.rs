//! The outbox: events that are committed and not yet published.
//!
//! A claim is an open transaction that has deleted the rows: whatever kills the relay gives them back at once, and
//! there is no lease to wait for. Rows are inserted and deleted, never updated, which halves the WAL and the bloat.
//!
//! New events are not written here but in the statement of their cause (`registrations`, `provisioning`): there is no
//! way to write one beside a transaction.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use sqlx::{PgPool, types::Json};

use super::{StoreError, session::Transaction, within};
use crate::{crash_point::CrashPoint, event::OutboxEvent, trace_context::TraceContext};

/// A batch of events that this process alone has, until [`Claim::settle`] or until it is dropped.
pub struct Claim {
    tx: Transaction,
    pub events: Vec<OutboxEvent>,
    /// The highest row id in the batch; 0 when it is empty.
    pub highest_id: i64,
}

/// What the broker did not take, and how long to leave it alone.
#[derive(Debug, Clone)]
pub struct Refused {
    pub event: OutboxEvent,
    pub delay: Duration,
}

/// Takes up to `limit` events whose time has come, in the order of their rows, beyond the row `low`.
pub async fn claim(pool: &PgPool, limit: i64, low: i64) -> Result<Claim, StoreError> {
    // Relaxed here and nowhere else: a delete that a crash forgets is a hint published twice, which harms nobody.
    let mut tx =
        Transaction::begin("open the relay's transaction", pool, "BEGIN; SET LOCAL synchronous_commit = off").await?;
    // The inner statement depends on nothing outside of it, so it runs once. What it has locked is deleted by its place,
    // which stays, as rows here are never updated: so there is nothing to plan, and no index is asked twice.
    let mut rows = within(
        "claim events",
        sqlx::query!(
            r#"
        DELETE FROM outbox o
         WHERE o.ctid = ANY (ARRAY(
               SELECT ctid FROM outbox
                WHERE not_before <= now() AND id > $2
                ORDER BY id
                LIMIT $1
                  FOR UPDATE SKIP LOCKED))
        RETURNING o.id, o.event_id, o.event_type, o.user_id, o.data,
                  o.trace_context AS "trace_context: Json<TraceContext>", o.created_at, o.tries
        "#,
            limit,
            low,
        )
        .fetch_all(&mut *tx),
    )
    .await?;
    rows.sort_unstable_by_key(|row| row.id);
    let highest_id = rows.last().map_or(0, |row| row.id);
    let events = rows.into_iter().map(|row| OutboxEvent {
        event_id: row.event_id,
        event_type: row.event_type,
        user_id: row.user_id.into(),
        data: row.data,
        trace_context: row.trace_context.0,
        created_at: row.created_at,
        tries: row.tries,
    });
    Ok(Claim { events: events.collect(), highest_id, tx })
}

impl Claim {
    /// Commits: what is not in `refused` is published and gone, what is in it waits for its next try.
    pub async fn settle(mut self, refused: &[Refused]) -> Result<(), StoreError> {
        for Refused { event, delay } in refused {
            put_back(&mut self.tx, event, *delay).await?;
        }
        CrashPoint::RelayBeforeCommit.pass();
        self.tx.commit("commit the relay's transaction").await
    }

    /// Leaves the rows as they were, or there are none: what is only dropped costs the pool a session.
    pub async fn let_go(self) -> Result<(), StoreError> {
        self.tx.roll_back("let go of a claim").await
    }
}

async fn put_back(tx: &mut Transaction, event: &OutboxEvent, delay: Duration) -> Result<(), StoreError> {
    within(
        "put an event back",
        sqlx::query!(
            r#"
        INSERT INTO outbox (event_id, event_type, user_id, data, trace_context, created_at, tries, not_before)
        VALUES ($1, $2, $3, $4, $5, $6, $7, clock_timestamp() + make_interval(secs => $8))
        "#,
            event.event_id,
            event.event_type,
            event.user_id.as_uuid(),
            event.data,
            Json(&event.trace_context) as _,
            event.created_at,
            event.tries + 1,
            delay.as_secs_f64(),
        )
        .execute(&mut **tx),
    )
    .await?;
    Ok(())
}

/// Below which row the claim need not look, so that rows which are deleted but not yet vacuumed cost nothing.
///
/// Ids are taken before the commit, so the mark lags: it is the highest id that was claimed [`LowMark::LAG`] ago, and
/// a statement of the api lives far shorter than that. Whatever still slips below it is found by the pass that the
/// relay makes without the mark.
#[derive(Debug, Default)]
pub struct LowMark {
    low: i64,
    seen: VecDeque<(Instant, i64)>,
}

impl LowMark {
    pub const LAG: Duration = Duration::from_secs(30);

    pub fn low(&self) -> i64 {
        self.low
    }

    /// Notes that rows up to `id` were claimed at `now`.
    pub fn observe(&mut self, id: i64, now: Instant) {
        while self.seen.front().is_some_and(|(at, _)| now.duration_since(*at) >= Self::LAG) {
            self.low = self.seen.pop_front().map_or(self.low, |(_, id)| self.low.max(id));
        }
        let a_second_apart = self.seen.back().is_none_or(|(at, _)| now.duration_since(*at) >= Duration::from_secs(1));
        if a_second_apart && id > 0 {
            self.seen.push_back((now, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mark_lags_behind_what_was_claimed() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut mark = LowMark::default();
        mark.observe(100, at(0));
        mark.observe(900, at(29));
        assert_eq!(mark.low(), 0);
        mark.observe(0, at(30));
        assert_eq!(mark.low(), 100);
        mark.observe(950, at(60));
        assert_eq!(mark.low(), 900);
    }
}

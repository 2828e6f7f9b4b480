//! Several registrations in one statement and one commit.
//!
//! A commit waits for the disk, and sixteen rows cost it hardly more than one. What is bought with it must not cost
//! anybody else's fate: a group that fails in any way has written nothing that counts, and each of its members is
//! registered alone, as if there had been no group.

use std::{collections::HashMap, time::Duration};

use chrono::{DateTime, Utc};
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::Candidate;
use crate::{
    domain::{
        locale::Locale,
        user::{PasswordState, UserId},
    },
    event::{self, EventType},
    store::{StoreError, within},
};

/// How long a group waits for somebody else's commit. Who wants a name that is just being taken keeps all others waiting
/// for so long, and then waits alone.
const WAITS: &str = "100ms";

/// Writes whoever can be written: every user with the event and the key, or none of them. Who is missing in the answer has
/// to be registered alone, to learn why; so has everybody after an error.
pub async fn register_group(
    connection: &mut PgConnection,
    group: &[Candidate],
    event_grace: Duration,
) -> Result<HashMap<UserId, DateTime<Utc>>, StoreError> {
    let of = Columns::of(group);
    let written = sqlx::query!(
        r#"
        WITH candidate AS MATERIALIZED (
            SELECT candidate.*
              FROM (SELECT set_config('lock_timeout', $1, true)) AS hurry,
                   unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::uuid[], $8::jsonb[], $9::jsonb[],
                          $10::bytea[], $11::bytea[], $12::float8[], $15::text[], $16::text[])
                   AS candidate (id, username, email, first_name, last_name, event_id, data, trace_context,
                                 key_hash, fingerprint, key_ttl, locale, password_state)
        ), new_user AS (
            INSERT INTO users (id, username, email, first_name, last_name, locale, password_state, next_attempt_at,
                               traceparent)
            SELECT id, username, email, first_name, last_name, locale, password_state, now() + make_interval(secs => $13),
                   trace_context->>'traceparent'
              FROM candidate ORDER BY username
            ON CONFLICT DO NOTHING
            RETURNING id, created_at
        ), event AS (
            INSERT INTO outbox (event_id, event_type, user_id, data, trace_context)
            SELECT event_id, $14, id, data, trace_context FROM candidate JOIN new_user USING (id)
        ), key AS (
            INSERT INTO idempotency_keys (key_hash, fingerprint, user_id, created_at, expires_at)
            SELECT key_hash, fingerprint, id, created_at, now() + make_interval(secs => key_ttl)
              FROM candidate JOIN new_user USING (id) WHERE key_hash IS NOT NULL
        )
        SELECT id, created_at FROM new_user
        "#,
        WAITS,
        &of.ids,
        &of.usernames as &[&str],
        &of.emails as &[&str],
        &of.first_names as &[&str],
        &of.last_names as &[&str],
        &of.events,
        &of.data,
        &of.traces as &[Json<&crate::trace_context::TraceContext>],
        &of.keys.hashes as &[Option<Vec<u8>>],
        &of.keys.fingerprints as &[Option<Vec<u8>>],
        &of.keys.ttls,
        event_grace.as_secs_f64(),
        EventType::UserCreated.as_str(),
        &of.locales as &[Option<&str>],
        &of.password_states as &[Option<&str>],
    );
    let rows = within("register a group", written.fetch_all(connection)).await?;
    Ok(rows.into_iter().map(|row| (row.id.into(), row.created_at)).collect())
}

/// The group by its columns, as `unnest` takes it.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    usernames: Vec<&'a str>,
    emails: Vec<&'a str>,
    first_names: Vec<&'a str>,
    last_names: Vec<&'a str>,
    locales: Vec<Option<&'a str>>,
    password_states: Vec<Option<&'static str>>,
    events: Vec<Uuid>,
    data: Vec<serde_json::Value>,
    traces: Vec<Json<&'a crate::trace_context::TraceContext>>,
    keys: Keys,
}

#[derive(Default)]
struct Keys {
    hashes: Vec<Option<Vec<u8>>>,
    fingerprints: Vec<Option<Vec<u8>>>,
    ttls: Vec<f64>,
}

impl<'a> Columns<'a> {
    fn of(group: &'a [Candidate]) -> Self {
        let mut columns = Self::default();
        for candidate in group {
            columns.push(candidate);
        }
        columns
    }

    fn push(&mut self, Candidate { id, user, trace, with_password, key }: &'a Candidate) {
        self.ids.push(id.as_uuid());
        self.usernames.push(user.username.as_str());
        self.emails.push(user.email.as_str());
        self.first_names.push(user.first_name.as_str());
        self.last_names.push(user.last_name.as_str());
        self.locales.push(user.locale.as_ref().map(Locale::as_str));
        self.password_states.push(with_password.then_some(PasswordState::Waiting.as_str()));
        self.events.push(Uuid::now_v7());
        self.data.push(event::about(*id));
        self.traces.push(Json(trace));
        self.keys.hashes.push(key.as_ref().map(|keyed| keyed.key.hash().to_vec()));
        self.keys.fingerprints.push(key.as_ref().map(|_| user.fingerprint().to_vec()));
        self.keys.ttls.push(key.as_ref().map_or(0.0, |keyed| keyed.ttl.as_secs_f64()));
    }
}

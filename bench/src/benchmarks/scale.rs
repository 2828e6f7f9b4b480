//! What grows with the number of users, which should be nothing: the relay's claim, the sweep's look and claim, and a
//! registration, among a thousand users and among a million; and the relay's claim past half a million dead rows that a
//! long snapshot keeps.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shared::{
    domain::user::UserId,
    store::{outbox, provisioning, registrations},
};
use sqlx::{Executor as _, PgPool};
use tokio::time::Instant;

use crate::{
    ground::{Database, Ground},
    load::person,
    rounds::{Plan, Sample},
    row::{Goal, Row},
};

const NAME: &str = "scale";
const SIZES: [i64; 3] = [1_000, 100_000, 1_000_000];
const WITH_FULL: i64 = 10_000_000;
const DEAD: i64 = 500_000;
/// Of each question, at each size.
const TIMES: usize = 200;
/// Events in one claim of the relay, users in one look of the sweep.
const EVENTS: i64 = 100;
const DUE: i64 = 16;
const LEASE: Duration = Duration::from_secs(30);

/// Milliseconds at one size.
struct Measured {
    relay: Sample,
    look: Sample,
    claim: Sample,
    register: Sample,
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let database = Database::fresh(&ground.settings.database_url).await?;
    let (pool, mut rows) = (&database.pool, Vec::from(floor(&database.pool).await?));
    let mut first = None;
    for size in SIZES.into_iter().chain(plan.full.then_some(WITH_FULL)) {
        let size = if size > SIZES[0] { size / i64::try_from(plan.share)? } else { size };
        fill(pool, size).await?;
        let measured = at_this_size(pool).await?;
        rows.extend(rows_of(size, &measured, first.as_ref()));
        first.get_or_insert(measured);
    }
    let first = first.context("no size")?;
    let dead = past_dead_rows(pool, DEAD / i64::try_from(plan.share)?).await?;
    let line = "relay's claim past dead rows under a snapshot";
    rows.push(Row::new(NAME, line, &dead, "ms").beside("at 1000 users", &first.relay).goal(FLAT));
    database.remove().await?;
    Ok(rows)
}

const FLAT: Goal = Goal::AtMostAndFlat(0.5, 1.5);

fn rows_of(size: i64, measured: &Measured, first: Option<&Measured>) -> [Row; 4] {
    let row = |what: &str, of: fn(&Measured) -> &Sample, alone, flat| {
        let row = Row::new(NAME, format!("{size} users, {what}"), of(measured), "ms");
        match first {
            Some(first) => row.beside("at 1000 users", of(first)).goal(flat),
            None => row.goal(alone),
        }
    };
    let quick = Goal::AtMost(0.5);
    [
        row("relay's claim", |it| &it.relay, quick, FLAT),
        row("sweep's look", |it| &it.look, quick, FLAT),
        row("claim of a user", |it| &it.claim, quick, FLAT),
        row("register", |it| &it.register, Goal::Nothing, Goal::RatioAtMost(1.5)),
    ]
}

/// What each question takes that asks for nothing, and each that writes next to nothing.
async fn floor(pool: &PgPool) -> Result<[Row; 2]> {
    pool.execute("CREATE TABLE floor (n bigint); INSERT INTO floor VALUES (0)").await?;
    let asked = times(TIMES, async |_| sqlx::query("SELECT 1").execute(pool).await.map(drop)).await?;
    let committed =
        times(TIMES, async |_| sqlx::query("UPDATE floor SET n = n + 1").execute(pool).await.map(drop)).await?;
    Ok([
        Row::new(NAME, "a round trip alone", &asked, "ms"),
        Row::new(NAME, "the smallest commit alone", &committed, "ms"),
    ])
}

/// Up to `size` users, all but a few of them done with.
async fn fill(pool: &PgPool, size: i64) -> Result<()> {
    sqlx::query(
        "INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at, mail_served,
                            keycloak_id, keycloak_realm, synced_at)
         SELECT gen_random_uuid(), 'f' || md5(n::text), md5(n::text) || '@example.org', 'Ada', 'Lovelace', now(), 1,
                gen_random_uuid(), 'usher', now()
           FROM generate_series((SELECT count(*) FROM users) + 1, $1) AS n",
    )
    .bind(size)
    .execute(pool)
    .await?;
    pool.execute("VACUUM (ANALYZE) users").await?;
    pool.execute("CHECKPOINT").await?;
    Ok(())
}

async fn at_this_size(pool: &PgPool) -> Result<Measured> {
    let people = overdue(pool).await?;
    let look = times(TIMES, async |_| provisioning::due(pool, DUE, true).await.map(drop)).await?;
    let claim = times(TIMES, async |n| provisioning::claim(pool, people[n], LEASE, true).await.map(drop)).await?;
    let register = times(TIMES, async |_| {
        registrations::register(&mut *pool.acquire().await?, &person::candidate()?, LEASE).await?;
        anyhow::Ok(())
    });
    let register = register.await?;
    let relay = relay_claims(pool, 0).await?;
    sqlx::query("DELETE FROM users WHERE synced_at IS NULL").execute(pool).await?;
    pool.execute("TRUNCATE outbox").await?;
    Ok(Measured { relay, look, claim, register })
}

/// People whose time has come.
async fn overdue(pool: &PgPool) -> Result<Vec<UserId>> {
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar(
        "INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at)
         SELECT gen_random_uuid(), 'd' || n, 'd' || n || '@example.org', 'Ada', 'Lovelace', now()
           FROM generate_series(1, $1) AS n
         RETURNING id",
    )
    .bind(i32::try_from(2 * TIMES)?)
    .fetch_all(pool)
    .await?;
    Ok(ids.into_iter().map(UserId::from).collect())
}

/// Claims that are let go of, so that each finds the same as the one before.
async fn relay_claims(pool: &PgPool, low: i64) -> Result<Sample> {
    write_events(pool, EVENTS).await?;
    let mut times = Vec::with_capacity(TIMES);
    for n in 0..2 * TIMES {
        let asked = Instant::now();
        let claim = outbox::claim(pool, EVENTS, low).await?;
        times.extend((n >= TIMES).then_some(asked.elapsed().as_secs_f64() * 1e3));
        ensure!(i64::try_from(claim.events.len())? == EVENTS, "a claim took {} events", claim.events.len());
        claim.let_go().await?;
    }
    Ok(Sample::of(times))
}

/// With the low mark that a relay has which published them half a minute ago.
async fn past_dead_rows(pool: &PgPool, dead: i64) -> Result<Sample> {
    let mut long = pool.begin().await?;
    (&mut *long).execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox").await?;
    write_events(pool, dead).await?;
    let low: i64 = sqlx::query_scalar("SELECT max(id) FROM outbox").fetch_one(pool).await?;
    pool.execute("DELETE FROM outbox").await?;
    let sample = relay_claims(pool, low).await?;
    long.rollback().await?;
    Ok(sample)
}

async fn write_events(pool: &PgPool, count: i64) -> Result<()> {
    sqlx::query(
        "INSERT INTO outbox (event_id, event_type, user_id, data)
         SELECT gen_random_uuid(), 'user.created', gen_random_uuid(), '{}' FROM generate_series(1, $1)",
    )
    .bind(count)
    .execute(pool)
    .await?;
    Ok(())
}

/// Milliseconds of each, after some that do not count.
async fn times<E>(count: usize, mut ask: impl AsyncFnMut(usize) -> Result<(), E>) -> Result<Sample, E> {
    let mut times = Vec::with_capacity(count);
    for n in 0..2 * count {
        let asked = Instant::now();
        ask(n).await?;
        times.extend((n >= count).then_some(asked.elapsed().as_secs_f64() * 1e3));
    }
    Ok(Sample::of(times))
}

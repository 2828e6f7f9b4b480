//! A backlog of events into the quorum queue, every one confirmed: the relay of one worker, beside a publisher that has
//! the same messages ready in its memory.

use std::time::Duration;

use anyhow::{Result, ensure};
use shared::store::bell;
use tokio::time::{Instant, sleep};

use crate::{
    ground::{Database, Ground, Vhost, process::Process},
    reference::publisher,
    rounds::{Plan, interleave},
    row::{Goal, Row},
};

const NAME: &str = "drain";
const BACKLOG: usize = 100_000;
const POLL: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_mins(2);
const SIDES: [Side; 2] = [Side::Relay, Side::Publisher];

#[derive(Clone, Copy)]
enum Side {
    Relay,
    Publisher,
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let settings = &ground.settings;
    let database = Database::fresh(&settings.database_url).await?;
    let vhost = Vhost::fresh(&settings.rabbitmq_management_url, &settings.amqp_url).await?;
    let relay = Process::relay(ground, settings.of_usher(&database.url, &vhost.url)).await?;
    let backlog = BACKLOG / plan.share;
    let messages = publisher::messages(backlog);
    let turn = async |side, count: usize| {
        database.empty().await?;
        vhost.empty().await?;
        let took = match side {
            Side::Relay => drain(&database, count).await?,
            Side::Publisher => publisher::publish(&vhost.connection, &messages[..count]).await?,
        };
        anyhow::Ok([count as f64 / took.as_secs_f64()])
    };
    // Not a whole turn, which takes five to ten seconds.
    for side in SIDES {
        turn(side, backlog / 10).await?;
    }
    let plan = Plan { first_pass: false, ..plan };
    let samples = interleave(plan, &SIDES, async |side| turn(side, backlog).await).await?;
    relay.stop().await?;
    vhost.remove().await?;
    database.remove().await?;
    let row = Row::new(NAME, format!("{backlog} events"), &samples[0][0], "/s");
    Ok(vec![row.in_turns_with("bare publisher", &samples[1][0]).goal(Goal::RatioAtLeast(0.85))])
}

/// From the commit of the backlog until its last row is gone.
async fn drain(database: &Database, backlog: usize) -> Result<Duration> {
    let mut transaction = database.pool.begin().await?;
    sqlx::query(
        "INSERT INTO outbox (event_id, event_type, user_id, data)
         SELECT gen_random_uuid(), 'user.created', id, jsonb_build_object('version', 1, 'userId', id)
           FROM (SELECT gen_random_uuid() AS id FROM generate_series(1, $1)) AS people",
    )
    .bind(i32::try_from(backlog)?)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    let began = Instant::now();
    bell::notify(&database.pool).await?;
    // The relay goes by the row number, so the highest row is the last: to look for it costs the same all the time.
    while sqlx::query("SELECT FROM outbox ORDER BY id DESC LIMIT 1").fetch_optional(&database.pool).await?.is_some() {
        ensure!(began.elapsed() < PATIENCE, "the relay does not drain the outbox");
        sleep(POLL).await;
    }
    Ok(began.elapsed())
}

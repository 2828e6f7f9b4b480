//! Registrations per second over HTTP, beside a handler that runs the same statement and does nothing else, and beside
//! `pgbench`, which is not even asked over HTTP.

use anyhow::Result;

use crate::{
    ground::{Database, Ground, process::Process},
    load::closed,
    reference::pgbench,
    rounds::{Plan, Sample, interleave},
    row::{Goal, Row},
};

const NAME: &str = "register";
/// How many, and how many times the turns: with few connections groups follow the moods of the disk.
const CONNECTIONS: [(usize, usize); 2] = [(16, 2), (64, 1)];

#[derive(Clone, Copy)]
enum Side {
    /// As it is delivered.
    Grouped,
    /// With a writer for each request.
    OneByOne,
    Bare,
    Pgbench,
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let database = Database::fresh(&ground.settings.database_url).await?;
    let settings = ground.settings.of_usher(&database.url, &ground.settings.amqp_url);
    let grouped = Process::api(ground, settings.clone()).await?;
    let mut alone = settings.clone();
    alone.insert("API_REGISTER_WRITERS".to_owned(), "10000".to_owned());
    let alone = Process::api(ground, alone).await?;
    let bare = Process::handler(ground, settings).await?;
    let mut rows = Vec::new();
    for (connections, times) in CONNECTIONS {
        let plan = Plan { rounds: plan.rounds * times, ..plan };
        let sides = [Side::Grouped, Side::OneByOne, Side::Bare, Side::Pgbench];
        let samples = interleave(plan, &sides, async |side| {
            database.empty().await?;
            let rate = match side {
                Side::Grouped => closed::registrations(grouped.address, connections, plan).await?,
                Side::OneByOne => closed::registrations(alone.address, connections, plan).await?,
                Side::Bare => closed::registrations(bare.address, connections, plan).await?,
                Side::Pgbench => pgbench::registrations(ground, &database, connections, plan).await?,
            };
            Ok([rate])
        });
        let samples: Vec<Sample> = samples.await?.into_iter().map(|[sample]| sample).collect();
        rows.extend(rows_of(connections, &samples));
    }
    grouped.stop().await?;
    alone.stop().await?;
    bare.stop().await?;
    database.remove().await?;
    Ok(rows)
}

fn rows_of(connections: usize, samples: &[Sample]) -> Vec<Row> {
    let [grouped, alone, bare, pgbench] = samples else { return Vec::new() };
    let row = |line: &str, ours| Row::new(NAME, format!("{connections} connections, {line}"), ours, "/s");
    vec![
        row("one by one", alone).in_turns_with("bare handler", bare).goal(Goal::RatioAtLeast(0.95)),
        row("in groups", grouped).in_turns_with("bare handler", bare).goal(Goal::RatioAtLeast(1.5)),
        row("in groups", grouped).in_turns_with("pgbench", pgbench).goal(Goal::RatioAtLeast(1.0)),
    ]
}

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
const CONNECTIONS: [usize; 2] = [16, 64];

#[derive(Clone, Copy)]
enum Side {
    Usher,
    Bare,
    Pgbench,
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let database = Database::fresh(&ground.settings.database_url).await?;
    let settings = ground.settings.of_usher(&database.url);
    let usher = Process::api(ground, settings.clone()).await?;
    let bare = Process::handler(ground, settings).await?;
    let mut rows = Vec::new();
    for connections in CONNECTIONS {
        let sides = [Side::Usher, Side::Bare, Side::Pgbench];
        let samples = interleave(plan, &sides, async |side| {
            database.empty().await?;
            let rate = match side {
                Side::Usher => closed::registrations(usher.address, connections, plan).await?,
                Side::Bare => closed::registrations(bare.address, connections, plan).await?,
                Side::Pgbench => pgbench::registrations(ground, &database, connections, plan).await?,
            };
            Ok([rate])
        });
        let samples: Vec<Sample> = samples.await?.into_iter().map(|[sample]| sample).collect();
        rows.extend(rows_of(connections, &samples));
    }
    usher.stop().await?;
    bare.stop().await?;
    database.remove().await?;
    Ok(rows)
}

fn rows_of(connections: usize, samples: &[Sample]) -> Vec<Row> {
    let [usher, bare, pgbench] = samples else { return Vec::new() };
    let row = |line: &str| Row::new(NAME, format!("{connections} connections, {line}"), usher, "/s");
    vec![
        row("one by one").beside("bare handler", bare).goal(Goal::RatioAtLeast(0.95)),
        row("one by one, pgbench").beside("pgbench", pgbench),
    ]
}

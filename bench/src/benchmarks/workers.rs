//! Users per second with one, two, four and eight workers, on a Keycloak that answers after 20 ms: whether more workers
//! do as much more, until the machine's cores are full.

use std::time::Duration;

use anyhow::Result;
use futures_util::future::try_join_all;

use crate::{
    ground::{Database, Ground, Vhost, backlog, machine, process::Process},
    reference::stub::Stub,
    rounds::{Plan, Sample, interleave},
    row::{Goal, Row},
};

const NAME: &str = "workers";
const WORKERS: [usize; 4] = [1, 2, 4, 8];
const ANSWERS_AFTER: Duration = Duration::from_millis(20);
/// Few, so that one worker leaves the machine to the others.
const AT_ONCE: &str = "4";
/// For each worker.
const USERS: usize = 150;
const PATIENCE: Duration = Duration::from_mins(2);
/// Part of the processors. Beyond it, whether one is free is luck.
const FULL: f64 = 0.9;

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let settings = &ground.settings;
    let database = Database::fresh(&settings.database_url).await?;
    let vhost = Vhost::fresh(&settings.rabbitmq_management_url, &settings.amqp_url).await?;
    let stub = Stub::start(ANSWERS_AFTER).await?;
    let plan = Plan { rounds: plan.rounds.min(2), ..plan };
    let samples = interleave(plan, &WORKERS, async |workers| {
        database.empty().await?;
        vhost.empty().await?;
        stub.forget();
        one(ground, &database, &vhost, &stub, workers, USERS * workers / plan.share.min(3)).await
    });
    let samples = samples.await?;
    vhost.remove().await?;
    database.remove().await?;
    Ok(WORKERS.into_iter().enumerate().flat_map(|(n, workers)| rows_of(workers, &samples[..=n])).collect())
}

/// The last of `so_far` is of so many workers, the first of one.
fn rows_of(workers: usize, so_far: &[[Sample; 2]]) -> [Row; 2] {
    let [rate, busy] = &so_far[so_far.len() - 1];
    let name = format!("{workers} worker{}", if workers > 1 { "s" } else { "" });
    let busy = Row::new(NAME, format!("{name}, processors busy"), &busy.times(100.0), "%");
    let rate = Row::new(NAME, name, rate, "/s");
    if workers == 1 {
        return [rate, busy];
    }
    let rate = rate.in_turns_with("linear until the processors are full", &linear(workers, so_far));
    [rate.goal(Goal::RatioAtLeast(0.9)), busy]
}

/// As many times what one does. But where the processors are full, no more than they could do if each user cost as
/// little as it did with so many workers or fewer: what more workers waste among themselves is not forgiven.
fn linear(workers: usize, so_far: &[[Sample; 2]]) -> Sample {
    let [alone, _] = &so_far[0];
    let most = so_far.iter().fold(alone.times(0.0), |most, [rate, busy]| {
        let when_full = rate.with(busy, |rate, busy| rate * FULL / busy);
        most.with(&when_full, f64::max)
    });
    alone.times(workers as f64).with(&most, f64::min)
}

/// Users per second, and how much of the machine was busy.
async fn one(
    ground: &Ground,
    database: &Database,
    vhost: &Vhost,
    stub: &Stub,
    workers: usize,
    users: usize,
) -> Result<[f64; 2]> {
    backlog::register(database, users).await?;
    let mut settings = ground.settings.of_usher(&database.url, &vhost.url);
    settings.insert("KEYCLOAK_URL".to_owned(), format!("http://{}", stub.address));
    settings.insert("PROVISION_CONCURRENCY".to_owned(), AT_ONCE.to_owned());
    let processes = try_join_all((0..workers).map(|_| Process::worker(ground, settings.clone()))).await?;
    let (first, last) = (users / 5, users - users / 5);
    stub.mails(first, PATIENCE).await?;
    let before = machine::processors()?;
    stub.mails(last, PATIENCE).await?;
    let busy = machine::busy_since(before)?;
    let mails = stub.mails(users, PATIENCE).await?;
    let rate = (last - first) as f64 / mails[last].duration_since(mails[first]).as_secs_f64();
    for process in processes {
        process.stop().await?;
    }
    Ok([rate, busy])
}

//! Users per second through the consumer to the real Keycloak, mail included, sixteen at once; beside a bare client that
//! makes the same calls with as many at once. Then the same with mails of our own, beside those that Keycloak sends.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::task::JoinSet;

use crate::{
    ground::{Ground, backlog, process::Process, scene::Scene},
    load::person,
    reference::direct::Direct,
    rounds::{Plan, Sample, interleave},
    row::{Goal, Row},
};

const NAME: &str = "provision";
const USERS: usize = 240;
const AT_ONCE: usize = 16;
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Clone, Copy)]
enum Side {
    Worker,
    Direct,
    OwnMails,
}

/// By the worker, in each round: microseconds for one user, and mebibytes.
#[derive(Default)]
struct Spent {
    cpu: Vec<f64>,
    memory: Vec<f64>,
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let (scene, direct) = (Scene::set(ground).await?, Direct::new(&ground.settings).await?);
    let (users, mut spent) = (USERS / plan.share.min(5), Spent::default());
    let plan = Plan { rounds: plan.rounds.min(7), ..plan };
    let samples = interleave(plan, &[Side::Worker, Side::Direct, Side::OwnMails], async |side| {
        scene.mails.forget();
        Ok([match side {
            Side::Worker => by_worker(ground, &scene, users, scene.settings(ground), &mut spent).await?,
            Side::OwnMails => by_worker(ground, &scene, users, scene.by_smtp(ground), &mut Spent::default()).await?,
            Side::Direct => directly(&scene, &direct, users).await?,
        }])
    });
    let samples = samples.await?;
    scene.remove().await?;
    let rate = Row::new(NAME, format!("{AT_ONCE} at once"), &samples[0][0], "/s");
    Ok(vec![
        rate.in_turns_with("bare client", &samples[1][0]).goal(Goal::RatioAtLeast(0.95)),
        Row::new(NAME, "with mails of our own", &samples[2][0], "/s").in_turns_with("Keycloak's mails", &samples[0][0]),
        Row::new(NAME, "processor time of the worker for one user", &Sample::of(spent.cpu), "µs"),
        Row::new(NAME, "resident memory of the worker, at most", &Sample::of(spent.memory), "MiB")
            .goal(Goal::AtMost(80.0)),
    ])
}

async fn by_worker(
    ground: &Ground,
    scene: &Scene,
    users: usize,
    mut settings: BTreeMap<String, String>,
    spent: &mut Spent,
) -> Result<f64> {
    scene.database.empty().await?;
    scene.vhost.empty().await?;
    backlog::register(&scene.database, users).await?;
    settings.insert("PROVISION_CONCURRENCY".to_owned(), AT_ONCE.to_string());
    let worker = Process::worker(ground, settings).await?;
    let rate = rate(scene, users).await?;
    spent.cpu.push(worker.cpu()? * 1e6 / users as f64);
    spent.memory.push(worker.peak_memory()?);
    worker.stop().await?;
    Ok(rate)
}

async fn directly(scene: &Scene, direct: &Direct, users: usize) -> Result<f64> {
    let (begun, mut working) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..AT_ONCE {
        let (direct, begun) = (direct.clone(), Arc::clone(&begun));
        working.spawn(async move {
            while begun.fetch_add(1, Ordering::Relaxed) < users {
                direct.provision(&person::name()).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(ended) = working.join_next().await {
        ended??;
    }
    rate(scene, users).await
}

/// Between the first tenth and the last: neither the start nor the end, where fewer work than could, says how fast it
/// goes.
async fn rate(scene: &Scene, users: usize) -> Result<f64> {
    let (first, last) = (users / 10, users - users / 10);
    scene.mails.nth(users, PATIENCE).await?;
    let (from, until) = (scene.mails.nth(first, PATIENCE).await?, scene.mails.nth(last, PATIENCE).await?);
    Ok((last - first) as f64 / until.duration_since(from).as_secs_f64())
}

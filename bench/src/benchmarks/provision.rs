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
use shared::store::bell;
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
/// Keycloak compiles itself while it works: on a fresh one this many make it as fast as it gets, nearly.
const WARM_UP: usize = 1_500;
const PATIENCE: Duration = Duration::from_mins(2);

#[derive(Clone, Copy)]
enum Side {
    Worker,
    Direct,
    OwnMails,
}

/// A worker that stays through all turns, as a worker does, on a scene of its own. It is idle in the turns of others.
struct Line {
    scene: Scene,
    worker: Process,
    spent: Spent,
}

/// In each turn: microseconds of processor time for one user, and mebibytes.
#[derive(Default)]
struct Spent {
    cpu: Vec<f64>,
    memory: Vec<f64>,
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let scene = Scene::set(ground).await?;
    let direct = Direct::new(&ground.settings, &scene.realm.name).await?;
    let settings = scene.settings(ground);
    let mut keycloaks = Line::start(ground, scene, settings).await?;
    let scene = Scene::second(ground).await?;
    let settings = scene.by_smtp(ground);
    let mut own = Line::start(ground, scene, settings).await?;
    if plan.first_pass {
        directly(&keycloaks.scene, &direct, WARM_UP / plan.share).await?;
    }
    let (users, plan) = (USERS / plan.share.min(5), Plan { rounds: plan.rounds * 2, ..plan });
    let samples = interleave(plan, &[Side::Worker, Side::Direct, Side::OwnMails], async |side| {
        Ok([match side {
            Side::Worker => keycloaks.provision(users).await?,
            Side::Direct => directly(&keycloaks.scene, &direct, users).await?,
            Side::OwnMails => own.provision(users).await?,
        }])
    });
    let samples = samples.await?;
    let spent = keycloaks.end().await?;
    own.end().await?;
    Ok(rows_of(&samples, spent))
}

fn rows_of(samples: &[[Sample; 1]], spent: Spent) -> Vec<Row> {
    let [[keycloaks], [direct], [own]] = samples else { return Vec::new() };
    let rate = Row::new(NAME, format!("{AT_ONCE} at once"), keycloaks, "/s");
    vec![
        rate.in_turns_with("bare client", direct).goal(Goal::RatioAtLeast(0.95)),
        Row::new(NAME, "with mails of our own", own, "/s").in_turns_with("Keycloak's mails", keycloaks),
        Row::new(NAME, "processor time of the worker for one user", &Sample::of(spent.cpu), "µs"),
        Row::new(NAME, "resident memory of the worker, at most", &Sample::of(spent.memory), "MiB")
            .goal(Goal::AtMost(80.0)),
    ]
}

impl Line {
    async fn start(ground: &Ground, scene: Scene, mut settings: BTreeMap<String, String>) -> Result<Self> {
        settings.insert("PROVISION_CONCURRENCY".to_owned(), AT_ONCE.to_string());
        Ok(Self { worker: Process::worker(ground, settings).await?, scene, spent: Spent::default() })
    }

    async fn provision(&mut self, users: usize) -> Result<f64> {
        self.scene.mails.forget();
        self.scene.database.empty().await?;
        let spent = self.worker.cpu()?;
        backlog::register(&self.scene.database, users).await?;
        bell::notify(&self.scene.database.pool).await?;
        let rate = rate(&self.scene, users).await?;
        self.spent.cpu.push((self.worker.cpu()? - spent) * 1e6 / users as f64);
        self.spent.memory.push(self.worker.peak_memory()?);
        Ok(rate)
    }

    async fn end(self) -> Result<Spent> {
        self.worker.stop().await?;
        self.scene.remove().await?;
        Ok(self.spent)
    }
}

async fn directly(scene: &Scene, direct: &Direct, users: usize) -> Result<f64> {
    scene.mails.forget();
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

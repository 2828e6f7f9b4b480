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
/// By then Keycloak has compiled what it needs for a user.
const WARM_UP: usize = 500;
const PATIENCE: Duration = Duration::from_mins(2);
const SIDES: [Side; 3] = [Side::Worker, Side::Direct, Side::OwnMails];

#[derive(Clone, Copy)]
enum Side {
    Worker,
    Direct,
    OwnMails,
}

/// Who provisions. All stay through the turns of a pass, and are idle in those of others.
struct Sides {
    keycloaks: Resident,
    own: Resident,
    direct: Direct,
}

/// A worker with a scene of its own.
struct Resident {
    scene: Scene,
    worker: Process,
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let sides = Sides::start(ground).await?;
    if plan.first_pass {
        directly(&sides.keycloaks.scene, &sides.direct, WARM_UP / plan.share).await?;
    }
    let users = USERS / plan.share.min(5);
    // Realms, connections and statements are new in each pass.
    for side in SIDES {
        sides.turn(side, users / 4).await?;
    }
    let plan = Plan { rounds: plan.rounds * 2, first_pass: false, ..plan };
    let samples = interleave(plan, &SIDES, async |side| sides.turn(side, users).await).await?;
    let memory = sides.keycloaks.worker.peak_memory()?;
    sides.end().await?;
    Ok(rows_of(&samples, memory))
}

fn rows_of(samples: &[[Sample; 2]], memory: f64) -> Vec<Row> {
    let [[keycloaks, spent], [direct, _], [own, _]] = samples else { return Vec::new() };
    let rate = Row::new(NAME, format!("{AT_ONCE} at once"), keycloaks, "/s");
    vec![
        rate.in_turns_with("bare client", direct).goal(Goal::RatioAtLeast(0.95)),
        Row::new(NAME, "with mails of our own", own, "/s").in_turns_with("Keycloak's mails", keycloaks),
        Row::new(NAME, "processor time of the worker for one user", spent, "µs"),
        Row::new(NAME, "peak of the worker's resident memory", &Sample::of([memory]), "MiB").goal(Goal::AtMost(80.0)),
    ]
}

impl Sides {
    async fn start(ground: &Ground) -> Result<Self> {
        let scene = Scene::set(ground).await?;
        let direct = Direct::new(&ground.settings, &scene.realm.name).await?;
        let settings = scene.settings(ground);
        let keycloaks = Resident::start(ground, scene, settings).await?;
        let scene = Scene::second(ground).await?;
        let settings = scene.by_smtp(ground);
        Ok(Self { keycloaks, own: Resident::start(ground, scene, settings).await?, direct })
    }

    /// Users a second, and microseconds of processor time that the worker of Keycloak's mails spent on one.
    async fn turn(&self, side: Side, users: usize) -> Result<[f64; 2]> {
        // Keycloak's tables lie on the same server, and the first write to a page after a checkpoint costs more.
        self.keycloaks.scene.database.empty().await?;
        self.own.scene.database.empty().await?;
        let spent = self.keycloaks.worker.cpu()?;
        let rate = match side {
            Side::Worker => self.keycloaks.provision(users).await?,
            Side::Direct => directly(&self.keycloaks.scene, &self.direct, users).await?,
            Side::OwnMails => self.own.provision(users).await?,
        };
        Ok([rate, (self.keycloaks.worker.cpu()? - spent) * 1e6 / users as f64])
    }

    async fn end(self) -> Result<()> {
        self.keycloaks.end().await?;
        self.own.end().await
    }
}

impl Resident {
    async fn start(ground: &Ground, scene: Scene, mut settings: BTreeMap<String, String>) -> Result<Self> {
        settings.insert("PROVISION_CONCURRENCY".to_owned(), AT_ONCE.to_string());
        Ok(Self { worker: Process::worker(ground, settings).await?, scene })
    }

    async fn provision(&self, users: usize) -> Result<f64> {
        self.scene.mails.forget();
        backlog::register(&self.scene.database, users).await?;
        bell::notify(&self.scene.database.pool).await?;
        rate(&self.scene, users).await
    }

    async fn end(self) -> Result<()> {
        self.worker.stop().await?;
        self.scene.remove().await
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

//! One user at a time, from the request until the mail is accepted, whole and step by step; beside the same calls to
//! Keycloak made directly, one after the other.

use std::time::Duration;

use anyhow::{Result, ensure};
use chrono::{DateTime, Utc};
use tokio::time::Instant;

use crate::{
    ground::{
        Ground,
        milestones::{self, LOGGED, WAY},
        process::Process,
        scene::Scene,
    },
    load::{client::Client, closed::REGISTER, person},
    reference::direct::Direct,
    rounds::{Plan, Sample},
    row::{Goal, Row},
};

const NAME: &str = "journey";
const USERS: usize = 80;
/// The caches of a realm are empty at first, and Keycloak compiles itself while it works.
const WARM_UP: usize = 20;
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the time goes, to each milestone from the one before it.
const STEPS: [&str; WAY.len()] = [
    "request to commit",
    "commit to consumer: relay, broker",
    "claim, and Keycloak makes the account",
    "marked synced",
    "Keycloak sends the mail, accepted",
];

/// Milliseconds: ours whole and by step, and the two calls alone.
#[derive(Default)]
struct Measured {
    ours: Vec<f64>,
    steps: [Vec<f64>; WAY.len()],
    direct: Vec<f64>,
    calls: [Vec<f64>; 2],
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let scene = Scene::set(ground).await?;
    let mut settings = scene.settings(ground);
    settings.insert(LOGGED.0.to_owned(), LOGGED.1.to_owned());
    let api = Process::api(ground, settings.clone()).await?;
    let worker = Process::worker(ground, settings).await?;
    let direct = Direct::new(&ground.settings, &scene.realm.name).await?;
    let mut client = Client::connect(api.address).await?;
    let (mut measured, mut requests) = (Measured::default(), Vec::new());
    let (users, warm_up) = (USERS / plan.share, WARM_UP / plan.share);
    for n in 0..warm_up + users {
        let (requested, journey) = (Utc::now(), ours_of_one(&scene, &mut client).await?);
        let (whole, calls) = direct_of_one(&scene, &direct).await?;
        requests.push(requested);
        if n >= warm_up {
            measured.ours.push(journey);
            measured.direct.push(whole);
            std::iter::zip(&mut measured.calls, calls).for_each(|(times, took)| times.push(took.as_secs_f64() * 1e3));
        }
    }
    api.stop().await?;
    worker.stop().await?;
    scene.remove().await?;
    let passed = milestones::passed(ground, requests[0])?;
    ensure!(passed.len() == requests.len(), "{} of {} ways are in the logs", passed.len(), requests.len());
    for (requested, milestones) in std::iter::zip(requests, passed).skip(warm_up) {
        measured.steps(requested, &milestones);
    }
    Ok(measured.rows())
}

async fn ours_of_one(scene: &Scene, client: &mut Client) -> Result<f64> {
    let (name, began) = (person::name(), Instant::now());
    let status = client.post(REGISTER, &person::body(&name)).await?;
    ensure!(status == 201, "a registration was answered with {status}");
    until_accepted(scene, &name, began).await
}

async fn direct_of_one(scene: &Scene, direct: &Direct) -> Result<(f64, [Duration; 2])> {
    let (name, began) = (person::name(), Instant::now());
    let calls = direct.provision(&name).await?;
    Ok((until_accepted(scene, &name, began).await?, calls))
}

/// Milliseconds.
async fn until_accepted(scene: &Scene, name: &str, began: Instant) -> Result<f64> {
    let accepted = scene.mails.mail_to(&format!("{name}@example.org"), PATIENCE).await?;
    Ok(accepted.duration_since(began).as_secs_f64() * 1e3)
}

impl Measured {
    fn steps(&mut self, requested: DateTime<Utc>, milestones: &[DateTime<Utc>; WAY.len()]) {
        let mut before = requested;
        for (times, at) in std::iter::zip(&mut self.steps, milestones) {
            times.push((*at - before).as_seconds_f64() * 1e3);
            before = *at;
        }
    }

    fn rows(self) -> Vec<Row> {
        let (ours, direct) = (Sample::of(self.ours), Sample::of(self.direct));
        let row = |name, part| {
            let (ours, direct) = (Sample::of([ours.quantile(part)]), Sample::of([direct.quantile(part)]));
            Row::new(NAME, name, &ours, "ms").in_turns_with("the calls alone", &direct)
        };
        let mut rows = vec![row("p50", 0.5).goal(Goal::AtMostBeyond(10.0)), row("p99", 0.99)];
        let [account, mail] = self.calls.map(Sample::of);
        let calls = [None, None, Some(account), None, Some(mail)];
        for ((name, times), call) in STEPS.into_iter().zip(self.steps).zip(calls) {
            let mut step = Row::new(NAME, name, &Sample::of(times), "ms");
            step.continues = name != STEPS[0];
            rows.push(if let Some(call) = call { step.beside("the call alone", &call) } else { step });
        }
        rows
    }
}

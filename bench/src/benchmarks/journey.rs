//! One user at a time, from the request until the mail is accepted; beside the same calls to Keycloak made directly, one
//! after the other.

use std::time::Duration;

use anyhow::{Result, ensure};
use tokio::time::Instant;

use crate::{
    ground::{Ground, process::Process, scene::Scene},
    load::{client::Client, closed::REGISTER, person},
    reference::direct::Direct,
    rounds::{Plan, Sample},
    row::{Goal, Row},
};

const NAME: &str = "journey";
const USERS: usize = 80;
/// Keycloak compiles itself while it works.
const WARM_UP: usize = 20;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let scene = Scene::set(ground).await?;
    let api = Process::api(ground, scene.settings(ground)).await?;
    let worker = Process::worker(ground, scene.settings(ground)).await?;
    let direct = Direct::new(&ground.settings).await?;
    let mut client = Client::connect(api.address).await?;
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    let (users, warm_up) = (USERS / plan.share, WARM_UP / plan.share);
    for n in 0..warm_up + users {
        let (journey, calls) = (ours_of_one(&scene, &mut client).await?, direct_of_one(&scene, &direct).await?);
        if n >= warm_up {
            ours.push(journey);
            reference.push(calls);
        }
    }
    api.stop().await?;
    worker.stop().await?;
    scene.remove().await?;
    Ok(rows_of(&Sample::of(ours), &Sample::of(reference)))
}

async fn ours_of_one(scene: &Scene, client: &mut Client) -> Result<f64> {
    let (name, began) = (person::name(), Instant::now());
    let status = client.post(REGISTER, &person::body(&name)).await?;
    ensure!(status == 201, "a registration was answered with {status}");
    until_accepted(scene, &name, began).await
}

async fn direct_of_one(scene: &Scene, direct: &Direct) -> Result<f64> {
    let (name, began) = (person::name(), Instant::now());
    direct.provision(&name).await?;
    until_accepted(scene, &name, began).await
}

/// Milliseconds.
async fn until_accepted(scene: &Scene, name: &str, began: Instant) -> Result<f64> {
    let accepted = scene.mails.mail_to(&format!("{name}@example.org"), PATIENCE).await?;
    Ok(accepted.duration_since(began).as_secs_f64() * 1e3)
}

fn rows_of(ours: &Sample, direct: &Sample) -> Vec<Row> {
    let row = |name, part| {
        let (ours, direct) = (Sample::of([ours.quantile(part)]), Sample::of([direct.quantile(part)]));
        Row::new(NAME, name, &ours, "ms").beside("the calls alone", &direct)
    };
    vec![row("p50", 0.5).goal(Goal::AtMostBeyond(10.0)), row("p99", 0.99)]
}

//! How long a registration takes at 200 a second while Keycloak, broker and mail are down, beside the same with all of
//! them up: with a worker at work, which takes the same processors, and without one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use tokio::sync::Mutex;

use crate::{
    ground::{Database, Ground, Vhost, process::Process},
    load::{client::Client, closed::REGISTER, open, person},
    reference::stub::Stub,
    rounds::{Plan, Sample, interleave},
    row::{Goal, Row},
};

const NAME: &str = "register-latency";
const RATE: u32 = 200;
const COUNT: u32 = 600;
/// Connections and statements are new at first.
const WARM_UP: u32 = 100;
const ASKERS: usize = 16;
/// Two runs of the same differ by as much.
const NOISE: f64 = 1.15;

#[derive(Clone, Copy)]
enum Side {
    Down,
    Up,
    Idle,
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let settings = &ground.settings;
    let database = Database::fresh(&settings.database_url).await?;
    let vhost = Vhost::fresh(&settings.rabbitmq_management_url, &settings.amqp_url).await?;
    let stub = Stub::start(Duration::from_millis(20)).await?;
    let up = told(ground, &database, &vhost.url, &format!("http://{}", stub.address));
    // Nobody listens on the discard port.
    let down = told(ground, &database, "amqp://usher:usher@127.0.0.1:9/usher", "http://127.0.0.1:9");
    let count = COUNT / u32::try_from(plan.share.min(3))?;
    let samples = interleave(plan, &[Side::Down, Side::Up, Side::Idle], async |side| {
        database.empty().await?;
        vhost.empty().await?;
        let worker = match side {
            Side::Down => Some(Process::worker(ground, down.clone()).await?),
            Side::Up => Some(Process::worker(ground, up.clone()).await?),
            Side::Idle => None,
        };
        let times = one(ground, if matches!(side, Side::Down) { &down } else { &up }, count).await;
        if let Some(worker) = worker {
            worker.stop().await?;
        }
        times
    });
    let samples = samples.await?;
    vhost.remove().await?;
    database.remove().await?;
    let row = |name: &str, n: usize, what, reference: &[Sample; 2]| {
        let row = Row::new(NAME, format!("{RATE}/s, all down, {name}"), &samples[0][n], "ms");
        row.in_turns_with(what, &reference[n]).goal(Goal::RatioAtMost(NOISE))
    };
    let rows = [("all up, a worker at work", &samples[1]), ("all up, no worker", &samples[2])];
    Ok(rows.into_iter().flat_map(|(what, it)| [row("p50", 0, what, it), row("p99", 1, what, it)]).collect())
}

fn told(ground: &Ground, database: &Database, amqp: &str, keycloak: &str) -> BTreeMap<String, String> {
    let mut settings = ground.settings.of_usher(&database.url, amqp);
    settings.insert("KEYCLOAK_URL".to_owned(), keycloak.to_owned());
    settings
}

/// Milliseconds: p50 and p99.
async fn one(ground: &Ground, settings: &BTreeMap<String, String>, count: u32) -> Result<[f64; 2]> {
    let api = Process::api(ground, settings.clone()).await?;
    let mut askers = Vec::new();
    for _ in 0..ASKERS {
        let client = Arc::new(Mutex::new(Client::connect(api.address).await?));
        askers.push(move || register(Arc::clone(&client)));
    }
    open::at_rate(RATE, WARM_UP, askers.clone()).await?;
    let times = open::at_rate(RATE, count, askers).await?;
    let times = Sample::of(times.iter().map(|time| time.as_secs_f64() * 1e3));
    api.stop().await?;
    Ok([times.quantile(0.5), times.quantile(0.99)])
}

async fn register(client: Arc<Mutex<Client>>) -> Result<()> {
    let status = client.lock().await.post(REGISTER, &person::body(&person::name())).await?;
    ensure!(status == 201, "a registration was answered with {status}");
    Ok(())
}

//! What Usher needs to be there: memory, time to start, size, and processor time for each registration.

use std::{collections::BTreeMap, fs, time::Duration};

use anyhow::Result;

use crate::{
    ground::{Database, Ground, Vhost, process::Process},
    load::closed,
    rounds::{Plan, Sample},
    row::{Goal, Row},
};

const NAME: &str = "footprint";
const CONNECTIONS: usize = 64;
/// A process that has just started is still busy with it.
const REST: Duration = Duration::from_secs(1);
const MEBIBYTE: f64 = 1024.0 * 1024.0;

#[derive(Default)]
struct Measured {
    ready: Vec<f64>,
    idle: Vec<f64>,
    loaded: Vec<f64>,
    cpu: Vec<f64>,
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let database = Database::fresh(&ground.settings.database_url).await?;
    let vhost = Vhost::fresh(&ground.settings.rabbitmq_management_url, &ground.settings.amqp_url).await?;
    let settings = ground.settings.of_usher(&database.url, &vhost.url);
    let (mut api, mut worker) = (Measured::default(), Measured::default());
    for _ in 0..plan.rounds {
        database.empty().await?;
        measure_worker(ground, settings.clone(), &mut worker).await?;
        measure_api(ground, &database, settings.clone(), plan, &mut api).await?;
    }
    vhost.remove().await?;
    database.remove().await?;
    let mut rows = rows_of("usher-api", &api, size(ground, "usher-api")?);
    rows.extend(rows_of("usher-worker", &worker, size(ground, "usher-worker")?));
    Ok(rows)
}

async fn measure_api(
    ground: &Ground,
    database: &Database,
    settings: BTreeMap<String, String>,
    plan: Plan,
    measured: &mut Measured,
) -> Result<()> {
    let api = Process::api(ground, settings).await?;
    measured.ready.push(milliseconds(api.ready_after));
    tokio::time::sleep(REST).await;
    measured.idle.push(api.memory()?);
    let spent = api.cpu()?;
    closed::registrations(api.address, CONNECTIONS, plan).await?;
    let registered = database.registered().await?;
    measured.cpu.push((api.cpu()? - spent) * 1e6 / registered as f64);
    measured.loaded.push(api.peak_memory()?);
    api.stop().await
}

async fn measure_worker(ground: &Ground, settings: BTreeMap<String, String>, measured: &mut Measured) -> Result<()> {
    let worker = Process::worker(ground, settings).await?;
    measured.ready.push(milliseconds(worker.ready_after));
    tokio::time::sleep(REST).await;
    measured.idle.push(worker.memory()?);
    worker.stop().await
}

fn rows_of(name: &str, measured: &Measured, size: f64) -> Vec<Row> {
    let row = |line: &str, values: &[f64], unit| Row::new(NAME, format!("{name}, {line}"), &sample(values), unit);
    let mut rows = vec![
        row("start to ready", &measured.ready, "ms").goal(Goal::AtMost(300.0)),
        row("resident, idle", &measured.idle, "MiB").goal(Goal::AtMost(40.0)),
    ];
    if !measured.loaded.is_empty() {
        rows.push(row("resident, at load", &measured.loaded, "MiB").goal(Goal::AtMost(80.0)));
        rows.push(row("processor time for one registration", &measured.cpu, "µs"));
    }
    rows.push(row("size of the binary", &[size], "MiB"));
    rows
}

fn sample(values: &[f64]) -> Sample {
    Sample::of(values.iter().copied())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn size(ground: &Ground, name: &str) -> Result<f64> {
    Ok(fs::metadata(ground.binaries.join(name))?.len() as f64 / MEBIBYTE)
}

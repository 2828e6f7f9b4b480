//! Usher itself: apis and workers from the workspace's own build.

use std::{fs, time::Duration};

use anyhow::Result;
use futures_util::future::join_all;
use nix::sys::signal::Signal;

use super::{Probe, Service, ensure};
use crate::{
    env_file,
    process::{self, Launch},
    progress::Board,
    stack::Stack,
};

/// Longer than the drain of a worker: it finishes its mail before it goes.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// How many of each, and what they are told beside where everything is.
#[derive(Clone, Copy)]
pub(crate) struct Crew {
    pub(crate) apis: usize,
    pub(crate) workers: usize,
    /// Nodes of RabbitMQ.
    pub(crate) brokers: usize,
    pub(crate) settings: &'static [(&'static str, &'static str)],
}

impl Crew {
    pub(crate) const USUAL: Self = Self { apis: 1, workers: 2, brokers: 1, settings: &[] };
}

pub(crate) fn services(stack: &Stack) -> Vec<Service> {
    let (ports, crew) = (stack.ports, stack.crew);
    let apis = [("api", ports.api, ports.api_ops), ("api-2", ports.api_2, ports.api_2_ops)];
    let apis = apis.into_iter().take(crew.apis).map(|(name, listen, ops)| service(name, vec![listen, ops], ops));
    let workers =
        [("worker-1", ports.worker_1_ops), ("worker-2", ports.worker_2_ops), ("worker-3", ports.worker_3_ops)];
    let workers = workers.into_iter().take(crew.workers).map(|(name, ops)| service(name, vec![ops], ops));
    apis.chain(workers).collect()
}

fn service(name: &'static str, ports: Vec<u16>, ops: u16) -> Service {
    Service {
        name,
        ports,
        ready: Probe::Http(format!("http://127.0.0.1:{ops}/health/ready")),
        start_within: Duration::from_mins(1),
        stop_by: Signal::SIGTERM,
        stop_within: STOP_WITHIN,
    }
}

pub(crate) async fn start(stack: &Stack, board: &Board) -> Result<()> {
    stop_outdated(stack).await?;
    migrate(stack, board).await?;
    let services = services(stack);
    join_all(services.iter().map(|service| start_one(stack, board, service))).await.into_iter().collect()
}

pub(crate) async fn start_one(stack: &Stack, board: &Board, service: &Service) -> Result<()> {
    let line = board.line(service.name);
    ensure(stack, service, &line, async || launch(stack, service)).await
}

/// A process older than its program still runs the code of before the last build.
async fn stop_outdated(stack: &Stack) -> Result<()> {
    for service in services(stack) {
        let built = fs::metadata(stack.binaries.join(program(service.name))).and_then(|it| it.modified());
        let started = fs::metadata(stack.run_file(service.name, "pid")).and_then(|it| it.modified());
        if let (Ok(built), Ok(started)) = (built, started)
            && built > started
        {
            process::stop(stack, service.name, service.stop_by, service.stop_within).await?;
        }
    }
    Ok(())
}

/// Idempotent and quick when there is nothing to do, so it runs each time.
async fn migrate(stack: &Stack, board: &Board) -> Result<()> {
    let line = board.line("migrations");
    let launch = Launch {
        program: stack.binaries.join("usher-api"),
        arguments: vec!["migrate".into()],
        environment: environment(stack, &[])?,
        directory: stack.state.join("run"),
    };
    if let Err(error) = launch.complete(stack, "migrate").await {
        line.failed();
        return Err(error);
    }
    line.done("applied");
    Ok(())
}

fn launch(stack: &Stack, service: &Service) -> Result<Launch> {
    let names: &[_] = if is_api(service.name) { &["API_LISTEN", "API_OPS_LISTEN"] } else { &["WORKER_OPS_LISTEN"] };
    let listen: Vec<_> =
        names.iter().zip(&service.ports).map(|(name, port)| (*name, format!("127.0.0.1:{port}"))).collect();
    Ok(Launch {
        program: stack.binaries.join(program(service.name)),
        arguments: vec![if is_api(service.name) { "serve" } else { "run" }.into()],
        environment: environment(stack, &listen)?,
        directory: stack.state.join("run"),
    })
}

fn program(service: &str) -> &'static str {
    if is_api(service) { "usher-api" } else { "usher-worker" }
}

fn is_api(service: &str) -> bool {
    service.starts_with("api")
}

/// Everybody here comes from one address: people who try things, tests and benchmarks.
const UNLIMITED: [(&str, &str); 7] = [
    ("LIMIT_REGISTER", "1000000/m"),
    ("LIMIT_MAIL_REQUEST", "1000000/m"),
    ("LIMIT_TOKEN", "1000000/m"),
    ("LIMIT_TOKEN_ACCOUNT", "1000000/m"),
    ("LIMIT_VALIDATE_TOKEN", "1000000/m"),
    ("LIMIT_CONCURRENCY", "10000"),
    ("MAIL_REQUEST_COOLDOWN", "1s"),
];

/// Milestones are logged at debug level: the timeline of the first user is read from them.
fn environment(stack: &Stack, listen: &[(&'static str, String)]) -> Result<Vec<(&'static str, String)>> {
    let logs = stack.service_directory(&stack.logs)?;
    let mut environment = env_file::variables(stack);
    environment.extend([
        ("LOG_FORMAT", "json".into()),
        ("LOG_DIR", logs.display().to_string()),
        ("RUST_LOG", "info,milestone=debug".into()),
    ]);
    let settings = UNLIMITED.iter().chain(stack.crew.settings);
    environment.extend(settings.map(|(name, value)| (*name, (*value).to_owned())));
    environment.extend(listen.iter().cloned());
    Ok(environment)
}

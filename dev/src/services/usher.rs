//! Usher itself: one api and two workers from the workspace's own build.

use std::{fs, time::Duration};

use anyhow::{Result, bail};
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

pub(crate) fn services(stack: &Stack) -> Vec<Service> {
    let ports = stack.ports;
    vec![
        service("api", vec![ports.api, ports.api_ops], ports.api_ops),
        service("worker-1", vec![ports.worker_1_ops], ports.worker_1_ops),
        service("worker-2", vec![ports.worker_2_ops], ports.worker_2_ops),
    ]
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
    let [api, worker_1, worker_2] = &services(stack)[..] else { bail!("Usher is one api and two workers") };
    let (api, worker_1, worker_2) =
        tokio::join!(one(stack, board, api), one(stack, board, worker_1), one(stack, board, worker_2));
    api.and(worker_1).and(worker_2)
}

async fn one(stack: &Stack, board: &Board, service: &Service) -> Result<()> {
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
    let ports = stack.ports;
    let listen = |port: u16| format!("127.0.0.1:{port}");
    let listen = match service.name {
        "api" => vec![("API_LISTEN", listen(ports.api)), ("API_OPS_LISTEN", listen(ports.api_ops))],
        _ => vec![("WORKER_OPS_LISTEN", listen(service.ports[0]))],
    };
    Ok(Launch {
        program: stack.binaries.join(program(service.name)),
        arguments: vec![if service.name == "api" { "serve" } else { "run" }.into()],
        environment: environment(stack, &listen)?,
        directory: stack.state.join("run"),
    })
}

fn program(service: &str) -> &'static str {
    if service == "api" { "usher-api" } else { "usher-worker" }
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
    let logs = stack.service_directory(&stack.root.join("logs"))?;
    let mut environment = env_file::variables(stack);
    environment.extend([
        ("LOG_FORMAT", "json".into()),
        ("LOG_DIR", logs.display().to_string()),
        ("RUST_LOG", "info,milestone=debug".into()),
    ]);
    environment.extend(UNLIMITED.map(|(name, value)| (name, value.to_owned())));
    environment.extend(listen.iter().cloned());
    Ok(environment)
}

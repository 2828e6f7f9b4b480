//! Where the chaos takes place: a stack of its own beside the one that people use, fresh for each run. Its processes end
//! with the run, by the pids that it noted; those of a run that was itself killed end with the next one, or with
//! `cargo dev down`.

use std::fs::{self, File};

use anyhow::{Context as _, Result};

use crate::{
    install,
    process::{self, Launch},
    programs,
    progress::{Board, Line},
    services::{self, keycloak, postgres, usher::Crew},
    stack::{self, Stack},
    up,
};

/// Below the state directory of the checkout.
const STATE: &str = "chaos/stack";

/// Times are shortened where waiting would teach nothing: what died is missed and tried again sooner. Five processes and
/// Keycloak share what may be two cores, so each does and asks less at once. All other settings are the defaults.
pub(super) const CREW: Crew = Crew {
    apis: 2,
    workers: 3,
    brokers: 1,
    settings: &[
        ("SWEEP_INTERVAL", "5s"),
        ("PROVISION_SNOOZE", "3s"),
        ("BREAKER_OPEN_BASE", "1s"),
        ("BREAKER_OPEN_MAX", "5s"),
        ("AMQP_RECONNECT_MAX", "2s"),
        ("DATABASE_MAX_CONNECTIONS", "5"),
        ("PROVISION_CONCURRENCY", "6"),
        ("RUST_LOG", "info"),
    ],
};

/// With three nodes of RabbitMQ; the logs say when each event was published.
pub(super) const CLUSTER: Crew = Crew {
    apis: 2,
    workers: 3,
    brokers: 3,
    settings: &[
        ("DATABASE_MAX_CONNECTIONS", "5"),
        ("PROVISION_CONCURRENCY", "6"),
        ("RUST_LOG", "info,milestone=debug"),
    ],
};

/// The stack of the chaos runs of a checkout.
pub(super) fn of(stack: &Stack, crew: Crew) -> Stack {
    let state = stack.state.join(STATE);
    Stack {
        root: stack.root.clone(),
        logs: state.join("log/usher"),
        state,
        binaries: stack.binaries.clone(),
        ports: stack.ports.of_chaos(),
        crew,
        account: stack.account,
        settings: stack.settings.clone(),
    }
}

/// Holds off every other run for as long as it lives.
pub(super) async fn prepare(stack: &Stack, ground: &Stack) -> Result<File> {
    {
        let board = Board::new();
        stack.open()?;
        let _lock = stack.lock()?;
        install::packages(stack)?;
        stack::create(&stack.state.join("chaos"))?;
        ground.open()?;
        copy_keycloak(stack, ground, &board.line("keycloak")).await?;
    }
    let lock = ground.lock()?;
    end(&of(stack, CLUSTER)).await?;
    make_fresh(ground)?;
    services::ensure_ports_free(ground, &services::all(ground)).await?;
    Ok(lock)
}

/// Everything, from the current source.
pub(super) async fn start(ground: &Stack) -> Result<()> {
    let board = Board::new();
    up::build_and_start(ground, &board).await?;
    services::usher::start(ground, &board).await
}

/// Nothing of it is needed any more, so nobody is asked politely but PostgreSQL, which would leave shared memory behind.
pub(super) async fn end(ground: &Stack) -> Result<()> {
    for service in services::all(ground).iter().rev().filter(|service| service.name != "postgres") {
        process::kill_now(ground, service.name).await?;
    }
    let database = postgres::service(ground);
    process::stop(ground, database.name, database.stop_by, database.stop_within).await?;
    Ok(())
}

/// What a run that was itself killed could not stop.
pub(crate) async fn end_what_is_left(stack: &Stack) -> Result<()> {
    let ground = of(stack, CLUSTER);
    if !ground.state.exists() {
        return Ok(());
    }
    let _lock = ground.lock()?;
    end(&ground).await
}

/// What `kc.sh build` made is the same for both; the data is not.
async fn copy_keycloak(stack: &Stack, ground: &Stack, line: &Line) -> Result<()> {
    let from = keycloak::prepare(stack, line).await?;
    let home = install::keycloak_home(ground);
    if home.exists() {
        return Ok(());
    }
    line.step("copying it");
    let parent = ground.service_directory(home.parent().context("Keycloak has no parent directory")?)?;
    let unfinished = ground.service_directory(&parent.join("unfinished"))?;
    let parts = fs::read_dir(&from)?.flatten().filter(|part| part.file_name() != "data");
    let mut arguments = vec!["--archive".to_owned()];
    arguments.extend(parts.map(|part| part.path().display().to_string()));
    arguments.push(unfinished.display().to_string());
    let program = programs::in_path(stack, "cp").context("cp is missing")?;
    Launch { program, arguments, environment: vec![], directory: parent }.complete(ground, "keycloak-copy").await?;
    Ok(fs::rename(unfinished, home)?)
}

fn make_fresh(ground: &Stack) -> Result<()> {
    let data = install::keycloak_home(ground).join("data");
    for directory in [ground.state.join("postgres"), ground.state.join("rabbitmq"), ground.state.join("log"), data] {
        if directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))?;
        }
    }
    ground.open()
}

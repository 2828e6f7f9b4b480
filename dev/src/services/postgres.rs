//! PostgreSQL with its durable settings: what the crash tests prove must hold for the database people run.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{POLL, Probe, Service, ensure};
use crate::{
    addresses::{self, ROLE, ROLE_PASSWORD},
    process::{self, Launch},
    programs,
    progress::{Board, Line},
    stack::Stack,
};

/// By then its last session has noticed and gone, too.
const ZOMBIE_GONE_WITHIN: Duration = Duration::from_secs(10);
const DATABASES: [&str; 2] = ["usher", "keycloak"];

pub(crate) fn service(stack: &Stack) -> Service {
    Service {
        name: "postgres",
        ports: vec![stack.ports.postgres],
        ready: Probe::Postgres(addresses::database(stack, "postgres")),
        start_within: Duration::from_mins(1),
        // Fast shutdown: sessions are rolled back, the data is flushed.
        stop_by: Signal::SIGINT,
        stop_within: Duration::from_secs(30),
    }
}

pub(crate) async fn start(stack: &Stack, board: &Board) -> Result<()> {
    let line = board.line("postgres");
    ensure(stack, &service(stack), &line, async || launch(stack, &line).await).await?;
    create_databases(stack).await
}

async fn launch(stack: &Stack, line: &Line) -> Result<Launch> {
    let home = stack.service_directory(&stack.state.join("postgres"))?;
    let programs = programs::postgres().context("PostgreSQL's server programs are missing")?;
    let data = home.join("data");
    if !data.exists() {
        line.step("creating its data directory");
        create_data_directory(stack, &programs, &home).await?;
    }
    forget_killed_server(&data).await?;
    let mut arguments = vec!["-D".to_owned(), data.display().to_string()];
    for setting in [
        format!("port={}", stack.ports.postgres),
        "listen_addresses=127.0.0.1".into(),
        // TCP alone: a socket file would have to fit 107 bytes, and a checkout may lie deep.
        "unix_socket_directories=".into(),
        "max_connections=400".into(),
    ] {
        arguments.extend(["-c".into(), setting]);
    }
    Ok(Launch { program: programs.join("postgres"), arguments, environment: vec![], directory: home })
}

/// A server that was killed stays in the process table until its parent asks for it, and PostgreSQL takes it for a
/// living one. Some containers' first process asks late or never.
async fn forget_killed_server(data: &Path) -> Result<()> {
    let lock = data.join("postmaster.pid");
    let pid = fs::read_to_string(&lock).ok().and_then(|text| text.lines().next()?.parse().ok());
    if let Some(pid) = pid.filter(|pid| process::is_zombie(*pid)) {
        let asked = Instant::now();
        while process::is_zombie(pid) && asked.elapsed() < ZOMBIE_GONE_WITHIN {
            tokio::time::sleep(POLL).await;
        }
        if process::is_zombie(pid) {
            fs::remove_file(lock)?;
        }
    }
    Ok(())
}

/// Made beside its place and moved when complete, so that an interrupted run leaves nothing half made behind.
async fn create_data_directory(stack: &Stack, programs: &Path, home: &Path) -> Result<()> {
    let (unfinished, password) = (home.join("data.unfinished"), home.join("password"));
    drop(fs::remove_dir_all(&unfinished));
    fs::write(&password, ROLE_PASSWORD)?;
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600))?;
    stack.account.give(&password)?;
    let initdb = Launch {
        program: programs.join("initdb"),
        arguments: vec![
            format!("--pgdata={}", unfinished.display()),
            format!("--username={ROLE}"),
            format!("--pwfile={}", password.display()),
            "--auth=scram-sha-256".into(),
            "--encoding=UTF8".into(),
            "--locale=C.UTF-8".into(),
            "--no-instructions".into(),
        ],
        environment: vec![],
        directory: home.to_owned(),
    };
    initdb.complete(stack, "initdb").await?;
    fs::remove_file(password)?;
    fs::rename(unfinished, home.join("data"))?;
    Ok(())
}

async fn create_databases(stack: &Stack) -> Result<()> {
    let mut connection = PgConnection::connect(&addresses::database(stack, "postgres")).await?;
    for name in DATABASES {
        let known =
            sqlx::query("SELECT FROM pg_database WHERE datname = $1").bind(name).fetch_optional(&mut connection);
        if known.await?.is_none() {
            // A database's name cannot be a parameter; these two are constants.
            sqlx::query(AssertSqlSafe(format!("CREATE DATABASE {name}"))).execute(&mut connection).await?;
        }
    }
    Ok(connection.close().await?)
}

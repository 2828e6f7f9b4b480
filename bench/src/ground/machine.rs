//! What a run ran on, as it is told beside the numbers.

use std::{fs, process::Command};

use anyhow::{Context as _, Result};
use sqlx::{Connection as _, PgConnection};

use super::{Ground, realm, vhost};

/// Whoever runs it by hand may have built it otherwise.
const BUILD: &str = if cfg!(debug_assertions) { "DEBUG BUILD: worth nothing" } else { "release build" };

/// One line for each fact.
pub(crate) async fn describe(ground: &Ground) -> Result<Vec<String>> {
    let mut database = PgConnection::connect(&ground.settings.database_url).await.context("PostgreSQL is not there")?;
    let postgres: String = sqlx::query_scalar("SHOW server_version").fetch_one(&mut database).await?;
    let rabbitmq = vhost::version(&ground.settings.rabbitmq_management_url).await?;
    let keycloak = realm::version(&ground.settings).await?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let memory = field("/proc/meminfo", "MemTotal").unwrap_or_default();
    Ok(vec![
        format!("{cores} × {}, {memory} of memory", field("/proc/cpuinfo", "model name").unwrap_or_default()),
        format!("load average when it began: {}", load()),
        format!("PostgreSQL {postgres}, fsync on; durable settings of the development stack"),
        format!("RabbitMQ {rabbitmq}; Keycloak {keycloak}, as the stack runs it: without Java's second compiler"),
        format!("Usher {}, {BUILD}", commit(ground).unwrap_or_else(|| "of an unknown commit".to_owned())),
    ])
}

/// Over one, five and fifteen minutes: who shared the machine with the run.
pub(crate) fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().take(3).collect::<Vec<_>>().join(" ")
}

/// Ticks of all processors so far: busy, and in all.
pub(crate) fn processors() -> Result<(u64, u64)> {
    let stat = fs::read_to_string("/proc/stat")?;
    let line = stat.lines().next().unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().skip(1).take(8).filter_map(|it| it.parse().ok()).collect();
    let (all, idle): (u64, u64) = (ticks.iter().sum(), ticks.iter().skip(3).take(2).sum());
    Ok((all - idle, all))
}

/// Which part of the machine was busy since then, whoever made it so.
pub(crate) fn busy_since((busy, all): (u64, u64)) -> Result<f64> {
    let (busy_now, all_now) = processors()?;
    Ok((busy_now - busy) as f64 / (all_now - all).max(1) as f64)
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.split_once(':'))?.1;
    Some(value.trim().to_owned())
}

fn commit(ground: &Ground) -> Option<String> {
    let git = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(&ground.root).output().ok()?;
    let described = String::from_utf8(git.stdout).ok()?.trim().to_owned();
    (git.status.success() && !described.is_empty()).then_some(described)
}

//! What a run ran on.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use sqlx::PgPool;

use crate::{addresses, install, stack::Stack};

/// Refuses a database that does not keep what it promised: a run on it would prove nothing.
pub(super) async fn read(ground: &Stack, database: &PgPool) -> Result<String> {
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(database).await?;
    ensure!(fsync == "on", "PostgreSQL runs with fsync={fsync}");
    let postgres: String = sqlx::query_scalar("SHOW server_version").fetch_one(database).await?;
    let overview = reqwest::get(format!("{}/api/overview", addresses::rabbitmq_management(ground))).await?;
    let overview: Value = overview.error_for_status()?.json().await?;
    let rabbitmq = overview["rabbitmq_version"].as_str().context("RabbitMQ has no version")?;
    let keycloak = install::KEYCLOAK;
    Ok(format!(
        "PostgreSQL {postgres} (fsync on), RabbitMQ {rabbitmq}, Keycloak {keycloak}, Usher {}",
        commit(ground).unwrap_or_else(|| "of an unknown commit".to_owned())
    ))
}

fn commit(stack: &Stack) -> Option<String> {
    let git = Command::new("git").args(["describe", "--always", "--dirty"]).current_dir(&stack.root).output().ok()?;
    let described = String::from_utf8(git.stdout).ok()?.trim().to_owned();
    (git.status.success() && !described.is_empty()).then_some(described)
}

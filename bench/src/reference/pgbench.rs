//! What the server gives without any of us: PostgreSQL's own `pgbench`, with the statement of the api.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::{
    process::Command,
    time::{Instant, sleep},
};

use crate::{
    ground::{Database, Ground},
    rounds::Plan,
};

const STORE: &str = include_str!("../../../shared/src/store/registrations/mod.rs");

/// In seconds. It is ended before.
const LONGEST: &str = "120";
const POLL: Duration = Duration::from_millis(5);

/// Drawn by `pgbench`. Names come in no order, as ours do.
const DRAWN: &str = "\\set name random(0, 9000000000000000000)\n\\set id random(0, 9000000000000000000)\n";

/// What stands for each parameter, as long as what the api inserts; ids come in the order of time, as its own do.
const VALUES: [&str; 15] = [
    "(lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1e6)::bigint), 16, '0')
      || lpad(to_hex(:id::bigint), 16, '0'))::uuid",
    "'p' || lpad(to_hex(:name::bigint), 16, '0')",
    "'p' || lpad(to_hex(:name::bigint), 16, '0') || '@example.org'",
    "'Ada'",
    "'Lovelace'",
    "15",
    "gen_random_uuid()",
    "'user.created'",
    "jsonb_build_object('version', 1, 'userId', id)",
    "'{\"traceparent\":\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\"}'::jsonb",
    "NULL",
    "NULL::bytea",
    "0",
    "NULL",
    "NULL",
];

/// Registrations per second.
pub(crate) async fn registrations(ground: &Ground, database: &Database, connections: usize, plan: Plan) -> Result<f64> {
    let script = ground.logs()?.join("register.sql");
    fs::write(&script, format!("{DRAWN}{};\n", statement()?))?;
    let log = File::create(ground.logs()?.join("pgbench.log"))?;
    let mut pgbench = Command::new(program())
        .args(["--no-vacuum", "--protocol=prepared", "--jobs=2", "--file"])
        .arg(&script)
        .args(["--client", &connections.to_string(), "--time", LONGEST, &database.url])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .context("cannot run pgbench")?;
    while database.registered().await? == 0 {
        ensure!(pgbench.try_wait()?.is_none(), "pgbench failed; see .dev/bench/log");
        sleep(POLL).await;
    }
    let rate = rate(database, plan).await?;
    ensure!(pgbench.try_wait()?.is_none(), "pgbench failed; see .dev/bench/log");
    pgbench.kill().await?;
    Ok(rate)
}

/// Over the same part of the time as ours. Its own word would include the warm-up.
async fn rate(database: &Database, plan: Plan) -> Result<f64> {
    sleep(plan.warm_up).await;
    let (from, before) = (Instant::now(), database.registered().await?);
    sleep(plan.length).await;
    let (took, after) = (from.elapsed(), database.registered().await?);
    Ok((after - before) as f64 / took.as_secs_f64())
}

/// The statement as it stands in the store, so that it is never another one.
fn statement() -> Result<String> {
    let texts = STORE.split("r#\"").skip(1).filter_map(|text| text.split("\"#").next());
    let statement = texts.into_iter().find(|text| text.contains("INSERT INTO users")).context("no statement")?;
    let has = |number: usize| statement.contains(&format!("${number}"));
    ensure!(has(VALUES.len()) && !has(VALUES.len() + 1), "the statement has other parameters now: {statement}");
    // The last one first, because `$1` is also the beginning of `$15`.
    let parameters = (1..=VALUES.len()).rev();
    let bound = parameters.fold(statement.to_owned(), |text, n| text.replace(&format!("${n}"), VALUES[n - 1]));
    Ok(bound.trim().to_owned())
}

/// Debian keeps it beside the server's programs.
fn program() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let programs = versions.map(|version| version.path().join("bin/pgbench")).filter(|program| program.exists());
    programs.max().unwrap_or_else(|| Path::new("pgbench").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_is_the_one_of_the_store() {
        let statement = statement().unwrap();
        assert!(statement.starts_with("WITH new_user AS ("), "{statement}");
        assert!(statement.contains("INSERT INTO outbox") && statement.contains("'Lovelace'"), "{statement}");
    }
}

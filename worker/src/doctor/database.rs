//! PostgreSQL.

use chrono::{TimeDelta, Utc};
use shared::{
    config::Stage,
    store::{
        self, SessionLimits, StoreError, durability,
        rights::{self, Lacking, Server},
    },
    telemetry::chain,
};
use sqlx::PgPool;

use super::{
    clock,
    finding::{Finding, Findings},
};
use crate::config::WorkerConfig;

/// The error is an address that is none.
pub(super) async fn examine(config: &WorkerConfig) -> Result<Vec<Finding>, StoreError> {
    let pool = store::connect(&config.database.url, 1, SessionLimits::WORKER, "usher-worker/doctor")?;
    let mut findings = Findings::of("postgresql");
    match rights::server(&pool).await {
        Ok(server) => {
            findings.ok("connection", format!("PostgreSQL {}, as {}", server.version, server.role));
            writable(&pool, &mut findings).await;
            migrations(&pool, &mut findings).await;
            may_work(&pool, &server.role, &mut findings).await;
            may_erase(&pool, &server.role, config.registration_expires.is_some(), &mut findings).await;
            durable(&pool, config.stage, &mut findings).await;
            time(&server, &mut findings);
        }
        Err(error) => findings.failed("connection", &error, unreachable(&error)),
    }
    Ok(findings.all())
}

fn unreachable(error: &StoreError) -> &'static str {
    let code = match error {
        StoreError::Query { source: sqlx::Error::Database(error), .. } => error.code(),
        _ => None,
    };
    match code.as_deref() {
        Some("28P01" | "28000") => "the user or the password in DATABASE_URL is wrong, or pg_hba.conf lets it not in",
        Some("3D000") => "there is no such database: create it, or mend DATABASE_URL; then run usher-api migrate",
        Some("53300") => "the server has no connection left: raise max_connections, or lower DATABASE_MAX_CONNECTIONS",
        _ => "start PostgreSQL, or mend the host and the port in DATABASE_URL; it must not be a standby",
    }
}

async fn writable(pool: &PgPool, findings: &mut Findings) {
    let check = "writing";
    let remedy = "it is a standby, or default_transaction_read_only is on: mend that, or DATABASE_URL";
    match store::may_be_written(pool).await {
        Ok(true) => findings.ok(check, "it takes what is written"),
        Ok(false) => findings.fault(check, "sessions may only read", remedy),
        Err(error) => findings.failed(check, &error, remedy),
    }
}

async fn migrations(pool: &PgPool, findings: &mut Findings) {
    let check = "migrations";
    match rights::missing_migrations(pool).await {
        Ok(missing) if missing.is_empty() => findings.ok(check, "the schema has all that this binary needs"),
        Ok(missing) => {
            let missing: Vec<_> = missing.iter().map(ToString::to_string).collect();
            findings.fault(check, format!("missing: {}", missing.join(", ")), "run usher-api migrate");
        }
        Err(error) => findings.failed(check, &error, "let the role read _sqlx_migrations"),
    }
}

async fn may_work(pool: &PgPool, role: &str, findings: &mut Findings) {
    let check = "rights of the role";
    match rights::lacking_for_work(pool).await {
        Ok(lacking) if lacking.is_empty() => findings.ok(check, "enough to work"),
        Ok(lacking) => findings.fault(check, told(&lacking), grant(&lacking, role)),
        Err(error) => findings.failed(check, &error, "see PostgreSQL's log"),
    }
}

/// For an operator's command; and for registrations that expire, if any do.
async fn may_erase(pool: &PgPool, role: &str, by_itself: bool, findings: &mut Findings) {
    let check = "rights for users erase";
    match rights::lacking_for_erasure(pool).await {
        Ok(lacking) if lacking.is_empty() => findings.ok(check, "enough"),
        Ok(lacking) if by_itself => findings.fault(check, told(&lacking), grant(&lacking, role)),
        Ok(lacking) => findings.warning(check, told(&lacking), grant(&lacking, role)),
        Err(error) => findings.failed(check, &error, "see PostgreSQL's log"),
    }
}

fn told(lacking: &[Lacking]) -> String {
    let lacking: Vec<_> = lacking.iter().map(|lacking| format!("{} on {}", lacking.right, lacking.table)).collect();
    format!("lacks {}", lacking.join(", "))
}

fn grant(lacking: &[Lacking], role: &str) -> String {
    let grant = |lacking: &Lacking| format!("GRANT {} ON {} TO \"{role}\";", lacking.right, lacking.table);
    lacking.iter().map(grant).collect::<Vec<_>>().join(" ")
}

async fn durable(pool: &PgPool, stage: Stage, findings: &mut Findings) {
    let check = "durability";
    let remedy = "set fsync=on in postgresql.conf";
    match (durability::look(pool).await, stage) {
        (Ok(()), _) => findings.ok(check, "fsync is on"),
        (Err(error), Stage::Development) => findings.warning(check, chain(&error), remedy),
        (Err(error), Stage::Production) => findings.failed(check, &error, remedy),
    }
}

/// Nothing is compared with our clock, so a wrong one breaks nothing; it only makes logs hard to read.
fn time(server: &Server, findings: &mut Findings) {
    let asked_for = TimeDelta::from_std(server.took / 2).unwrap_or_default();
    match clock::differs(server.now, Utc::now() - asked_for) {
        None => findings.ok("clock", "as ours"),
        Some(ahead) => findings.warning("clock", clock::told(ahead), "keep both machines on time (NTP)"),
    }
}

//! Keycloak on our PostgreSQL, with the realm that compose imports too.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::sys::signal::Signal;

use super::{Probe, Service, ensure};
use crate::{
    action_link,
    addresses::{self, ADMINISTRATOR, ADMINISTRATOR_PASSWORD},
    env_file, install,
    process::{self, Launch},
    progress::{Board, Line},
    stack::Stack,
};

/// What `kc.sh build` bakes in; a change of it makes the next start build again.
const BUILT_IN: [(&str, &str); 4] =
    [("KC_DB", "postgres"), ("KC_CACHE", "local"), ("KC_HEALTH_ENABLED", "true"), ("KC_METRICS_ENABLED", "true")];

/// Without Java's second compiler (C2). It would make Keycloak a third faster, but only after fifteen thousand users, and
/// keep half a core busy until then: this Keycloak lives for minutes. Without it Java reserves 48 MB for what it
/// compiles, of which ten thousand users fill four fifths.
const JAVA_OPTIONS: &str = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=128m";

/// The port of the api in the realm's redirect addresses, as compose has it.
const REALM_API_PORT: &str = ":25000/";

pub(crate) fn service(stack: &Stack) -> Service {
    let management = stack.ports.keycloak_management;
    Service {
        name: "keycloak",
        ports: vec![stack.ports.keycloak, management],
        ready: Probe::Http(format!("http://127.0.0.1:{management}/health/ready")),
        // The first start creates the schema; a loaded two-core machine has taken more than a minute for it.
        start_within: Duration::from_mins(5),
        stop_by: Signal::SIGTERM,
        stop_within: Duration::from_secs(30),
    }
}

pub(crate) async fn start(stack: &Stack, board: &Board) -> Result<()> {
    let line = board.line("keycloak");
    ensure(stack, &service(stack), &line, async || launch(stack, &line).await).await?;
    remember_java(stack)
}

async fn launch(stack: &Stack, line: &Line) -> Result<Launch> {
    let home = prepare(stack, line).await?;
    import_realm(stack, &home)?;
    Ok(kc(stack, &home, &["start", "--optimized", "--import-realm"]))
}

/// Keycloak's directory, with everything that does not depend on the data.
pub(crate) async fn prepare(stack: &Stack, line: &Line) -> Result<PathBuf> {
    let home = install::keycloak(stack, line).await?;
    build(stack, line, &home).await?;
    Ok(home)
}

/// `kc.sh` stays as the parent of the server. Whoever signals the pid in the file means the server, and the script ends
/// with it.
fn remember_java(stack: &Stack) -> Result<()> {
    let java = process::running(stack, "keycloak").and_then(process::only_child);
    java.map_or(Ok(()), |pid| process::remember(stack, "keycloak", pid))
}

async fn build(stack: &Stack, line: &Line, home: &Path) -> Result<()> {
    let marker = home.join("built-with");
    let wanted = format!("{BUILT_IN:?}\n{}", action_link::sources(stack)?);
    if fs::read_to_string(&marker).is_ok_and(|built| built == wanted) {
        return Ok(());
    }
    line.step("building it for PostgreSQL and with its provider, once (half a minute)");
    action_link::install(stack, home).await?;
    kc(stack, home, &["build"]).complete(stack, "keycloak-build").await?;
    fs::write(marker, wanted)?;
    Ok(())
}

pub(crate) fn has_realm(stack: &Stack) -> bool {
    realm_file(&install::keycloak_home(stack)).exists()
}

fn realm_file(home: &Path) -> PathBuf {
    home.join("data/import/realm.json")
}

/// Keycloak skips the import once the realm exists.
fn import_realm(stack: &Stack, home: &Path) -> Result<()> {
    let realm = fs::read_to_string(stack.root.join("deploy/keycloak/realm.json"))
        .context("deploy/keycloak/realm.json cannot be read")?;
    for directory in ["data", "data/import"] {
        stack.service_directory(&home.join(directory))?;
    }
    let copy = realm_file(home);
    fs::write(&copy, realm.replace(REALM_API_PORT, &format!(":{}/", stack.ports.api)))?;
    stack.account.give(&copy)
}

fn kc(stack: &Stack, home: &Path, arguments: &[&str]) -> Launch {
    let mut environment: Vec<_> = BUILT_IN.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    environment.extend([
        ("KC_DB_URL", format!("jdbc:postgresql://127.0.0.1:{}/keycloak", stack.ports.postgres)),
        ("KC_DB_USERNAME", "usher".into()),
        ("KC_DB_PASSWORD", "usher".into()),
        ("KC_HOSTNAME", addresses::keycloak(stack)),
        ("KC_HTTP_ENABLED", "true".into()),
        ("KC_HTTP_HOST", "127.0.0.1".into()),
        ("KC_HTTP_PORT", stack.ports.keycloak.to_string()),
        ("KC_HTTP_MANAGEMENT_PORT", stack.ports.keycloak_management.to_string()),
        ("KC_BOOTSTRAP_ADMIN_USERNAME", ADMINISTRATOR.into()),
        ("KC_BOOTSTRAP_ADMIN_PASSWORD", ADMINISTRATOR_PASSWORD.into()),
        ("JAVA_OPTS_KC_HEAP", "-Xms256m -Xmx768m".into()),
        ("JAVA_OPTS_APPEND", JAVA_OPTIONS.into()),
    ]);
    // The realm's file takes its secrets and the mail server from here.
    environment.extend(env_file::variables(stack).into_iter().filter(|(name, _)| is_realm_placeholder(name)));
    Launch {
        program: home.join("bin/kc.sh"),
        arguments: arguments.iter().map(|it| (*it).to_owned()).collect(),
        environment,
        directory: home.to_owned(),
    }
}

fn is_realm_placeholder(name: &str) -> bool {
    ["KEYCLOAK_CLIENT_SECRET", "KEYCLOAK_ADMIN_CLIENT_SECRET", "SMTP_HOST", "SMTP_PORT"].contains(&name)
}

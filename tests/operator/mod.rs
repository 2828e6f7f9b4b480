//! What an operator does by hand: with the real binary, as from a shell.

mod dead;
mod doctor;
mod parked;
mod status;
mod users;

use serde_json::{Value, json};

use crate::harness::{
    fake_keycloak::FakeKeycloak,
    process::{Binary, Finished},
    system::{Plan, Registered, System},
};

/// Runs a command to its end, in the environment of this system's workers.
async fn operate(system: &System, arguments: &[&str]) -> Finished {
    command(system, arguments).finish().await
}

fn command(system: &System, arguments: &[&str]) -> Binary {
    Binary::worker().args(arguments).envs(system.settings())
}

/// The objects of an answer in JSON, one a line.
fn objects(finished: &Finished) -> Vec<Value> {
    assert_eq!(finished.code, Some(0), "{}", finished.stderr);
    finished.stdout.lines().map(|line| serde_json::from_str(line).expect("an object on each line")).collect()
}

/// What the log says an operator did, without the lines that say what he was about to do.
fn audited(finished: &Finished) -> Vec<(String, String, String)> {
    let lines = finished.log.lines().map(|line| serde_json::from_str::<Value>(line).expect("a log in JSON"));
    let text = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    lines
        .filter(|line| line["target"] == "audit" && line["outcome"].is_string())
        .inspect(|line| assert!(!text(line, "operator").is_empty(), "by nobody: {line}"))
        .map(|line| (text(&line, "action"), text(&line, "user.id"), text(&line, "outcome")))
        .collect()
}

/// Nobody is found by the sweep: what no event brings about does not happen.
async fn by_events(keycloak: &FakeKeycloak) -> System {
    Plan::on(keycloak.access()).set("SWEEP_INTERVAL", "1h").start().await
}

/// Somebody whose username an account of somebody else has, which is returned.
async fn park(system: &System, keycloak: &FakeKeycloak, username: &str) -> (Registered, String) {
    let stranger = json!({ "username": username, "email": format!("{username}@elsewhere.org"), "enabled": true });
    let stranger = keycloak.create_user(&stranger);
    let user = system.register_as(username).await;
    system.until_parked(&user).await;
    (user, stranger)
}

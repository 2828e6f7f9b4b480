//! The interface is what its description says: schemathesis reads `/openapi.json`, makes requests up that it allows and
//! requests that it refuses, and holds every answer against it.
//!
//! How it asks stands in `schemathesis.toml`; `hooks.py` tells it what no description can.

use std::{process::Output, time::Duration};

use serde_json::json;
use tempfile::TempDir;
use tokio::{process::Command, time::timeout};

use crate::harness::{
    auth::Person,
    keycloak::Realm,
    source,
    stack::required,
    system::{Plan, System},
};

/// Against a run that never ends; it takes about a minute.
const LONGEST_RUN: Duration = Duration::from_mins(10);

#[tokio::test]
async fn every_answer_is_as_described() {
    let realm = Realm::create(1).await;
    // Somebody tries many wrong passwords in a row, and the token must last until the end.
    realm.change_realm(&json!({ "bruteForceProtected": false, "accessTokenLifespan": LONGEST_RUN.as_secs() })).await;
    let person = described_person();
    realm.create_user(&person.account()).await;
    let system = Plan::on(realm.access()).takes_passwords().workers(0).start().await;
    let token = system.log_in(&person.username, &person.password).await.token("access_token");
    let output = schemathesis(&system, &token).await;
    println!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "schemathesis: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
}

/// Who logs in in the examples of the description, so that whoever follows them succeeds.
fn described_person() -> Person {
    let document = serde_json::to_value(api::routes::openapi()).expect("the description is JSON");
    let login = &document["components"]["schemas"]["PasswordGrant"]["properties"];
    let example = |field: &str| login[field]["example"].as_str().expect("a login has an example").to_owned();
    let username = example("username");
    Person { email: format!("{username}@example.org"), password: example("password"), username }
}

/// It finds nothing but loopback in its environment, and leaves what it writes in a directory that goes with it.
async fn schemathesis(system: &System, token: &str) -> Output {
    let home = TempDir::new().expect("a directory to run in");
    let settings = source::root().join("tests/conformance");
    let program = required("SCHEMATHESIS");
    let run = Command::new(&program)
        .arg("--config-file")
        .arg(settings.join("schemathesis.toml"))
        .args(["run", "--checks=all", "--no-color"])
        .arg(format!("{}/openapi.json", system.api_url()))
        .env_clear()
        .envs([("USHER_TOKEN", token), ("PYTHONDONTWRITEBYTECODE", "1"), ("PYTHONHASHSEED", "0")])
        .env("USHER_HOOKS", settings.join("hooks.py"))
        .env("HOME", home.path())
        .current_dir(home.path())
        .kill_on_drop(true)
        .output();
    let output = timeout(LONGEST_RUN, run).await.expect("schemathesis comes to an end");
    output.unwrap_or_else(|error| panic!("{program} does not run: {error}; `cargo dev test` installs it"))
}

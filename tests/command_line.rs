//! The commands that both binaries have, as a shell runs them.

use serde_json::Value;

use crate::harness::{
    database::Database,
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    http,
    process::{Binary, Finished},
    reserved_port::ReservedPort,
    system::{PATIENCE, Plan},
};

type Program = fn() -> Binary;

/// With a command of its own.
const COMMANDS: [(Program, &str, &str); 2] =
    [(Binary::api, "usher-api", "migrate"), (Binary::worker, "usher-worker", "doctor")];
/// With where it listens for operations.
const LISTENERS: [(Program, &str); 2] = [(Binary::api, "API_OPS_LISTEN"), (Binary::worker, "WORKER_OPS_LISTEN")];

async fn run(binary: Binary, arguments: &[&str]) -> Finished {
    binary.args(arguments).finish().await
}

/// Nobody reads the answer: `| head -0`.
#[tokio::test]
async fn who_goes_away_is_no_fault() {
    let config: &[&str] = &["config", "check"];
    let completions: &[&str] = &["completions", "bash"];
    for binary in [Binary::api, Binary::worker] {
        for arguments in [&["--help"][..], &["--version"], completions, &["help", "config"]] {
            let unread = binary().args(arguments).finish_unread().await;
            assert_eq!((unread.code, unread.stderr.as_str()), (Some(0), ""), "{arguments:?}");
        }
        let unread = binary().args(config).args(&["--json"]).finish_unread().await;
        assert_eq!(unread.code, Some(64), "{}", unread.stderr);
    }
    let unread = Binary::api().args(&["openapi"]).finish_unread().await;
    assert_eq!((unread.code, unread.stderr.as_str()), (Some(0), ""));
}

#[tokio::test]
async fn a_shell_is_told_the_commands() {
    for (binary, name, command) in COMMANDS {
        for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
            let told = run(binary(), &["completions", shell]).await;
            assert_eq!(told.code, Some(0), "{}", told.stderr);
            assert!(told.stdout.contains(name) && told.stdout.contains(command), "{shell}: {}", told.stdout);
        }
        assert_eq!(run(binary(), &["completions", "cmd"]).await.code, Some(64));
        assert_eq!(run(binary(), &["no-such-command"]).await.code, Some(64));
        assert!(run(binary(), &["--version"]).await.stdout.starts_with(&format!("{name} ")));
    }
}

#[tokio::test]
async fn the_description_of_the_interface_is_the_one_that_is_served() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let url = format!("{}/openapi.json", system.api_url());
    let served: Value =
        http::client().get(url).send().await.expect("the api answers").json().await.expect("a document");
    let printed = run(Binary::api(), &["openapi"]).await;
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    assert_eq!(serde_json::from_str::<Value>(&printed.stdout).expect("a document"), served);
    system.stop().await;
}

/// As a container's health check asks.
#[tokio::test]
async fn a_process_is_asked_how_it_is() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    for (binary, variable) in LISTENERS {
        // Everywhere, as in a container: it is asked on loopback.
        let port = ReservedPort::new();
        let listen = format!("0.0.0.0:{}", port.number());
        let ask =
            async |more: &[&str]| binary().args(&["healthcheck"]).args(more).env(variable, &listen).finish().await;
        let nobody = ask(&[]).await;
        assert_eq!(nobody.code, Some(1), "{}", nobody.stdout);
        assert!(nobody.stderr.contains("nobody answers"), "{}", nobody.stderr);

        let mut process = binary().envs(system.settings()).env(variable, &listen).start();
        eventually("it is ready", PATIENCE, async || {
            let asked = ask(&[]).await;
            if asked.code == Some(0) { Ok(()) } else { Err(asked.stderr) }
        })
        .await;
        assert_eq!(ask(&["--live"]).await.code, Some(0));
        process.stop().await;
        assert_eq!(run(binary().env(variable, "s3cret"), &["healthcheck"]).await.code, Some(64));
    }

    // Alive and not ready: it has no schema.
    let empty = Database::empty().await;
    let port = ReservedPort::new();
    let listen = port.address().to_string();
    let settings = || Binary::worker().envs(system.settings()).env("WORKER_OPS_LISTEN", &listen);
    let mut worker = settings().env("DATABASE_URL", empty.url()).start();
    eventually("it lives", PATIENCE, async || {
        settings().args(&["healthcheck", "--live"]).finish().await.code == Some(0)
    })
    .await;
    let unready = settings().args(&["healthcheck"]).finish().await;
    assert_eq!(unready.code, Some(1));
    assert!(unready.stderr.contains("usher-api migrate"), "{}", unready.stderr);
    worker.stop().await;
    system.stop().await;
}

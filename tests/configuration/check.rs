//! `config check` of both binaries: what is wrong, or else what holds, and no secret.

use serde_json::Value;

use super::required;
use crate::harness::process::{Binary, Finished};

fn objects(finished: &Finished) -> Vec<Value> {
    finished.stdout.lines().map(|line| serde_json::from_str(line).expect("an object on each line")).collect()
}

async fn check(binary: Binary, settings: &[(String, String)], more: &[&str]) -> Finished {
    let settings = settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    binary.args(&["config", "check"]).args(more).envs(settings).env("USHER_ENV", "development").finish().await
}

#[tokio::test]
async fn what_holds_is_told_without_secrets() {
    for binary in [Binary::api, Binary::worker] {
        let mut settings = required();
        settings.extend([("RUST_LOG".to_owned(), "warn".to_owned())]);
        let told = check(binary(), &settings, &["--json"]).await;
        assert_eq!(told.code, Some(0), "{}", told.stderr);
        let lines = objects(&told);
        let line = |name: &str| lines.iter().find(|line| line["name"] == name).expect("the variable is told");
        assert_eq!(
            (&line("SWEEP_INTERVAL")["value"], &line("SWEEP_INTERVAL")["source"]),
            (&"15s".into(), &"default".into())
        );
        assert_eq!((&line("RUST_LOG")["value"], &line("RUST_LOG")["source"]), (&"warn".into(), &"environment".into()));
        assert_eq!((&line("DATABASE_URL")["value"], &line("DATABASE_URL")["secret"]), (&Value::Null, &true.into()));
        assert_eq!(line("REDIS_URL")["source"], "unset");

        let table = check(binary(), &settings, &[]).await;
        assert!(table.stdout.contains("SWEEP_INTERVAL"), "{}", table.stdout);
        for (name, secret) in settings.iter().filter(|(name, _)| name.ends_with("SECRET") || name.ends_with("_URL")) {
            let is_told = table.stdout.contains(secret.as_str()) || told.stdout.contains(secret.as_str());
            assert!(!is_told || name == "KEYCLOAK_URL", "{name} is told");
        }
        assert!(told.log.is_empty(), "nothing is started");
    }
}

#[tokio::test]
async fn everything_that_is_wrong_is_told_at_once() {
    let wrong = [
        ("SWEEP_INTERVAL".to_owned(), "s3cret".to_owned()),
        ("RUST_LOG".to_owned(), "=s3cret=".to_owned()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "s3cret".to_owned()),
    ];
    for binary in [Binary::api, Binary::worker] {
        let told = check(binary(), &wrong, &["--json"]).await;
        assert_eq!(told.code, Some(64), "{}", told.stderr);
        let faults: Vec<_> = objects(&told).iter().map(|line| line["fault"].to_string()).collect();
        for name in [
            "SWEEP_INTERVAL",
            "RUST_LOG",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "DATABASE_URL",
            "KEYCLOAK_URL",
            "KEYCLOAK_REALM",
        ] {
            assert!(faults.iter().any(|fault| fault.contains(name)), "{name} is missing in {faults:?}");
            assert!(told.stderr.contains(name), "{name} is missing in:\n{}", told.stderr);
        }
        assert!(!format!("{}{}", told.stdout, told.stderr).contains("s3cret"), "a value is told");
    }
}

#[tokio::test]
async fn a_secret_that_is_a_file_is_one() {
    let directory = tempfile::TempDir::new().expect("a directory");
    let file = directory.path().join("database");
    std::fs::write(&file, "postgres://usher:Kx7@127.0.0.1/usher\n").expect("a file can be written");
    let mut settings = required();
    settings.retain(|(name, _)| name != "DATABASE_URL");
    settings.push(("DATABASE_URL_FILE".to_owned(), file.display().to_string()));
    let told = check(Binary::worker(), &settings, &["--json"]).await;
    let lines = objects(&told);
    let line = lines.iter().find(|line| line["name"] == "DATABASE_URL").expect("the variable is told");
    assert_eq!(line["source"], "file");
    assert!(!told.stdout.contains("Kx7"), "{}", told.stdout);
}

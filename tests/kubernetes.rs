//! `deploy/kubernetes/`: manifests that Kubernetes would take, and that speak of the Usher there is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use api::config::{ApiConfig, MigrationConfig};
use shared::config::Environment;
use sqlx::AssertSqlSafe;
use tokio::process::Command;
use worker::config::WorkerConfig;

use crate::{
    configuration::example,
    harness::{database::Database, source::root, stack::required},
};

/// Kinds of operators, whose schemas Kubernetes does not know.
const OF_OPERATORS: [&str; 5] =
    ["ExternalSecret", "ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule"];

fn folder(name: &str) -> PathBuf {
    root().join("deploy/kubernetes").join(name)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All but the lists of kustomize.
fn manifests() -> Vec<PathBuf> {
    let files = ["base", "production"].into_iter().flat_map(|name| fs::read_dir(folder(name)).expect("a folder"));
    let mut paths: Vec<_> = files.map(|file| file.expect("a file").path()).collect();
    paths.retain(|path| !path.ends_with("kustomization.yaml"));
    paths.sort();
    paths
}

fn kinds(path: &Path) -> Vec<String> {
    read(path).lines().filter_map(|line| line.strip_prefix("kind: ")).map(str::to_owned).collect()
}

#[tokio::test]
async fn the_schemas_of_kubernetes_allow_every_manifest() {
    let (others, ours): (Vec<_>, Vec<_>) =
        manifests().into_iter().partition(|path| kinds(path).iter().all(|kind| OF_OPERATORS.contains(&kind.as_str())));
    assert!(ours.len() >= 5 && others.len() >= 3, "{ours:?} {others:?}");
    let program = required("KUBERNETES_VALIDATE");
    let run = Command::new(&program).arg("--strict").args(&ours).env_clear().output().await;
    let output = run.unwrap_or_else(|error| panic!("{program} does not start: {error}"));
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&text));
}

#[test]
fn every_manifest_is_listed() {
    for name in ["base", "production"] {
        let list = read(&folder(name).join("kustomization.yaml"));
        for path in manifests().iter().filter(|path| path.starts_with(folder(name))) {
            let file = path.file_name().and_then(|file| file.to_str()).expect("a name");
            assert!(list.contains(&format!("  - {file}\n")), "{name} does not list {file}");
        }
    }
}

/// The part of `production/secrets.yaml` that makes the secret of this name.
fn secret(name: &str) -> String {
    let target = format!("target: {{ name: {name} }}\n");
    let secrets = read(&folder("production/secrets.yaml"));
    secrets.split("\n---\n").find(|secret| secret.contains(&target)).expect(name).to_owned()
}

/// The variables of `production/`: those in the lists, and the secret ones of one process with a value made up.
fn environment(process: &str) -> Vec<(String, String)> {
    let lists = ["base", "production"].map(|name| read(&folder(name).join("kustomization.yaml")));
    let literals = lists.iter().flat_map(|list| list.lines()).filter_map(|line| line.trim().strip_prefix("- "));
    let secret = secret(process);
    let names = secret.split("secretKey: ").skip(1).filter_map(|rest| rest.split(',').next());
    let secrets = names.map(|name| match name {
        "DATABASE_URL" => (name, "postgres://usher:Kx7@postgres/usher"),
        "AMQP_URL" => (name, "amqps://usher:Kx7@rabbitmq/usher"),
        _ => (name, "Kx7"),
    });
    let variables = literals.filter_map(|literal| literal.split_once('=')).chain(secrets);
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[test]
fn each_process_takes_its_variables_and_somebody_reads_each_of_them() {
    let [api, worker, migrate] = ["usher-api", "usher-worker", "usher-migrate"].map(environment);
    ApiConfig::read(Environment::of(api.clone())).unwrap_or_else(|faults| panic!("{faults}"));
    WorkerConfig::read(Environment::of(worker.clone())).unwrap_or_else(|faults| panic!("{faults}"));
    MigrationConfig::read(Environment::of(migrate.clone())).unwrap_or_else(|faults| panic!("{faults}"));
    let known: Vec<String> = example().into_iter().map(|(name, _)| name).collect();
    for (name, _) in [api, worker, migrate].concat() {
        assert!(known.contains(&name), "nobody reads {name}");
    }
}

/// The api has no way to what a registration must not wait for, and no process more rights than it needs.
#[test]
fn every_pod_is_held_to_what_it_needs() {
    for name in ["api", "worker", "migrate"] {
        let file = format!("base/{name}.yaml");
        let manifest = read(&folder(&file));
        for needed in [
            "automountServiceAccountToken: false",
            "runAsNonRoot: true",
            "allowPrivilegeEscalation: false",
            "readOnlyRootFilesystem: true",
            "capabilities: { drop: [ALL] }",
            "limits: { memory: ",
        ] {
            assert!(manifest.contains(needed), "{file} lacks {needed}");
        }
        let secrets: Vec<&str> =
            manifest.lines().filter_map(|line| line.split_once("secretRef: ")).map(|it| it.1).collect();
        assert_eq!(secrets, [format!("{{ name: usher-{name} }}")], "{file}");
    }
    let [api, worker, migrate] = ["usher-api", "usher-worker", "usher-migrate"].map(secret);
    assert!(!api.contains("AMQP") && !api.contains("ADMIN"), "the api needs neither: {api}");
    assert!(!worker.contains("secretKey: KEYCLOAK_CLIENT_SECRET"), "the worker needs it not: {worker}");
    let owner = "key: usher/migrate,";
    assert!(!api.contains(owner) && !worker.contains(owner), "the owner of the tables migrates, and nobody else");
    assert!(migrate.contains(owner) && migrate.matches("secretKey: ").count() == 1, "it migrates alone: {migrate}");
    assert!(read(&folder("production/scaling-worker.yaml")).contains("minReplicaCount: 2"), "the sweep lives there");
}

/// Kustomize puts no file into a manifest, so the rules are there twice.
#[test]
fn prometheus_is_given_the_rules_that_were_tried() {
    let rules = read(&root().join("deploy/prometheus/alerts.yml"));
    let groups = rules.lines().skip_while(|line| *line != "groups:");
    let wanted: Vec<String> =
        groups.map(|line| if line.is_empty() { String::new() } else { format!("  {line}") }).collect();
    assert!(wanted.len() > 100, "the rules were not found: {wanted:?}");
    let manifest = read(&folder("production/rules.yaml"));
    let copy: Vec<&str> = manifest.lines().skip_while(|line| *line != "spec:").skip(1).collect();
    assert!(
        wanted == copy,
        "deploy/kubernetes/production/rules.yaml is not what deploy/prometheus/alerts.yml is; its head says how to \
         write it anew"
    );
}

/// An event that waits for its next try is nothing that another relay would help with.
#[tokio::test]
async fn workers_are_scaled_by_events_that_are_due() {
    let manifest = read(&folder("production/scaling-worker.yaml"));
    let query = manifest.split_once("query: >-\n").and_then(|(_, rest)| rest.split_once("targetQueryValue: "));
    let (query, _) = query.expect("KEDA asks PostgreSQL");
    let database = Database::create().await;
    assert!(overdue(&database, query).await < 1.0, "nothing is there");
    refused(&database, 60).await;
    assert!(overdue(&database, query).await < 1.0, "nothing is due");
    refused(&database, -60).await;
    let seconds = overdue(&database, query).await;
    assert!((3_600.0..3_700.0).contains(&seconds), "{seconds}");
}

/// What KEDA is told, in seconds.
async fn overdue(database: &Database, query: &str) -> f64 {
    let query = AssertSqlSafe(query.to_owned());
    sqlx::query_scalar(query).fetch_one(database.pool()).await.expect("KEDA's query can be run")
}

/// An event from long ago, to be tried again in so many minutes.
async fn refused(database: &Database, minutes: i32) {
    let event = "INSERT INTO outbox (event_id, event_type, user_id, data, created_at, not_before)
                 VALUES (gen_random_uuid(), 'user.created', gen_random_uuid(), '{}', now() - interval '1 day',
                         now() + make_interval(mins => $1))";
    sqlx::query(event).bind(minutes).execute(database.pool()).await.expect("an event can be written");
}

//! `/metrics` of both binaries, and the table that explains it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

use serde_json::json;

use crate::harness::{
    collector::Collector,
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Fault},
    http,
    process::{Binary, Process},
    proxy::Proxy,
    reserved_port::ReservedPort,
    source::root,
    system::{PATIENCE, Plan, System},
};

const A_CENSUS_IS_GOOD_FOR: Duration = Duration::from_mins(1);

/// An api and a worker, both real, with a Keycloak that is not.
pub(crate) struct Scene {
    keycloak: FakeKeycloak,
    pub(crate) system: System,
    _api: Process,
    _worker: Process,
    ops: [(&'static str, ReservedPort); 2],
}

impl Scene {
    pub(crate) async fn set() -> Self {
        let keycloak = FakeKeycloak::start().await;
        let system = Plan::on(keycloak.access()).workers(0).start().await;
        let ops = [("api", ReservedPort::new()), ("worker", ReservedPort::new())];
        let address = |number: usize| ops[number].1.address().to_string();
        let api =
            Binary::api().envs(system.settings()).env("API_OPS_LISTEN", address(0)).env("LOG_FORMAT", "json").start();
        let worker = Binary::worker().envs(system.settings()).env("WORKER_OPS_LISTEN", address(1)).start();
        let system = system.by_way_of(&api).await;
        Self { keycloak, system, _api: api, _worker: worker, ops }
    }

    async fn with_somebody_complete() -> Self {
        let scene = Self::set().await;
        let user = scene.system.register().await;
        scene.system.until_complete(&user).await;
        scene.until("worker", "usher_provisioning_runs_total{outcome=\"done\"} 1").await;
        scene
    }

    /// Where one of the two answers operators.
    pub(crate) fn ops(&self, binary: &str) -> String {
        let (_, port) = self.ops.iter().find(|(name, _)| *name == binary).expect("one of the two");
        port.address().to_string()
    }

    /// What one of the two answers.
    async fn text(&self, binary: &str) -> String {
        let url = format!("http://{}/metrics", self.ops(binary));
        let answer = http::client().get(url).send().await.expect("it answers");
        assert_eq!(answer.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        answer.text().await.expect("it is text")
    }

    /// Waits until a line is there.
    async fn until(&self, binary: &str, line: &str) {
        eventually(&format!("{binary} says {line}"), PATIENCE, async || {
            let text = self.text(binary).await;
            if text.lines().any(|it| it == line) { Ok(()) } else { Err(text) }
        })
        .await;
    }
}

/// The metrics of a text in Prometheus' format.
fn names(text: &str) -> BTreeSet<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let names = types.filter_map(|line| line.split(' ').next()).filter(|name| *name != "target_info");
    names.map(str::to_owned).collect()
}

/// Labels that every histogram has, or every series.
const EVERYWHERE: [&str; 3] = ["le", "quantile", "otel_scope_name"];
/// Labels whose values are words of ours.
const WORDS: [&str; 6] = ["outcome", "reason", "verdict", "step", "downstream", "db_client_connection_state"];

/// The series of a text: the metric, and its labels with their values.
fn series(text: &str) -> Vec<(String, Vec<(String, String)>)> {
    let names = names(text);
    let of = |line: &str| {
        let (name, labels) = line.split_once('{')?;
        let parts = ["_bucket", "_sum", "_count"];
        let whole = parts.iter().find_map(|part| name.strip_suffix(part)).filter(|whole| names.contains(*whole));
        let labels = labels.split_once('}')?.0.split("\",").filter_map(|label| label.split_once("=\""));
        let labels = labels.map(|(label, value)| (label.to_owned(), value.trim_end_matches('"').to_owned()));
        let labels = labels.filter(|(label, _)| !EVERYWHERE.contains(&label.as_str())).collect();
        names.contains(whole.unwrap_or(name)).then(|| (whole.unwrap_or(name).to_owned(), labels))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(of).collect()
}

/// A row of the table in `docs/metrics.md`.
struct Explained {
    name: String,
    binaries: Vec<String>,
    labels: BTreeSet<String>,
    /// In backticks, those that are values of labels among them.
    words: BTreeSet<String>,
}

fn explained() -> Vec<Explained> {
    let text = fs::read_to_string(root().join("docs/metrics.md")).expect("the table is there");
    let words = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    let of = |row: &str| {
        let cells = row.split('|').map(str::trim).collect::<Vec<_>>();
        Explained {
            name: cells[1].trim_matches('`').to_owned(),
            binaries: cells[2].split(", ").map(str::to_owned).collect(),
            labels: words(cells[3]),
            words: words(cells[4]),
        }
    };
    text.lines().filter(|line| line.starts_with("| `")).map(of).collect()
}

/// The names in the table, by binary.
pub(crate) fn table() -> BTreeMap<String, BTreeSet<String>> {
    let mut table = BTreeMap::<String, BTreeSet<String>>::new();
    for row in explained() {
        for binary in row.binaries {
            table.entry(binary).or_default().insert(row.name.clone());
        }
    }
    table
}

#[tokio::test]
async fn every_metric_is_explained_and_every_explained_one_is_there() {
    let scene = Scene::with_somebody_complete().await;
    for (binary, explained) in table() {
        // A busy machine may serve the user by the sweep before the relay has claimed the event.
        eventually(&format!("{binary} has what is explained"), PATIENCE, async || {
            let there = names(&scene.text(&binary).await);
            let differs: Vec<String> = there.symmetric_difference(&explained).cloned().collect();
            if differs.is_empty() { Ok(()) } else { Err(differs) }
        })
        .await;
    }
}

#[tokio::test]
async fn every_label_is_explained_and_each_word_that_it_may_say() {
    let scene = Scene::with_somebody_complete().await;
    let text = [scene.text("worker").await, scene.text("api").await].concat();
    let series = series(&text);
    assert!(series.len() > 40, "{text}");
    let table = explained();
    for (metric, labels) in series {
        let row = table.iter().find(|row| row.name == metric).expect("the metric has a row");
        for (label, value) in labels {
            assert!(row.labels.contains(&label), "{metric} has the label {label}");
            let known = !WORDS.contains(&label.as_str()) || row.words.contains(&value);
            assert!(known, "{metric} says {label}={value}");
        }
    }
}

/// Old figures would say that nobody waits.
#[tokio::test]
async fn figures_that_cannot_be_counted_any_more_are_not_told() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let (line, ops) = (Proxy::start(&system.database.url()).await, ReservedPort::new());
    let worker = Binary::worker().envs(system.settings()).env("DATABASE_URL", line.url());
    let _worker = worker.env("WORKER_OPS_LISTEN", ops.address().to_string()).start();
    let says = async |up: &str, counts: bool| {
        let url = format!("http://{}/metrics", ops.address());
        let answer = http::client().get(url).send().await.map_err(|error| error.to_string())?;
        let text = answer.text().await.map_err(|error| error.to_string())?;
        let is_up = text.contains(&format!("usher_downstream_up{{downstream=\"database\"}} {up}"));
        if is_up && text.contains("\nusher_users_waiting ") == counts { Ok(()) } else { Err(text) }
    };
    eventually("who waits is told", PATIENCE, async || says("1", true).await).await;
    line.cut().await;
    eventually("no figure is left", A_CENSUS_IS_GOOD_FOR + PATIENCE, async || says("0", false).await).await;
    line.restore().await;
    eventually("who waits is told again", PATIENCE, async || says("1", true).await).await;
    system.stop().await;
}

#[tokio::test]
async fn what_happens_is_counted() {
    let scene = Scene::set().await;
    scene.keycloak.fail_next(Endpoint::SendMail, 1, Fault::mail_failed());
    let user = scene.system.register().await;
    scene.system.try_register(&user.username, "other@example.org").await;
    scene.system.post("/users/register", &json!({})).send().await.expect("the api answers");
    scene.until("api", "usher_registrations_total{outcome=\"created\"} 1").await;
    scene.until("api", "usher_registrations_total{outcome=\"taken\"} 1").await;
    let refused = "http_server_request_duration_seconds_count{http_request_method=\"POST\",http_response_status_code=\"422\",http_route=\"/users/register\"} 1";
    scene.until("api", refused).await;

    scene.system.until_complete(&user).await;
    scene.until("worker", "usher_provisioning_failures_total{verdict=\"snooze\"} 1").await;
    scene.until("worker", "usher_registration_completion_duration_seconds_count 1").await;
    scene.until("worker", "messaging_client_sent_messages_total{outcome=\"confirmed\"} 1").await;
    let text = [scene.text("worker").await, scene.text("api").await].concat();
    assert!(!text.contains(&user.username) && !text.contains(&user.id.to_string()), "{text}");
}

#[tokio::test]
async fn who_waits_is_counted() {
    let scene = Scene::set().await;
    let taken = json!({ "username": "ada-lovelace", "email": "someone.else@example.org", "enabled": true });
    scene.keycloak.create_user(&taken);
    scene.keycloak.fail_next(Endpoint::SendMail, 1000, Fault::mail_failed());
    let parked = scene.system.register_as("ada-lovelace").await;
    scene.system.register().await;
    scene.system.until_parked(&parked).await;
    scene.until("worker", "usher_users_parked{reason=\"conflict\"} 1").await;
    scene.until("worker", "usher_users_parked{reason=\"refused\"} 0").await;
    scene.until("worker", "usher_users_waiting 1").await;
    eventually("somebody waits for the first mail", PATIENCE, async || {
        let text = scene.text("worker").await;
        let waits = text.lines().find_map(|line| line.strip_prefix("usher_users_oldest_waiting_age_seconds "));
        if waits.is_some_and(|waits| waits.parse().is_ok_and(|seconds: f64| seconds > 0.0)) {
            Ok(())
        } else {
            Err(text)
        }
    })
    .await;
}

#[tokio::test]
async fn a_collector_is_told_too() {
    let (keycloak, collector) = (FakeKeycloak::start().await, Collector::start().await);
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let mut api = Binary::api()
        .envs(system.settings())
        .env("LOG_FORMAT", "json")
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .start();
    let system = system.by_way_of(&api).await;
    system.register().await;
    assert!(api.stop().await.success(), "at the end it is told what it does not know yet");
    assert!(String::from_utf8_lossy(&collector.bytes()).contains("usher.registrations"));
}

//! One trace, from the HTTP request over the outbox row and the message to every call of Keycloak, and links to it from
//! whatever goes on without the event.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::harness::{
    collector::{Collector, SeenSpan},
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Fault},
    process::{Binary, Process},
    system::{PATIENCE, Plan, Registered, System},
};

/// What [`System::register_in_trace`] names as the caller's span.
const CALLER: &str = "00f067aa0ba902b7";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// An api that tells `collector`; workers are the test's own business.
async fn start(keycloak: &FakeKeycloak, collector: &Collector, sweep: &str) -> (System, Process) {
    let plan = Plan::on(keycloak.access()).workers(0).set("LOG_FORMAT", "json").set("SWEEP_INTERVAL", sweep);
    let plan = plan.set("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url()).set("RUST_LOG", "info,api=debug");
    let system = plan.start().await;
    let api = Binary::api().envs(system.settings()).start();
    (system.by_way_of(&api).await, api)
}

async fn traceparent(system: &System, user: &Registered) -> String {
    let parent: Option<String> = sqlx::query_scalar("SELECT traceparent FROM users WHERE id = $1")
        .bind(user.id)
        .fetch_one(system.pool())
        .await
        .expect("the row can be read");
    parent.expect("the row knows its trace")
}

/// Name and kind of every span below `parent`, indented by their depth.
fn tree(spans: &[SeenSpan], parent: &str, depth: usize) -> String {
    let mut text = String::new();
    for span in spans.iter().filter(|span| span.parent == parent) {
        writeln!(text, "{:width$}{} {:?}", "", span.name, span.kind, width = 2 * depth).expect("a text takes text");
        text += &tree(spans, &span.id, depth + 1);
    }
    text
}

const WHOLE_WAY: &str = "\
POST /users/register Server
  publish usher.events:user.created Producer
    process usher.user-created Consumer
      provision Internal
        log the service account in Client
        create the user Client
        send the set-up mail Client
";

#[tokio::test]
async fn one_trace_runs_from_the_request_to_the_mail() {
    let (keycloak, collector) = (FakeKeycloak::start().await, Collector::start().await);
    // The sweep would start a trace of its own, were the worker late.
    let (system, mut api) = start(&keycloak, &collector, "1h").await;
    let user = system.register_in_trace(TRACE).await;
    let mut worker = Binary::worker().envs(system.settings()).start();
    system.until_complete(&user).await;
    assert!(api.stop().await.success() && worker.stop().await.success(), "at the end they tell what they still have");

    let mut spans = collector.spans();
    spans.retain(|span| span.trace == TRACE);
    assert_eq!(tree(&spans, CALLER, 0), WHOLE_WAY, "{spans:#?}");
    for endpoint in [Endpoint::Token, Endpoint::CreateUser, Endpoint::SendMail] {
        let requests = keycloak.requests(endpoint);
        let sent = requests[0].headers.get("traceparent").expect("the call is traced").to_str().expect("ASCII");
        assert!(spans.iter().any(|span| sent == format!("00-{TRACE}-{}-01", span.id)), "{endpoint:?}: {sent}");
    }
    let provision = spans.iter().find(|span| span.name == "provision").expect("a run");
    assert_eq!(provision.attributes["user.id"], user.id.to_string());
    assert_eq!(provision.links, [], "it stands in the trace itself");
    let told = String::from_utf8_lossy(&collector.bytes()).into_owned();
    assert!(!told.contains(&user.username) && !told.contains(&user.email), "a span holds personal data");
}

#[tokio::test]
async fn a_run_without_an_event_links_to_the_registration() {
    let (keycloak, collector) = (FakeKeycloak::start().await, Collector::start().await);
    let (system, mut api) = start(&keycloak, &collector, "500ms").await;
    let user = system.register_in_trace(TRACE).await;
    sqlx::query("DELETE FROM outbox").execute(system.pool()).await.expect("events can be lost");
    let mut worker = Binary::worker().envs(system.settings()).start();
    system.until_complete(&user).await;
    assert!(api.stop().await.success() && worker.stop().await.success(), "at the end they tell what they still have");

    let spans = collector.spans();
    let named = |name: &str| spans.iter().find(|span| span.name == name).unwrap_or_else(|| panic!("no {name}"));
    let (request, sweep, provision) = (named("POST /users/register"), named("sweep"), named("provision"));
    assert_eq!(sweep.parent, "", "a root");
    assert_ne!(sweep.trace, TRACE);
    assert_eq!((&provision.trace, &provision.parent), (&sweep.trace, &sweep.id));
    assert_eq!(provision.links, [(TRACE.to_owned(), request.id.clone())]);
}

/// The event of a replay is of the operator's making, and so is its trace.
#[tokio::test]
async fn what_an_operator_gives_back_links_to_the_registration() {
    let (keycloak, collector) = (FakeKeycloak::start().await, Collector::start().await);
    let (system, _api) = start(&keycloak, &collector, "1h").await;
    let user = system.register_in_trace(TRACE).await;
    let stranger = json!({ "username": user.username, "email": "someone.else@example.org", "enabled": true });
    let stranger = keycloak.create_user(&stranger);
    let mut worker = Binary::worker().envs(system.settings()).start();
    system.until_parked(&user).await;
    keycloak.delete_user(&stranger);
    let replay = Binary::worker().args(&["parked", "replay", &user.id.to_string()]).envs(system.settings());
    assert_eq!(replay.finish().await.code, Some(0));
    system.until_complete(&user).await;
    assert!(worker.stop().await.success(), "at the end it tells what it still has");

    let spans = collector.spans();
    let runs: Vec<_> = spans.iter().filter(|span| span.name == "provision").collect();
    let [parked, replayed] = runs.as_slice() else { panic!("two runs, not {runs:?}") };
    assert_eq!((parked.trace.as_str(), parked.links.len()), (TRACE, 0));
    assert_ne!(replayed.trace, TRACE);
    let linked = replayed.links.iter().map(|(trace, id)| format!("00-{trace}-{id}-01")).collect::<Vec<_>>();
    assert_eq!(linked, [traceparent(&system, &user).await]);
}

/// An order of another mail is the cause of what follows, and no longer the registration.
#[tokio::test]
async fn what_is_tried_again_links_to_the_last_order() {
    let (keycloak, collector) = (FakeKeycloak::start().await, Collector::start().await);
    let (system, _api) = start(&keycloak, &collector, "30s").await;
    let mut worker = Binary::worker().envs(system.settings()).start();
    let user = system.register_in_trace(TRACE).await;
    system.until_complete(&user).await;
    let registration = traceparent(&system, &user).await;

    keycloak.fail_next(Endpoint::SendMail, 1, Fault::mail_failed());
    system.request_mail(&json!({ "username": user.username })).await;
    system.until(&user, "another mail was accepted", |row| row.is_complete() && row.mail_served == 2).await;
    let order = traceparent(&system, &user).await;
    assert_ne!(registration, order);
    assert!(worker.stop().await.success(), "at the end it tells what it still has");
    let spans = collector.spans();
    let links: Vec<_> =
        spans.iter().flat_map(|span| &span.links).map(|(trace, id)| format!("00-{trace}-{id}-01")).collect();
    assert_eq!(links, [order]);
}

#[tokio::test]
async fn what_is_not_sampled_is_not_sent_and_has_a_trace_all_the_same() {
    let (keycloak, collector) = (FakeKeycloak::start().await, Collector::start().await);
    let system = Plan::on(keycloak.access()).workers(0).set("LOG_FORMAT", "json").start().await;
    let api = Binary::api().envs(system.settings()).env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
    let mut api = api.env("OTEL_TRACES_SAMPLER", "traceidratio").env("OTEL_TRACES_SAMPLER_ARG", "0").start();
    let system = system.by_way_of(&api).await;
    let user = system.register_in_trace(TRACE).await;
    assert!(api.stop().await.success(), "at the end it tells what it still has");
    assert_eq!(collector.spans().len(), 0);
    let kept = traceparent(&system, &user).await;
    assert!(kept.starts_with(&format!("00-{TRACE}-")) && kept.ends_with("-00"), "{kept}");
}

#[tokio::test]
async fn a_line_of_the_log_names_its_span_and_a_quiet_log_breaks_no_trace() {
    let (keycloak, collector) = (FakeKeycloak::start().await, Collector::start().await);
    let (system, api) = start(&keycloak, &collector, "1h").await;
    let worker = Binary::worker().envs(system.settings()).env("RUST_LOG", "milestone=debug").start();
    let user = system.register_in_trace(TRACE).await;
    system.until_complete(&user).await;
    let created = &keycloak.requests(Endpoint::CreateUser)[0];
    assert!(created.headers["traceparent"].to_str().expect("ASCII").contains(TRACE), "info is off, the trace is not");

    let line = |process: &Process, text: &str| {
        let output = process.output();
        let line = output.lines().find(|line| line.contains(text)).unwrap_or_else(|| panic!("no {text} in {output}"));
        serde_json::from_str::<Value>(line).expect("a line is JSON")
    };
    let answered = line(&api, r#""message":"answered""#);
    let request = format!("00-{TRACE}-{}-01", answered["span_id"].as_str().expect("a span"));
    assert_eq!((&answered["trace_id"], request), (&TRACE.into(), traceparent(&system, &user).await));
    eventually("the worker says how far the user came", PATIENCE, async || worker.output().contains("mail_accepted"))
        .await;
    for milestone in ["published", "consumed", "mail_accepted"] {
        assert_eq!(line(&worker, milestone)["trace_id"], TRACE, "{milestone}");
    }
}

//! Redaction: who somebody is, and what lets anybody in, stands in no log, no span and no message.
//!
//! Real binaries, because logs and spans are what a process writes; at the most talkative level there is.

mod journey;
mod secrets;

use std::fs;

use serde_json::json;

use crate::{
    harness::{
        collector::Collector,
        eventually::eventually,
        keycloak::Realm,
        mailbox::Mailbox,
        process::{Binary, Process},
        rabbit::{Message, Probe},
        system::{PATIENCE, Plan, System},
    },
    topology,
};
use journey::People;
use secrets::{Secrets, is_found};

/// Something that was written, and what must stand in it: what is empty hides nothing.
struct Source {
    name: &'static str,
    bytes: Vec<u8>,
    control: String,
}

#[tokio::test]
async fn nothing_that_is_written_tells_who_somebody_is_or_lets_anybody_in() {
    is_kept_silent(|plan, _| plan).await;
}

/// Then the link comes through our own hands.
#[tokio::test]
async fn nor_does_it_when_the_mails_are_our_own() {
    is_kept_silent(|plan, mailbox| plan.by_smtp(mailbox.port())).await;
}

async fn is_kept_silent(mails: impl FnOnce(Plan, &Mailbox) -> Plan) {
    let mailbox = Mailbox::start().await;
    let realm = Realm::create(mailbox.port()).await;
    // Not what this is about: two logins in one second are one too many for it.
    realm.change_realm(&json!({ "bruteForceProtected": false })).await;
    let plan = Plan::on(realm.access()).takes_passwords().workers(0);
    let plan = plan.set("LOG_FORMAT", "json").set("RUST_LOG", "trace");
    let system = mails(plan, &mailbox).start().await;
    let probe = tap(&system).await;
    let (api_spans, worker_spans) = (Collector::start().await, Collector::start().await);
    let api = Binary::api().envs(system.settings()).env("OTEL_EXPORTER_OTLP_ENDPOINT", api_spans.url()).start();
    let worker = Binary::worker().envs(system.settings()).env("OTEL_EXPORTER_OTLP_ENDPOINT", worker_spans.url());
    let worker = worker.start();
    let system = system.by_way_of(&api).await;

    let (people, mut secrets) = journey::walk(&system, &realm, &mailbox).await;
    secrets.add_logins(system.settings());
    let mut sources = queues(&probe, &people).await;
    sources.extend(logs(api, ["api's output", "api's files"], &people).await);
    sources.extend(logs(worker, ["worker's output", "worker's files"], &people).await);
    for (name, spans) in [("api's spans", api_spans), ("worker's spans", worker_spans)] {
        sources.push(Source { name, bytes: spans.bytes(), control: people.id.to_string() });
    }
    search(&sources, &secrets);
}

/// A queue that gets a copy of every event.
async fn tap(system: &System) -> Probe {
    topology::declare_on(&system.vhost).await;
    let probe = system.vhost.probe().await;
    probe.declare_queue("everything", &json!({})).await;
    probe.bind("everything", "usher.events", "#").await;
    probe
}

async fn queues(probe: &Probe, people: &People) -> Vec<Source> {
    let told = "operators are told of the parked one";
    eventually(told, PATIENCE, async || probe.depth("usher.parked").await == Some(1)).await;
    vec![
        messages("events", &probe.drain("everything").await, &people.id.to_string()),
        messages("parked", &probe.drain("usher.parked").await, &people.parked.to_string()),
        headers("dead letters", &journey::send_what_is_no_event(probe, people).await, "no-event"),
    ]
}

/// Shows all that is found: where one secret is, there are more.
fn search(sources: &[Source], secrets: &Secrets) {
    let mut found = Vec::new();
    for Source { name, bytes, control } in sources {
        assert!(is_found(control, bytes), "{name}: nothing about {control} in {} bytes", bytes.len());
        found.extend(secrets.found_in(bytes).into_iter().map(|found| format!("{name}: {found}")));
    }
    assert!(found.is_empty(), "{}", found.join("\n"));
}

/// What a process has written by its end.
async fn logs(mut process: Process, names: [&'static str; 2], people: &People) -> [Source; 2] {
    assert!(process.stop().await.success());
    let output = process.output().into_bytes();
    assert!(is_found("sqlx::query", &output), "{}: not at its most talkative", names[0]);
    let files = fs::read_dir(process.directory().join("logs")).expect("there are log files").flatten();
    let files = files.flat_map(|file| fs::read(file.path()).expect("a log can be read")).collect();
    let source = |(name, bytes)| Source { name, bytes, control: people.id.to_string() };
    [(names[0], output), (names[1], files)].map(source)
}

fn messages(name: &'static str, messages: &[Message], control: &str) -> Source {
    let bytes =
        messages.iter().flat_map(|message| [format!("{message:?}").as_bytes(), &message.body].concat()).collect();
    Source { name, bytes, control: control.to_owned() }
}

/// Without the bodies, which somebody else has sent.
fn headers(name: &'static str, messages: &[Message], control: &str) -> Source {
    let headers = messages.iter().map(|message| format!("{:?} {:?}", message.headers, message.properties));
    Source { name, bytes: headers.collect::<String>().into_bytes(), control: control.to_owned() }
}

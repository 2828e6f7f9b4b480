//! Messages that nobody can read, that come ten times, and the order they come in.
//!
//! How a dead letter looks, and how it is moved back, stands in `dead_letters`.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::json;
use uuid::Uuid;

use super::scene::by_events_alone;
use crate::{
    harness::{
        eventually::eventually,
        fake_keycloak::{Endpoint, FakeKeycloak},
        metrics::metric_of_all,
        process::Binary,
        rabbit::Probe,
        reserved_port::ReservedPort,
        system::{PATIENCE, System},
        witness::{Beyond, Witness},
    },
    topology,
};

const DEAD: &str = "usher.user-created.dead";

/// Nobody but messages leads to Keycloak, and no worker runs yet.
async fn without_worker(keycloak: &FakeKeycloak) -> (System, Probe) {
    let system = by_events_alone(keycloak).workers(0).start().await;
    topology::declare_on(&system.vhost).await;
    let probe = system.vhost.probe().await;
    (system, probe)
}

fn created(user: Uuid, version: u32) -> Vec<u8> {
    json!({ "version": version, "userId": user }).to_string().into_bytes()
}

fn with_headers(headers: &[(&str, AMQPValue)]) -> BasicProperties {
    let mut table = FieldTable::default();
    for (name, value) in headers {
        table.insert((*name).into(), value.clone());
    }
    BasicProperties::default().with_headers(table)
}

#[tokio::test]
async fn poison_of_every_kind() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let witness = Witness::of(&system);
    let names = witness.usernames(4);
    let megabyte = "x".repeat(1024 * 1024);
    let poison = [
        &b""[..],
        b"hello",
        b"\xff\xfe\x00",
        b"[]",
        b"null",
        br#"{"version":1}"#,
        br#"{"version":1,"userId":42}"#,
        br#"{"version":1,"userId":"ada"}"#,
        megabyte.as_bytes(),
    ];
    witness.register(&system.api_url(), &names[..2]).await;
    for body in poison {
        probe.publish("usher.events", "user.created", body, BasicProperties::default()).await;
    }
    witness.register(&system.api_url(), &names[2..]).await;
    system.start_worker().await;

    let all = u32::try_from(poison.len()).expect("a few");
    eventually("each is a dead letter", PATIENCE, async || probe.depth(DEAD).await == Some(all)).await;
    for letter in probe.drain(DEAD).await {
        assert!(poison.contains(&letter.body.as_slice()), "the original is kept");
        assert!(letter.headers.contains_key("x-usher-reason"), "and says why: {:?}", letter.headers);
    }
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!(report.provisioned, 4, "{report}");
    system.stop().await;
}

/// What stands around an event that can be read harms nobody: foreign headers, a trace of nonsense, no message id.
#[tokio::test]
async fn an_event_in_strange_company() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let witness = Witness::of(&system);
    let users = witness.register(&system.api_url(), &witness.usernames(4)).await;
    sqlx::query("DELETE FROM outbox").execute(system.pool()).await.expect("the test brings the events itself");
    let strange = [
        with_headers(&[("traceparent", AMQPValue::LongString("nonsense".into()))]),
        with_headers(&[("traceparent", AMQPValue::LongInt(7)), ("cloudEvents_type", AMQPValue::Boolean(true))]),
        BasicProperties::default().with_content_type("text/html".into()).with_content_encoding("gzip".into()),
        BasicProperties::default().with_message_id("".into()),
    ];
    for (user, properties) in users.iter().zip(strange) {
        probe.publish("usher.events", "user.created", &created(user.id, 1), properties).await;
    }
    system.start_worker().await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!(report.provisioned, 4, "{report}");
    system.stop().await;
}

#[tokio::test]
async fn an_event_of_a_version_that_nobody_knows() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let witness = Witness::of(&system);
    let users = witness.register(&system.api_url(), &witness.usernames(2)).await;
    sqlx::query("DELETE FROM outbox").execute(system.pool()).await.expect("the test brings the events itself");
    for (user, version) in users.iter().zip([2, 4_000_000_000]) {
        probe.publish("usher.events", "user.created", &created(user.id, version), BasicProperties::default()).await;
    }
    system.start_worker().await;
    assert_eq!(witness.all_is_well(Beyond::Fake(&keycloak)).await.provisioned, 2);
    system.stop().await;
}

/// Twelve users, ten copies of each event, four workers, all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_comes_ten_times_to_four_workers() {
    let keycloak = FakeKeycloak::start().await;
    let (system, probe) = without_worker(&keycloak).await;
    let witness = Witness::of(&system);
    let users = witness.register(&system.api_url(), &witness.usernames(12)).await;
    for _ in 0..10 {
        for user in &users {
            probe.publish("usher.events", "user.created", &created(user.id, 1), BasicProperties::default()).await;
        }
    }
    let ports = [(); 4].map(|()| ReservedPort::new());
    let start = |ops: &ReservedPort| {
        Binary::worker().envs(system.settings()).env("WORKER_OPS_LISTEN", ops.address().to_string()).start()
    };
    let mut workers = ports.each_ref().map(start);
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails), (12, 12), "{report}");
    assert_eq!(keycloak.count(Endpoint::CreateUser), 12, "nobody even tried twice");
    let runs = async |outcome: &str| metric_of_all(&ports, "usher_provisioning_runs_total", &[outcome]).await;
    // Ten copies, and the event itself.
    let wanted = (12, 120);
    eventually("an operator sees the duplicates", PATIENCE, async || {
        let seen = (runs(r#"outcome="done""#).await, runs(r#"outcome="not_ours""#).await);
        if seen == wanted { Ok(()) } else { Err(seen) }
    })
    .await;
    for worker in &mut workers {
        assert!(worker.stop().await.success());
    }
    system.stop().await;
}

/// Somebody asks for another mail, and that event comes first.
#[tokio::test]
async fn events_come_in_the_wrong_order() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let witness = Witness::of(&system);
    let users = witness.register(&system.api_url(), &witness.usernames(3)).await;
    sqlx::query("DELETE FROM outbox").execute(system.pool()).await.expect("the test brings the events itself");
    for user in users.iter().rev() {
        for event in ["user.password-setup-requested", "user.created"] {
            probe.publish("usher.events", event, &created(user.id, 1), BasicProperties::default()).await;
        }
    }
    system.start_worker().await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails), (3, 3), "{report}");
    system.stop().await;
}

#[tokio::test]
async fn events_about_nobody() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let witness = Witness::of(&system);
    for _ in 0..5 {
        probe.publish("usher.events", "user.created", &created(Uuid::now_v7(), 1), BasicProperties::default()).await;
    }
    witness.register(&system.api_url(), &witness.usernames(2)).await;
    system.start_worker().await;
    assert_eq!(witness.all_is_well(Beyond::Fake(&keycloak)).await.provisioned, 2);
    assert_eq!(probe.depth(DEAD).await, Some(0), "who was deleted is no poison");
    system.stop().await;
}

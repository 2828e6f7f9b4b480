//! A message that cannot be understood keeps nobody up and is not lost; a user who is given up is told to operators.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::json;
use uuid::Uuid;

use crate::{
    harness::{
        eventually::eventually,
        fake_keycloak::FakeKeycloak,
        rabbit::{Message, Probe},
        system::{PATIENCE, Plan, System},
    },
    topology,
};

const QUEUE: &str = "usher.user-created";
const DEAD: &str = "usher.user-created.dead";

/// Only messages lead to Keycloak here, and no worker runs yet.
async fn without_worker(keycloak: &FakeKeycloak) -> (System, Probe) {
    let plan = Plan::on(keycloak.access()).set("SWEEP_INTERVAL", "1h").set("PROVISION_LEASE", "1m");
    let system = plan.workers(0).start().await;
    topology::declare_on(&system.vhost).await;
    let probe = system.vhost.probe().await;
    (system, probe)
}

fn named(message_id: &str) -> BasicProperties {
    BasicProperties::default().with_message_id(message_id.into()).with_content_type("application/json".into())
}

/// The user who is registered last shows that the worker goes on.
async fn until_served(system: &System) {
    let user = system.register().await;
    system.until_complete(&user).await;
}

async fn until_dead(probe: &Probe, number: u32) -> Vec<Message> {
    eventually("the dead letters are there", PATIENCE, async || match probe.depth(DEAD).await {
        Some(depth) if depth == number => Ok(()),
        depth => Err(depth),
    })
    .await;
    probe.drain(DEAD).await
}

#[tokio::test]
async fn what_cannot_be_understood_is_kept_with_its_reason_and_the_next_user_is_served() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let too_large = format!(r#"{{"userId":"{}","notes":"{}"}}"#, Uuid::now_v7(), "x".repeat(64 * 1024));
    let poison = [
        ("not-json", "hello", "expected value"),
        ("no-user", r#"{"version":1}"#, "names no user"),
        ("no-uuid", r#"{"version":1,"userId":42}"#, "names no user"),
        ("too-large", too_large.as_str(), "bytes"),
    ];
    for (message_id, body, _) in poison {
        probe.publish("usher.events", "user.created", body.as_bytes(), named(message_id)).await;
    }

    let worker = system.start_worker().await;
    until_served(&system).await;
    let letters = until_dead(&probe, 4).await;
    for (message_id, body, reason) in poison {
        let letter = letters.iter().find(|letter| letter.message_id() == message_id).expect("each is kept");
        assert_eq!(letter.body, body.as_bytes(), "{message_id}");
        assert_eq!(
            letter.properties.content_type().as_ref().map(ToString::to_string).as_deref(),
            Some("application/json")
        );
        assert!(letter.headers["x-usher-reason"].contains(reason), "{message_id}: {:?}", letter.headers);
        assert!(
            !letter.headers.contains_key("x-death"),
            "by the worker, not by the net beneath it: {:?}",
            letter.headers
        );
    }
    // What was not acknowledged would be back once the worker is gone.
    assert!(worker.stop().await);
    assert_eq!(probe.depth(QUEUE).await, Some(0));
    system.stop().await;
}

#[tokio::test]
async fn a_dead_letter_does_not_expire() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let fleeting = named("fleeting").with_expiration("600000".into()).with_priority(3).with_correlation_id("7".into());
    probe.publish("usher.events", "user.created", b"hello", fleeting.clone()).await;

    system.start_worker().await;
    let letter = until_dead(&probe, 1).await.remove(0);
    assert_eq!(letter.properties.expiration(), &None, "it would vanish before anybody has looked at it");
    // Everything else is as it was, but for the reason, and that the letter is kept on disk.
    let headers = letter.properties.headers().clone().unwrap_or_default();
    let kept = fleeting.with_headers(headers).with_delivery_mode(2);
    assert_eq!(letter.properties.with_expiration("600000".into()), kept);
    system.stop().await;
}

#[tokio::test]
async fn an_event_about_nobody_is_no_dead_letter() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let body = json!({ "version": 1, "userId": Uuid::now_v7() }).to_string();
    probe.publish("usher.events", "user.created", body.as_bytes(), named("about-nobody")).await;

    let worker = system.start_worker().await;
    until_served(&system).await;
    assert!(worker.stop().await);
    assert_eq!((probe.depth(QUEUE).await, probe.depth(DEAD).await), (Some(0), Some(0)));
    assert_eq!(keycloak.users().len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn an_event_of_a_later_version_is_followed() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let user = system.register_without_event().await;
    let body = json!({ "version": 7, "userId": user.id, "tenant": { "id": 3 } }).to_string();
    let later = named("from-the-future").with_type("user.created.v7".into()).with_content_type("text/plain".into());
    probe.publish("usher.events", "user.created", body.as_bytes(), later).await;

    system.start_worker().await;
    system.until_complete(&user).await;
    assert_eq!(probe.depth(DEAD).await, Some(0));
    system.stop().await;
}

#[tokio::test]
async fn a_dead_letter_can_be_moved_back() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let user = system.register_without_event().await;
    system.start_worker().await;
    // An older worker could not read what this one can: to the queue by its name, as "Move messages" does.
    let body = json!({ "version": 1, "userId": user.id }).to_string();
    let mut headers = FieldTable::default();
    headers.insert("x-usher-reason".into(), AMQPValue::LongString("an older worker did not understand it".into()));
    probe.publish("", QUEUE, body.as_bytes(), named("moved").with_headers(headers)).await;
    system.until_complete(&user).await;
    assert_eq!(probe.depth(DEAD).await, Some(0));

    // And what is still not understood is back again, with the newest reason and the same identity.
    probe.publish("", QUEUE, b"hello", named("hopeless")).await;
    for _ in 0..2 {
        let letter = until_dead(&probe, 1).await.remove(0);
        assert_eq!((letter.message_id(), letter.body.as_slice()), ("hopeless", &b"hello"[..]));
        assert!(letter.headers["x-usher-reason"].starts_with("the body is not JSON"), "{:?}", letter.headers);
        probe.publish("", QUEUE, &letter.body, letter.properties).await;
    }
    system.stop().await;
}

#[tokio::test]
async fn a_parked_user_is_told_once_by_ids_and_cause() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    let user = system.register().await;
    keycloak.create_user(&json!({ "username": user.username, "email": "someone.else@example.org", "enabled": true }));

    system.start_worker().await;
    system.until_parked(&user).await;
    // Whoever is served after the parked one: nothing more comes of him by then.
    until_served(&system).await;
    eventually("operators are told", PATIENCE, async || probe.depth("usher.parked").await == Some(1)).await;
    let message = probe.get("usher.parked").await.expect("the event");
    assert_eq!(message.json(), json!({ "version": 1, "userId": user.id, "cause": "conflict" }));
    let everything = format!("{message:?}");
    for personal in [user.username.as_str(), user.email.as_str(), "Ada", "Lovelace", "someone.else"] {
        assert!(!everything.contains(personal), "{personal} stands in {everything}");
    }

    // A copy of the user's event parks nobody again.
    let body = json!({ "version": 1, "userId": user.id }).to_string();
    probe.publish("usher.events", "user.created", body.as_bytes(), named("copy")).await;
    until_served(&system).await;
    assert_eq!((probe.depth("usher.parked").await, system.outbox_depth().await), (Some(0), 0));
    system.stop().await;
}

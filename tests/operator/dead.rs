//! `usher-worker dead`: what could not be understood is seen, and goes back to its queue when the operator says so.

use lapin::{
    BasicProperties,
    types::{AMQPValue, FieldTable},
};
use serde_json::{Value, json};

use super::{audited, command, objects, operate};
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
const OTHER_DEAD: &str = "usher.password-setup-requested.dead";

/// No worker runs, so what lies somewhere stays there.
async fn without_worker(keycloak: &FakeKeycloak) -> (System, Probe) {
    let system = Plan::on(keycloak.access()).set("SWEEP_INTERVAL", "1h").workers(0).start().await;
    topology::declare_on(&system.vhost).await;
    let probe = system.vhost.probe().await;
    (system, probe)
}

/// As `settle` lays it there.
async fn bury(probe: &Probe, queue: &str, message_id: &str, body: &[u8]) {
    let mut headers = FieldTable::default();
    headers.insert("x-usher-reason".into(), AMQPValue::LongString("the body\u{1b}[2J is not JSON".into()));
    headers.insert(
        "traceparent".into(),
        AMQPValue::LongString("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into()),
    );
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_message_id(message_id.into())
        .with_type("user.created".into())
        .with_timestamp(1_760_000_000);
    probe.publish("usher.dead", queue, body, properties).await;
}

/// Which letters, and where they came from.
fn named(letters: &[Value]) -> Vec<(&str, &str)> {
    letters.iter().filter_map(|letter| Some((letter["messageId"].as_str()?, letter["queue"].as_str()?))).collect()
}

#[tokio::test]
async fn a_look_at_the_dead_leaves_them_as_they_are() {
    let keycloak = FakeKeycloak::start().await;
    let (system, probe) = without_worker(&keycloak).await;
    assert_eq!(operate(&system, &["dead", "list"]).await.stdout, "there are no dead letters\n");
    let user = system.register().await;
    let readable = json!({ "version": 1, "userId": user.id }).to_string();
    bury(&probe, DEAD, "readable", readable.as_bytes()).await;
    bury(&probe, DEAD, "hopeless", b"hello").await;
    bury(&probe, OTHER_DEAD, "other", b"{}").await;

    for _ in 0..2 {
        let letters = objects(&operate(&system, &["dead", "list", "--json"]).await);
        let expected = [("readable", QUEUE), ("hopeless", QUEUE), ("other", "usher.password-setup-requested")];
        assert_eq!(named(&letters), expected, "in their order, each time");
        assert_eq!(
            letters[0],
            json!({ "queue": QUEUE, "messageId": "readable", "reason": "the body\u{1b}[2J is not JSON",
                    "eventType": "user.created", "userId": user.id, "happenedAt": "2025-10-09T08:53:20Z",
                    "undecodable": null })
        );
        assert!(letters[1]["undecodable"].as_str().is_some_and(|why| why.starts_with("the body is not JSON")));
        assert!(letters[1]["userId"].is_null());
    }
    assert_eq!((probe.depth(DEAD).await, probe.depth(OTHER_DEAD).await), (Some(2), Some(1)));

    let table = operate(&system, &["dead", "list", "--limit", "1"]).await;
    assert!(!table.stdout.contains('\u{1b}'), "a sender moves the cursor: {:?}", table.stdout);
    assert!(table.stdout.lines().count() == 3 && table.stderr.contains("1 more"), "{}{}", table.stdout, table.stderr);
    let other = operate(&system, &["dead", "list", "--queue", "usher.password-setup-requested", "--json"]).await;
    assert_eq!(objects(&other).len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn an_original_goes_back_to_its_queue_as_it_was() {
    let keycloak = FakeKeycloak::start().await;
    let (system, probe) = without_worker(&keycloak).await;
    let user = system.register().await;
    let body = json!({ "version": 1, "userId": user.id }).to_string();
    bury(&probe, DEAD, "readable", body.as_bytes()).await;
    bury(&probe, OTHER_DEAD, "other", b"{}").await;

    let replayed = operate(&system, &["dead", "replay", "--queue", QUEUE, "--json"]).await;
    assert_eq!(named(&objects(&replayed)), [("readable", QUEUE)]);
    assert_eq!(audited(&replayed), [("dead.replay".to_owned(), user.id.to_string(), "replayed".to_owned())]);
    assert_eq!((probe.depth(DEAD).await, probe.depth(OTHER_DEAD).await), (Some(0), Some(1)));
    let original = until_there(&probe, QUEUE).await;
    assert_eq!((original.message_id(), original.body.as_slice()), ("readable", body.as_bytes()));
    assert_eq!(original.properties.kind().as_ref().map(ToString::to_string).as_deref(), Some("user.created"));
    // The broker counts looks in a header of its own.
    let headers = original.headers.keys().map(String::as_str).filter(|name| *name != "x-delivery-count");
    let headers: Vec<&str> = headers.collect();
    assert_eq!((headers, *original.properties.delivery_mode()), (vec!["traceparent"], Some(2)));

    let again = operate(&system, &["dead", "replay", "--queue", QUEUE]).await;
    assert_eq!((again.code, again.stdout.as_str()), (Some(0), "there are no dead letters\n"));
    assert_eq!(probe.depth(QUEUE).await, Some(0));
    system.stop().await;
}

async fn until_there(probe: &Probe, queue: &str) -> Message {
    eventually("the message is there", PATIENCE, async || probe.get(queue).await).await
}

#[tokio::test]
async fn what_is_not_understood_comes_back_and_is_not_sent_round_for_ever() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, probe) = without_worker(&keycloak).await;
    system.start_worker().await;
    for message_id in ["one", "two", "three"] {
        bury(&probe, DEAD, message_id, b"hello").await;
    }
    let replayed = operate(&system, &["dead", "replay", "--json"]).await;
    let letters = objects(&replayed);
    assert_eq!(letters.len(), 3);
    assert!(letters.iter().all(|letter| letter["undecodable"].is_string()), "it says so: {letters:?}");
    eventually("they are back", PATIENCE, async || probe.depth(DEAD).await == Some(3)).await;
    let letter = probe.get(DEAD).await.expect("a letter");
    assert!(letter.headers["x-usher-reason"].starts_with("the body is not JSON: "), "the newest: {:?}", letter.headers);
    system.stop().await;
}

#[tokio::test]
async fn a_letter_that_no_queue_takes_stays_dead() {
    let keycloak = FakeKeycloak::start().await;
    let (system, probe) = without_worker(&keycloak).await;
    bury(&probe, DEAD, "homeless", b"hello").await;
    probe.delete_queue(QUEUE).await;
    let replayed = operate(&system, &["dead", "replay"]).await;
    assert_eq!(replayed.code, Some(1));
    assert!(replayed.stderr.contains("did not take a message for usher.user-created"), "{}", replayed.stderr);
    eventually("the letter is still there", PATIENCE, async || probe.depth(DEAD).await == Some(1)).await;
    system.stop().await;
}

#[tokio::test]
async fn nobody_needs_to_read_the_answer() {
    let keycloak = FakeKeycloak::start().await;
    let (system, probe) = without_worker(&keycloak).await;
    bury(&probe, DEAD, "one", b"hello").await;
    for arguments in [["dead", "list"], ["dead", "replay"]] {
        let unread = command(&system, &arguments).finish_unread().await;
        assert_eq!((unread.code, unread.stderr.contains("panicked")), (Some(0), false), "{}", unread.stderr);
    }
    assert_eq!((probe.depth(DEAD).await, until_there(&probe, QUEUE).await.body.as_slice()), (Some(0), &b"hello"[..]));
    let unset = crate::harness::process::Binary::worker().args(&["dead", "list"]).finish().await;
    assert!(unset.code == Some(64) && !unset.stderr.contains("DATABASE_URL"), "{}", unset.stderr);
    system.stop().await;
}

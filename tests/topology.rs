//! What the worker declares in RabbitMQ is what the definitions file says, and operators recognise who is connected.

use std::{fs, process};

use lapin::{Connection, ConnectionProperties};
use serde_json::Value;
use url::Url;
use worker::broker::topology;

use crate::harness::{
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    http,
    rabbit::Vhost,
    stack::Stack,
    system::{PATIENCE, Plan},
};

/// Declares everything as a worker does at its start: for tests that must be there before the worker is.
pub(crate) async fn declare_on(vhost: &Vhost) {
    let connection = Connection::connect(&vhost.amqp_url(), ConnectionProperties::default()).await;
    let connection = connection.expect("RabbitMQ takes connections");
    topology::declare(&connection).await.expect("the topology fits");
    connection.close(200, "declared".into()).await.expect("a connection can be closed");
}

/// What there is of one kind, with all that both sides have to agree on.
fn declared(definitions: &Value, kind: &str) -> Vec<Value> {
    let of_interest = |name: &str| {
        ["name", "type", "durable", "auto_delete", "internal", "arguments"].contains(&name)
            || ["source", "destination", "destination_type", "routing_key"].contains(&name)
    };
    let all = definitions[kind].as_array().unwrap_or_else(|| panic!("definitions have {kind}"));
    let facts = |one: &Value| {
        let one = one.as_object().expect("a definition is an object");
        let facts = one.iter().filter(|(name, _)| of_interest(name));
        facts.map(|(name, value)| (name.clone(), value.clone())).collect()
    };
    all.iter().map(|one| Value::Object(facts(one))).collect()
}

fn of_the_file() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/rabbitmq/definitions.json");
    let text = fs::read_to_string(path).expect("the definitions can be read");
    serde_json::from_str(&text).expect("the definitions are JSON")
}

/// `kind` is a collection of the management API, such as `consumers`.
async fn ask(kind: &str, vhost: &Vhost) -> Value {
    let mut url = Url::parse(&Stack::get().rabbitmq_management_url).expect("RABBITMQ_MANAGEMENT_URL is an address");
    url.path_segments_mut().expect("an address with a path").pop_if_empty().extend(["api", kind, vhost.name()]);
    let answer = http::client().get(url).send().await.expect("the management API answers");
    answer.error_for_status().expect("the management API agrees").json().await.expect("the management API answers JSON")
}

/// Waits for equality, because a worker that was just started is still connecting.
async fn until_as_in_the_file(vhost: &Vhost) {
    let file = of_the_file();
    for kind in ["exchanges", "queues", "bindings"] {
        let wanted = declared(&file, kind);
        eventually(&format!("the {kind} are those of the file"), PATIENCE, async || {
            let there = declared(&ask("definitions", vhost).await, kind);
            // In any order, of the fields too: how a value prints depends on who else is built.
            let is_as_wanted = there.len() == wanted.len() && wanted.iter().all(|one| there.contains(one));
            if is_as_wanted { Ok(()) } else { Err(there) }
        })
        .await;
    }
}

#[tokio::test]
async fn an_empty_vhost_becomes_what_the_definitions_file_says() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    until_as_in_the_file(&system.vhost).await;

    // With an alternate exchange the broker would confirm what no queue takes, and nobody would ever know. It could
    // come by a policy as well as by an argument, so there is neither.
    let definitions = ask("definitions", &system.vhost).await;
    assert_eq!(definitions["policies"], serde_json::json!([]));
    assert!(!definitions.to_string().contains("alternate-exchange"), "{definitions}");
    system.stop().await;
}

#[tokio::test]
async fn declaring_again_changes_nothing() {
    let vhost = Vhost::create().await;
    for _ in 0..2 {
        declare_on(&vhost).await;
        until_as_in_the_file(&vhost).await;
    }
}

#[tokio::test]
async fn what_other_services_bind_is_left_alone() {
    let vhost = Vhost::create().await;
    declare_on(&vhost).await;
    let probe = vhost.probe().await;
    probe.declare_queue("billing", &serde_json::json!({})).await;
    probe.bind("billing", "usher.events", "user.*").await;
    declare_on(&vhost).await;
    probe.publish("usher.events", "user.renamed", b"{}", lapin::BasicProperties::default()).await;
    assert_eq!(probe.depth("billing").await, Some(1));
}

#[tokio::test]
async fn operators_see_who_is_connected_and_who_consumes() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let is_ours = |name: &str, role: &str| {
        let instance = name.strip_prefix(role).and_then(|rest| rest.strip_prefix('@')).unwrap_or_default();
        instance.split_once('#').is_some_and(|(host, pid)| !host.is_empty() && pid == process::id().to_string())
    };

    eventually("a connection for each role, by name", PATIENCE, async || {
        let names = system.vhost.connection_names().await;
        let of = |role: &str| names.iter().filter(|name| is_ours(name, role)).count();
        let roles = (of("usher-worker/relay"), of("usher-worker/consumer"));
        if names.len() == 2 && roles == (1, 1) { Ok(()) } else { Err(names) }
    })
    .await;
    eventually("a consumer on each work queue, by tag", PATIENCE, async || {
        let consumers = ask("consumers", &system.vhost).await;
        let is_tagged = |consumer: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            is_ours(&text(&consumer["consumer_tag"]), &text(&consumer["queue"]["name"]))
        };
        let all = consumers.as_array().expect("a list of consumers");
        if all.len() == 2 && all.iter().all(is_tagged) { Ok(()) } else { Err(consumers) }
    })
    .await;
    system.stop().await;
}

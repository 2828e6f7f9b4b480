//! Somebody takes a queue, a message, a binding, a connection or a right away.

use std::time::Duration;

use serde_json::json;

use crate::{
    faults::scene::{QUEUE, Scene, by_events_alone},
    harness::{
        eventually::eventually,
        fake_keycloak::{Endpoint, FakeKeycloak, Fault, Gate},
        rabbit::Vhost,
        system::{PATIENCE, Plan},
    },
};

#[tokio::test]
async fn a_queue_that_is_deleted_while_messages_wait_in_it() {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).set("PROVISION_CONCURRENCY", "2");
    let scene = Scene::set(plan, Vhost::create().await, keycloak).await;
    scene.serve(3).await;
    // Nobody gets past the two who are with Keycloak, neither by an event nor by the sweep.
    let mut in_flight = [Endpoint::CreateUser; 2].map(|endpoint| scene.keycloak.hold(endpoint));
    scene.register(6).await;
    for gate in &mut in_flight {
        gate.reached().await;
    }
    scene.until_published().await;
    let probe = scene.probe().await;
    assert!(probe.delete_queue(QUEUE).await > 0, "messages waited");

    scene.worker.until_output_has("was its queue deleted?").await;
    eventually("the queue is there again, and consumed", PATIENCE, async || probe.consumers(QUEUE).await == Some(1))
        .await;
    in_flight.into_iter().for_each(Gate::release);
    scene.worker.until_output_has("the sweep found a user who is due").await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

#[tokio::test]
async fn a_queue_that_is_purged() {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).set("BREAKER_FAILURES", "1");
    let scene = Scene::set(plan, Vhost::create().await, keycloak).await;
    scene.serve(3).await;
    // The consumer pauses while Keycloak is down, and the messages stay where an accident can befall them.
    scene.keycloak.fail_always(Endpoint::CreateUser, Fault::status(503));
    scene.register(1).await;
    scene.until_degraded(&["keycloak"]).await;
    let users = scene.register(6).await;
    scene.until_published().await;
    let probe = scene.probe().await;
    assert!(probe.purge(QUEUE).await > 0, "messages waited");
    assert_eq!(probe.depth(QUEUE).await, Some(0));

    scene.keycloak.heal();
    scene.until_complete(&users).await;
    scene.worker.until_output_has("the sweep found a user who is due").await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

#[tokio::test]
async fn an_exchange_that_is_deleted() {
    let keycloak = FakeKeycloak::start().await;
    let scene = Scene::set(by_events_alone(&keycloak), Vhost::create().await, keycloak).await;
    scene.serve(3).await;

    scene.probe().await.delete_exchange("usher.events").await;
    let users = scene.register(3).await;
    scene.worker.until_output_has("NOT_FOUND - no exchange 'usher.events'").await;
    scene.until_complete(&users).await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

#[tokio::test]
async fn a_binding_that_is_removed() {
    let keycloak = FakeKeycloak::start().await;
    let scene = Scene::set(by_events_alone(&keycloak), Vhost::create().await, keycloak).await;
    scene.serve(3).await;

    scene.probe().await.unbind(QUEUE, "usher.events", "user.created").await;
    let users = scene.register(3).await;
    scene.worker.until_output_has(r#""answer":"Returned""#).await;
    scene.until_complete(&users).await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

/// Somebody else's queue is full and refuses. Ours has taken the same message, and the broker says no for both.
#[tokio::test]
async fn a_foreign_queue_that_refuses() {
    let keycloak = FakeKeycloak::start().await;
    let scene = Scene::set(by_events_alone(&keycloak), Vhost::create().await, keycloak).await;
    scene.serve(3).await;

    let probe = scene.probe().await;
    probe.declare_queue("foreign", &json!({ "x-max-length": 1, "x-overflow": "reject-publish" })).await;
    probe.bind("foreign", "usher.events", "user.created").await;
    // It takes the first, and none after that.
    scene.serve(1).await;
    scene.serve(3).await;
    scene.worker.until_output_has(r#""answer":"Nacked""#).await;
    assert!(scene.system.outbox_depth().await > 0, "what was refused waits to be tried again");

    probe.delete_queue("foreign").await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

#[tokio::test]
async fn connections_that_are_closed_again_and_again() {
    let keycloak = FakeKeycloak::start().await;
    // So slow that every time somebody is on the way.
    keycloak.fail_always(Endpoint::CreateUser, Fault::Delay(Duration::from_millis(200)));
    let scene = Scene::set(by_events_alone(&keycloak), Vhost::create().await, keycloak).await;
    for _ in 0..4 {
        scene.register(5).await;
        let closed = async || scene.system.vhost.close_all_connections().await >= 2;
        eventually("relay and consumer are cut off", PATIENCE, closed).await;
    }
    scene.worker.until_output_has("no connection to the broker").await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

#[tokio::test]
async fn permissions_that_are_withdrawn() {
    let keycloak = FakeKeycloak::start().await;
    let scene = Scene::set(Plan::on(keycloak.access()), Vhost::create().await, keycloak).await;
    scene.serve(3).await;

    scene.system.vhost.withdraw_permissions().await;
    // Whoever comes again is refused, so the two are hardly ever there together.
    let mut closed = 0;
    while closed < 2 {
        closed += eventually("a connection has to come again", PATIENCE, async || {
            match scene.system.vhost.close_all_connections().await {
                0 => Err("nobody is there"),
                some => Ok(some),
            }
        })
        .await;
    }
    scene.worker.until_output_has("ACCESS_REFUSED").await;
    let meanwhile = scene.register(3).await;
    scene.until_complete(&meanwhile).await;
    assert_eq!(scene.system.outbox_depth().await, 3, "their events wait");

    scene.system.vhost.give_permissions_back().await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

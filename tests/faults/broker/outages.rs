//! The whole broker is away: registrations go on, and the sweep provisions meanwhile.

use crate::{
    faults::scene::{Scene, by_events_alone},
    harness::{
        eventually::eventually,
        fake_keycloak::{Endpoint, FakeKeycloak, Gate},
        own_rabbitmq::OwnRabbitmq,
        proxy::Proxy,
        rabbit::Vhost,
        system::{PATIENCE, Plan},
    },
};

const BOTH: [&str; 2] = ["relay", "consumer"];

/// What nobody tried to publish has cost no event a try.
async fn assert_waiting_untried(scene: &Scene, events: i64) {
    let tries: Vec<i32> =
        sqlx::query_scalar("SELECT tries FROM outbox").fetch_all(scene.system.pool()).await.expect("the outbox");
    assert_eq!(tries, vec![0; usize::try_from(events).expect("a small number")]);
}

#[tokio::test]
async fn a_broker_that_is_killed_under_load() {
    let (keycloak, mut broker) = tokio::join!(FakeKeycloak::start(), OwnRabbitmq::start());
    let scene = Scene::set(Plan::on(keycloak.access()), broker.vhost(), keycloak).await;
    scene.serve(3).await;

    let begun = async || scene.keycloak.requests(Endpoint::CreateUser).len() > 4;
    let death = async {
        eventually("the load is on its way", PATIENCE, begun).await;
        broker.kill().await;
    };
    let (load, ()) = tokio::join!(scene.register(10), death);
    scene.until_degraded(&BOTH).await;
    scene.worker.until_output_has("no connection to the broker").await;
    let meanwhile = scene.register(3).await;
    // Nobody waits for the broker to come back.
    scene.until_complete(&load).await;
    scene.until_complete(&meanwhile).await;
    assert!(scene.system.outbox_depth().await >= 3, "their events wait for it");

    broker.start_again().await;
    scene.until_degraded(&[]).await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

#[tokio::test]
async fn a_broker_that_is_restarted() {
    let (keycloak, mut broker) = tokio::join!(FakeKeycloak::start(), OwnRabbitmq::start());
    let plan = by_events_alone(&keycloak);
    let scene = Scene::set(plan, broker.vhost(), keycloak).await;
    scene.serve(3).await;
    // Two are with Keycloak, two wait in the queue, and the last two come when nobody takes their events.
    let mut in_flight = [Endpoint::CreateUser; 2].map(|endpoint| scene.keycloak.hold(endpoint));
    scene.register(4).await;
    for gate in &mut in_flight {
        gate.reached().await;
    }
    scene.until_published().await;

    broker.stop().await;
    scene.until_degraded(&BOTH).await;
    scene.worker.until_output_has("no connection to the broker").await;
    scene.register(2).await;
    in_flight.into_iter().for_each(Gate::release);
    assert_waiting_untried(&scene, 2).await;

    broker.start_again().await;
    scene.until_degraded(&[]).await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

#[tokio::test]
async fn a_broker_that_is_down_when_everything_starts() {
    let keycloak = FakeKeycloak::start().await;
    let vhost = Vhost::create().await;
    let line = Proxy::start(&vhost.amqp_url()).await;
    line.cut().await;
    let plan = by_events_alone(&keycloak).set("AMQP_URL", &line.url());
    let scene = Scene::set(plan, vhost, keycloak).await;
    scene.until_degraded(&BOTH).await;
    scene.worker.until_output_has("Connection refused").await;
    scene.register(3).await;
    assert_waiting_untried(&scene, 3).await;

    line.restore().await;
    scene.until_degraded(&[]).await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

#[tokio::test]
async fn a_broker_that_is_frozen() {
    let (keycloak, broker) = tokio::join!(FakeKeycloak::start(), OwnRabbitmq::start());
    let scene = Scene::set(Plan::on(keycloak.access()), broker.vhost(), keycloak).await;
    scene.serve(3).await;

    broker.freeze().await;
    let meanwhile = scene.register(3).await;
    // Every connection looks alive; only the heartbeats tell.
    scene.until_degraded(&BOTH).await;
    scene.until_complete(&meanwhile).await;

    broker.thaw();
    scene.until_degraded(&[]).await;
    scene.serve(3).await;
    scene.all_is_well().await;
    drop(broker);
}

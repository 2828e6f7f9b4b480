//! The broker is short of memory or of disk, and takes no messages: acknowledgements and deliveries go on.

use crate::{
    faults::scene::{Scene, by_events_alone},
    harness::{
        fake_keycloak::{Endpoint, FakeKeycloak, Gate},
        own_rabbitmq::OwnRabbitmq,
    },
};

/// Raises an alarm while four are on their way and sees them arrive; then two more wait for its end.
async fn alarmed(broker: &OwnRabbitmq, raise: impl AsyncFnOnce()) -> Scene {
    let keycloak = FakeKeycloak::start().await;
    // The broker delivers the last two only when the first two are acknowledged.
    let plan = by_events_alone(&keycloak).set("KEYCLOAK_TIMEOUT", "15s");
    let scene = Scene::set(plan, broker.vhost(), keycloak).await;
    scene.serve(3).await;
    let mut in_flight = [Endpoint::CreateUser; 2].map(|endpoint| scene.keycloak.hold(endpoint));
    let on_their_way = scene.register(4).await;
    for gate in &mut in_flight {
        gate.reached().await;
    }
    scene.until_published().await;

    raise().await;
    scene.register(2).await;
    scene.until_degraded(&["relay"]).await;
    scene.worker.until_output_has("memory or disk alarm").await;
    in_flight.into_iter().for_each(Gate::release);
    scene.until_complete(&on_their_way).await;
    assert_eq!(scene.system.outbox_depth().await, 2);
    scene
}

#[tokio::test]
async fn a_memory_alarm() {
    let broker = OwnRabbitmq::start().await;
    let scene = alarmed(&broker, async || broker.raise_memory_alarm().await).await;
    broker.end_memory_alarm().await;
    scene.until_degraded(&[]).await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

/// A broker that is replaced never says that the alarm is over.
#[tokio::test]
async fn a_disk_alarm_that_ends_with_the_broker() {
    let mut broker = OwnRabbitmq::start().await;
    let scene = alarmed(&broker, async || broker.raise_disk_alarm().await).await;
    broker.kill().await;
    broker.start_again().await;
    scene.until_degraded(&[]).await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

//! The line between a worker and the broker.

use std::{fs, time::Duration};

use crate::{
    faults::scene::{Scene, by_events_alone},
    harness::{
        eventually::eventually,
        fake_keycloak::{Endpoint, FakeKeycloak, Gate},
        process::{Binary, Process},
        proxy::Proxy,
        rabbit::Vhost,
        system::{PATIENCE, Plan},
    },
};

/// A worker by way of a line of its own.
async fn scene_on_a_line(plan: impl FnOnce(&FakeKeycloak) -> Plan) -> (Scene, Proxy) {
    let (keycloak, vhost) = tokio::join!(FakeKeycloak::start(), Vhost::create());
    let line = Proxy::start(&vhost.amqp_url()).await;
    let plan = plan(&keycloak).set("AMQP_URL", &line.url());
    (Scene::set(plan, vhost, keycloak).await, line)
}

#[tokio::test]
async fn a_half_open_line_to_the_broker() {
    let (scene, line) = scene_on_a_line(by_events_alone).await;
    scene.serve(3).await;
    let mut in_flight = [Endpoint::CreateUser; 2].map(|endpoint| scene.keycloak.hold(endpoint));
    let mut users = scene.register(4).await;
    for gate in &mut in_flight {
        gate.reached().await;
    }
    scene.until_published().await;

    line.stall();
    in_flight.into_iter().for_each(Gate::release);
    scene.until_degraded(&["relay", "consumer"]).await;
    // The broker misses the worker as well, and gives its messages to another one.
    let direct = scene.system.vhost.amqp_url();
    let mut other = Binary::worker().envs(scene.system.settings()).env("AMQP_URL", direct).start();
    users.extend(scene.register(3).await);
    scene.until_complete(&users).await;
    until_tries_leave_nothing_behind(&scene.worker).await;

    line.restore().await;
    scene.until_degraded(&[]).await;
    scene.serve(3).await;
    assert!(other.stop().await.success());
    scene.all_is_well().await;
}

/// Each role has the connection that it is trying to make, and has let go of the last ones.
async fn until_tries_leave_nothing_behind(worker: &Process) {
    let tries = |role: &str| {
        let tried = |line: &&str| line.contains(role) && line.contains("did not answer in time to: connect");
        worker.output().lines().filter(tried).count()
    };
    let all_tried = async || tries(r#""role":"relay""#) > 0 && tries(r#""role":"consumer""#) > 0;
    eventually("both roles have tried to connect in vain", PATIENCE, all_tried).await;
    eventually("at most two connections are in the making", PATIENCE, async || match connections_of(worker) {
        0..=2 => Ok(()),
        more => Err(more),
    })
    .await;
}

/// Each has a thread of its own.
fn connections_of(worker: &Process) -> usize {
    let threads = fs::read_dir(format!("/proc/{}/task", worker.id())).expect("a process has threads");
    let names = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim_end() == "lapin-io-loop").count()
}

/// The line leads to one node of two: whoever loses it goes on at the other, and back when that one is lost as well.
#[tokio::test]
async fn a_node_that_is_gone_and_another_one_that_is_there() {
    let (keycloak, vhost) = tokio::join!(FakeKeycloak::start(), Vhost::create());
    let address = vhost.amqp_url();
    let (one, other) = tokio::join!(Proxy::start(&address), Proxy::start(&address));
    let both = format!("{},{}", one.url(), other.url());
    let scene = Scene::set(by_events_alone(&keycloak).set("AMQP_URL", &both), vhost, keycloak).await;
    scene.serve(3).await;
    for (lost, found) in [(&one, &other), (&other, &one)] {
        lost.cut().await;
        scene.serve(3).await;
        scene.until_degraded(&[]).await;
        scene.worker.until_output_has(&format!(r#""node":"{}""#, found.address())).await;
        lost.restore().await;
    }
    scene.all_is_well().await;
}

#[tokio::test]
async fn a_slow_line_to_the_broker() {
    let (keycloak, vhost) = tokio::join!(FakeKeycloak::start(), Vhost::create());
    let line = Proxy::start(&vhost.amqp_url()).await;
    line.delay(Duration::from_millis(50));
    // No busy machine makes a heartbeat late.
    let plan = by_events_alone(&keycloak).set("AMQP_URL", &line.url()).set("AMQP_HEARTBEAT", "20s");
    let scene = Scene::set(plan.set("AMQP_CONFIRM_TIMEOUT", "20s"), vhost, keycloak).await;
    scene.serve(3).await;

    scene.goes_on_slowly(&line, Duration::from_millis(300), "no connection to the broker").await;
}

#[tokio::test]
async fn a_line_to_the_broker_that_is_cut_before_the_confirm() {
    // So patient that nothing but the cut itself ends the wait for the confirm.
    let patient = |keycloak: &FakeKeycloak| {
        by_events_alone(keycloak).set("AMQP_CONFIRM_TIMEOUT", "24s").set("AMQP_HEARTBEAT", "1m")
    };
    let (scene, line) = scene_on_a_line(patient).await;
    scene.serve(3).await;

    line.stall();
    // One: a second one, a moment later, would wait in the outbox until the relay has its hands free.
    scene.register(1).await;
    let free = async || {
        sqlx::query_scalar::<_, i32>("SELECT tries FROM outbox FOR UPDATE SKIP LOCKED")
            .fetch_all(scene.system.pool())
            .await
            .expect("the outbox can be read")
    };
    eventually("the relay has the event in its hands", PATIENCE, async || free().await.is_empty()).await;
    assert_eq!(scene.system.outbox_depth().await, 1);
    line.cut().await;
    eventually("the event is as it was", PATIENCE, async || {
        let free = free().await;
        if free == [0] { Ok(()) } else { Err(free) }
    })
    .await;
    scene.until_degraded(&["relay", "consumer"]).await;

    line.restore().await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

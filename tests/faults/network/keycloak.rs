//! The line between Usher and Keycloak.

use crate::{
    faults::scene::{QUEUE, Scene},
    harness::{
        eventually::eventually,
        fake_keycloak::FakeKeycloak,
        proxy::Proxy,
        rabbit::Vhost,
        system::{PATIENCE, Plan},
    },
};

/// Loses the line, and sees everybody wait without paying until it is back. `sign` is what the rows say meanwhile.
async fn without_the_line(lose: impl AsyncFnOnce(&Proxy), sign: &str) {
    let keycloak = FakeKeycloak::start().await;
    let line = Proxy::start(&keycloak.access().url).await;
    let plan = Plan::on(keycloak.access()).set("KEYCLOAK_URL", &line.url()).set("KEYCLOAK_TIMEOUT", "1s");
    let scene = Scene::set(plan, Vhost::create().await, keycloak).await;
    scene.serve(3).await;

    lose(&line).await;
    let users = scene.register(6).await;
    scene.until_degraded(&["keycloak"]).await;
    let answer = scene.system.log_in("ada", "s3cret").await;
    answer.is_problem(503, "unavailable");
    assert!(!answer.header("retry-after").is_empty(), "{answer:?}");
    // The consumer has paused: who comes now waits where operators see it.
    scene.register(3).await;
    scene.until_published().await;
    let probe = scene.probe().await;
    eventually("their messages can be seen", PATIENCE, async || probe.depth(QUEUE).await >= Some(3)).await;
    let says = |error: &Option<String>| error.as_ref().is_some_and(|error| error.contains(sign));
    let row = scene.system.until(&users[0], "the row says why", |row| says(&row.last_error)).await;
    assert_eq!((row.parked_at, row.synced_at), (None, None));
    for user in &users {
        scene.system.until(user, "no attempt is spent", |row| row.attempts == 0).await;
    }

    line.restore().await;
    scene.serve(3).await;
    // The fake knows nobody's password, and says so.
    assert_ne!(scene.system.log_in("ada", "s3cret").await.json()["code"], "unavailable");
    scene.all_is_well().await;
}

#[tokio::test]
async fn a_line_to_keycloak_that_is_cut() {
    without_the_line(async |line| line.cut().await, "Connection refused").await;
}

/// What was sent arrives when nobody waits for it any more.
#[tokio::test]
async fn a_half_open_line_to_keycloak() {
    without_the_line(async |line| line.stall(), "timed out").await;
}

//! What `examples/` shows to who writes a service that listens to Usher, run as it stands there.

use lapin::BasicProperties;
use serde_json::json;
use tempfile::TempDir;

use crate::{
    harness::{
        database::Database,
        eventually::eventually,
        fake_keycloak::FakeKeycloak,
        process::{Binary, Process},
        rabbit::{Probe, documented_rights},
        system::{PATIENCE, Plan, Registered},
    },
    topology,
};

#[tokio::test]
async fn the_listener_in_rust_opens_one_account_for_each_user() {
    let database = Database::empty().await;
    one_account_for_each_user(|| Binary::listener().env("BILLING_DATABASE_URL", database.url())).await;
}

#[tokio::test]
async fn the_listener_in_python_opens_one_account_for_each_user() {
    let folder = TempDir::new().expect("a folder");
    let database = folder.path().join("billing.db");
    one_account_for_each_user(|| Binary::listener_in_python().env("BILLING_DATABASE", &database)).await;
}

/// While it runs, while it does not, when an event comes twice, and beside a message that nobody can read.
async fn one_account_for_each_user(listener: impl Fn() -> Binary) {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    topology::declare_on(&system.vhost).await;
    let probe = system.vhost.probe().await;
    probe.declare_queue("copies", &json!({})).await;
    probe.bind("copies", "usher.events", "user.created").await;
    let rights = documented_rights("billing");
    let address = system.vhost.address_for(rights.each_ref().map(String::as_str)).await;
    let start = || listener().env("AMQP_URL", &address).start();

    let mut first = start();
    first.until_output_has("listening").await;
    let present = system.register().await;
    first.until_output_has(&opened(&present)).await;
    kill(&mut first, &probe).await;

    // What was not acknowledged in time waits as well.
    let waiting = probe.depth(QUEUE).await.expect("the queue outlives its consumer");
    let absent = system.register().await;
    until_depth(&probe, QUEUE, waiting + 1).await;
    let copy = probe.get("copies").await.expect("the first event");
    probe.publish("", QUEUE, &copy.body, copy.properties).await;
    probe.publish("", QUEUE, b"nothing of ours", BasicProperties::default()).await;

    let mut second = start();
    second.until_output_has(&opened(&absent)).await;
    until_depth(&probe, "billing.users.dead", 1).await;
    kill(&mut second, &probe).await;
    assert_eq!(probe.depth(QUEUE).await, Some(0), "everything before the unreadable one was acknowledged");
    assert!(!second.output().contains(&opened(&present)), "twice: {}", second.output());
    system.stop().await;
}

const QUEUE: &str = "billing.users";

fn opened(user: &Registered) -> String {
    format!("opened an account for {}", user.id)
}

/// Returns once the broker has taken back what the listener had not acknowledged.
async fn kill(listener: &mut Process, probe: &Probe) {
    listener.kill().await;
    eventually("nobody consumes", PATIENCE, async || probe.consumers(QUEUE).await == Some(0)).await;
}

async fn until_depth(probe: &Probe, queue: &str, wanted: u32) {
    eventually(&format!("{wanted} wait in {queue}"), PATIENCE, async || match probe.depth(queue).await {
        Some(depth) if depth == wanted => Ok(()),
        depth => Err(depth),
    })
    .await;
}

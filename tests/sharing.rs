//! Workers share the users without doubling anything.

use futures_util::future::join_all;
use lapin::BasicProperties;
use serde_json::json;
use shared::lifecycle::Lifecycle;

use crate::{
    harness::{
        eventually::eventually,
        fake_keycloak::{Endpoint, FakeKeycloak},
        rabbit::Probe,
        system::{PATIENCE, Plan, Registered, System},
    },
    topology,
};

/// Two at once for each worker, so that all four have work.
fn plan(keycloak: &FakeKeycloak) -> Plan {
    Plan::on(keycloak.access()).set("PROVISION_CONCURRENCY", "2")
}

/// Returns once all four consume.
async fn start_four_workers(system: &mut System, probe: &Probe) -> Vec<Lifecycle> {
    let mut workers = Vec::new();
    for _ in 0..4 {
        workers.push(system.start_worker().await);
    }
    eventually("all four consume", PATIENCE, async || probe.consumers("usher.user-created").await == Some(4)).await;
    workers
}

/// From when on events may be published and the sweep may find users: `now() + delay`.
async fn hold_everything_back(system: &System, delay: &str) {
    for statement in [
        "UPDATE outbox SET not_before = now() + $1::interval",
        "UPDATE users SET next_attempt_at = now() + $1::interval",
    ] {
        sqlx::query(statement).bind(delay).execute(system.pool()).await.expect("everything can be held back");
    }
}

/// How often Keycloak was asked to create the user, with or without success.
fn creations_of(keycloak: &FakeKeycloak, user: &Registered) -> i64 {
    let requests = keycloak.requests(Endpoint::CreateUser);
    requests.iter().filter(|request| request.body.contains(&user.username)).map(|_| 1).sum()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_workers_serve_sixty_users_once_each() {
    let keycloak = FakeKeycloak::start().await;
    // Small batches: the relays meet often.
    let mut system = plan(&keycloak).set("RELAY_BATCH", "7").workers(0).start().await;
    let mut users = Vec::new();
    for _ in 0..60 {
        users.push(system.register().await);
    }
    hold_everything_back(&system, "1 h").await;
    let probe = system.vhost.probe().await;
    start_four_workers(&mut system, &probe).await;
    // At once: the sweeps compete with the events for every user.
    hold_everything_back(&system, "0").await;

    for user in &users {
        let row = system.until_complete(user).await;
        assert_eq!((row.mail_attempts, row.attempts), (1, 0), "{row:?}");
        assert_eq!(keycloak.mails_to(&user.username).len(), 1);
        assert!(creations_of(&keycloak, user) <= row.claim_no, "created by somebody who had not claimed: {row:?}");
    }
    assert_eq!(keycloak.users().len(), 60);
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_copies_of_one_event_come_to_one_account_and_one_mail() {
    let keycloak = FakeKeycloak::start().await;
    // Keycloak may take its time: the test holds it.
    let plan = plan(&keycloak).set("SWEEP_INTERVAL", "1h").set("KEYCLOAK_TIMEOUT", "15s");
    let mut system = plan.workers(0).start().await;
    topology::declare_on(&system.vhost).await;
    let probe = system.vhost.probe().await;
    let user = system.register().await;
    sqlx::query("DELETE FROM outbox").execute(system.pool()).await.expect("the test brings the event itself");
    let workers = start_four_workers(&mut system, &probe).await;

    // Whoever gets the user keeps it until all the others have come and gone. It is due all the time: nothing but the
    // lease keeps them away.
    hold_everything_back(&system, "0").await;
    let mut gate = keycloak.hold(Endpoint::CreateUser);
    let body = json!({ "version": 1, "userId": user.id }).to_string();
    let copy = || probe.publish("usher.events", "user.created", body.as_bytes(), BasicProperties::default());
    join_all((0..10).map(|_| copy())).await;
    gate.reached().await;
    let bystander = system.register().await;
    system.until_complete(&bystander).await;
    gate.release();

    let row = system.until_complete(&user).await;
    assert_eq!((row.claim_no, row.mail_attempts), (1, 1));
    for worker in workers {
        assert!(worker.stop().await);
    }
    // Copies that were fetched and not begun are back in the queue, before the next user's event.
    let last = system.start_worker().await;
    system.until_complete(&system.register().await).await;
    assert!(last.stop().await);
    assert_eq!(probe.depth("usher.user-created").await, Some(0), "every copy is acknowledged");
    assert_eq!(creations_of(&keycloak, &user), 1);
    assert_eq!(keycloak.mails_to(&user.username).len(), 1);
    assert_eq!(system.row(&user).await, row, "and nothing was done afterwards");
    system.stop().await;
}

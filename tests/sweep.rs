//! The sweep finds everybody whom the events missed, and leaves everybody else alone.

use chrono::{DateTime, Utc};
use lapin::BasicProperties;
use serde_json::json;

use crate::{
    harness::{
        fake_keycloak::FakeKeycloak,
        system::{Plan, Registered, System},
    },
    topology,
};

/// Sets the facts of a row, as some earlier run would have left them.
async fn set(system: &System, user: &Registered, facts: &'static str) {
    let statement = format!("UPDATE users SET {facts} WHERE id = $1");
    let set = sqlx::query(sqlx::AssertSqlSafe(statement)).bind(user.id).execute(system.pool()).await;
    assert_eq!(set.expect("the facts can be set").rows_affected(), 1);
}

async fn lose_all_events(system: &System) {
    sqlx::query("DELETE FROM outbox").execute(system.pool()).await.expect("events can be lost");
}

#[tokio::test]
async fn a_user_whose_event_was_lost_is_found() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = Plan::on(keycloak.access()).workers(0).start().await;
    let user = system.register().await;
    lose_all_events(&system).await;

    system.start_worker().await;
    let row = system.until_complete(&user).await;
    assert_eq!((row.claim_no, row.mail_attempts), (1, 1));
    system.stop().await;
}

#[tokio::test]
async fn a_user_whose_worker_died_is_finished_once_the_lease_has_ended() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = Plan::on(keycloak.access()).workers(0).start().await;
    let user = system.register().await;
    let bystander = system.register().await;
    // The event is gone with the worker, or comes too soon: here it comes too soon.
    set(&system, &user, "claim_no = 1, attempts = 1, leased_until = now() + interval '3 s'").await;
    let lease_end: Option<DateTime<Utc>> = system.row(&user).await.leased_until;

    system.start_worker().await;
    system.until_complete(&bystander).await;
    let row = system.until_complete(&user).await;
    assert_eq!((row.claim_no, row.attempts, row.mail_attempts), (2, 0, 1));
    assert!(row.synced_at > lease_end, "{row:?} was touched before {lease_end:?}");
    system.stop().await;
}

#[tokio::test]
async fn a_parked_user_is_left_alone() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = Plan::on(keycloak.access()).workers(0).start().await;
    let parked = system.register().await;
    // Parked before there was an account, and parked when only the mail was owed. Both would be first in line.
    let parked_synced = system.register().await;
    let overdue = "next_attempt_at = now() - interval '1 h', parked_at = now(), parked_reason = 'conflict'";
    set(&system, &parked, overdue).await;
    set(&system, &parked_synced, overdue).await;
    set(&system, &parked_synced, "keycloak_id = gen_random_uuid(), keycloak_realm = 'usher', synced_at = now()").await;
    let before = (system.row(&parked).await, system.row(&parked_synced).await);
    let due = system.register().await;
    lose_all_events(&system).await;

    system.start_worker().await;
    system.until_complete(&due).await;
    assert_eq!((system.row(&parked).await, system.row(&parked_synced).await), before);
    assert_eq!(keycloak.users().len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn an_event_does_not_skip_the_backoff() {
    let keycloak = FakeKeycloak::start().await;
    // Without a sweep, so that whoever is served was served by an event.
    let mut system = Plan::on(keycloak.access()).set("SWEEP_INTERVAL", "1h").workers(0).start().await;
    topology::declare_on(&system.vhost).await;
    let probe = system.vhost.probe().await;
    // One who was refused, and one whose attempt was given back because Keycloak was down.
    let (refused, snoozed) = (system.register().await, system.register().await);
    let later = "claim_no = 1, last_error = 'no', next_attempt_at = now() + interval '1 h'";
    set(&system, &refused, later).await;
    set(&system, &refused, "attempts = 1").await;
    set(&system, &snoozed, later).await;
    let before = (system.row(&refused).await, system.row(&snoozed).await);
    lose_all_events(&system).await;
    for user in [&refused, &snoozed] {
        let body = json!({ "version": 1, "userId": user.id }).to_string();
        probe.publish("usher.events", "user.created", body.as_bytes(), BasicProperties::default()).await;
    }

    let worker = system.start_worker().await;
    // The last event in the queue: when its user is served, those before it have been looked at.
    system.until_complete(&system.register().await).await;
    assert!(worker.stop().await);
    assert_eq!(probe.depth("usher.user-created").await, Some(0), "the events are acknowledged");
    assert_eq!((system.row(&refused).await, system.row(&snoozed).await), before);
    assert_eq!(keycloak.users().len(), 1);
    system.stop().await;
}

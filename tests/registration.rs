//! Registration: a user and the event about the user are committed together, whatever else is down.

use serde_json::{Value, json};
use sqlx::Executor as _;

use crate::harness::{
    auth::Answer,
    fake_keycloak::FakeKeycloak,
    proxy::Proxy,
    rabbit::Vhost,
    system::{Plan, System},
};

async fn api_alone() -> System {
    let keycloak = FakeKeycloak::start().await;
    Plan::on(keycloak.access()).workers(0).start().await
}

async fn count(system: &System, table: &'static str) -> i64 {
    let sql = match table {
        "users" => "SELECT count(*) FROM users",
        _ => "SELECT count(*) FROM outbox",
    };
    sqlx::query_scalar(sql).fetch_one(system.pool()).await.expect("rows can be counted")
}

#[tokio::test]
async fn a_user_is_committed_with_exactly_one_event_that_carries_ids_only() {
    let system = api_alone().await;
    let user = system.register().await;
    let (event_type, about, data, trace): (String, uuid::Uuid, Value, Value) =
        sqlx::query_as("SELECT event_type, user_id, data, trace_context FROM outbox")
            .fetch_one(system.pool())
            .await
            .expect("one event");
    assert_eq!((event_type.as_str(), about), ("user.created", user.id));
    assert_eq!(data, json!({ "version": 1, "userId": user.id }));
    assert!(trace.is_object());
    let row = system.row(&user).await;
    assert_eq!(row.created_at.timestamp_subsec_nanos() % 1_000_000, 0, "the proof of origin has whole milliseconds");
}

#[tokio::test]
async fn without_the_event_there_is_no_user() {
    let system = api_alone().await;
    // A fault in the second half of the statement only.
    system
        .pool()
        .execute("ALTER TABLE outbox ADD CONSTRAINT refuse_all CHECK (false)")
        .await
        .expect("the table is ours");
    let status = system.try_register("ada", "ada@example.org").await;
    assert!(status >= 500, "{status}");
    assert_eq!(count(&system, "users").await, 0);
}

#[tokio::test]
async fn who_is_refused_leaves_neither_a_row_nor_an_event() {
    let system = api_alone().await;
    let user = system.register_as("ada-lovelace").await;
    assert_eq!(system.try_register("ADA-lovelace", "other@example.org").await, 409);
    assert_eq!(system.try_register("another", &user.email.to_uppercase()).await, 409);
    assert_eq!(system.try_register("a b", "nobody").await, 422);
    assert_eq!((count(&system, "users").await, count(&system, "outbox").await), (1, 1));
}

#[tokio::test]
async fn who_is_refused_is_told_what_is_taken() {
    let system = api_alone().await;
    let user = system.register_as("ada").await;
    for (username, email, code, pointers) in [
        ("ADA", "other@example.org", "username_taken", &["#/username"][..]),
        ("other", &user.email.to_uppercase(), "email_taken", &["#/email"]),
        ("ada", &user.email, "username_taken", &["#/username", "#/email"]),
    ] {
        let body = json!({ "username": username, "email": email, "firstName": "Ada", "lastName": "Lovelace" });
        let answer = Answer::of(system.post("/users/register", &body)).await;
        answer.is_problem(409, code);
        let errors = answer.json()["errors"].take();
        let named: Vec<_> = errors.as_array().expect("a list").iter().map(|error| error["pointer"].clone()).collect();
        assert_eq!(named, pointers, "{answer:?}");
    }
}

#[tokio::test]
async fn of_many_who_want_one_name_at_once_one_gets_it() {
    let system = api_alone().await;
    let addresses: Vec<String> = (0..12).map(|n| format!("ada{n}@example.org")).collect();
    let answers = futures_util::future::join_all(addresses.iter().map(|email| system.try_register("ada", email))).await;
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 409).count(), 11, "{answers:?}");
    assert_eq!((count(&system, "users").await, count(&system, "outbox").await), (1, 1));
}

#[tokio::test]
async fn registration_needs_neither_broker_nor_keycloak() {
    let keycloak = FakeKeycloak::start().await;
    let (vhost, proxy) = (Vhost::create().await, Proxy::start(&keycloak.access().url).await);
    proxy.cut().await;
    let plan = Plan::on(keycloak.access()).set("KEYCLOAK_URL", &proxy.url()).set("AMQP_URL", "amqp://127.0.0.1:1/none");
    let system = plan.start_on(vhost).await;
    let user = system.register().await;
    assert!(system.row(&user).await.synced_at.is_none());
    system.stop().await;
}

//! How far a registration has come: told to whoever has its id, and nothing about the person.

use serde_json::{Value, json};

use crate::harness::{
    auth::Answer,
    fake_keycloak::FakeKeycloak,
    http,
    system::{Plan, Registered, System},
};

async fn get(system: &System, path: &str) -> Answer {
    Answer::of(http::client().get(format!("{}{path}", system.api_url()))).await
}

async fn status(system: &System, user: &Registered) -> Value {
    let answer = get(system, &format!("/users/{}/status", user.id)).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{answer:?}");
    assert!(!answer.text.contains(&user.username) && !answer.text.contains("Ada"), "{answer:?}");
    answer.json()
}

#[tokio::test]
async fn who_registers_is_told_what_was_kept_and_where_to_ask() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let body = json!({
        "username": "Ada.1815", "email": "Ada@Example.org", "firstName": " Ada ", "lastName": "Mu\u{308}ller"
    });
    let answer = Answer::of(system.post("/users/register", &body)).await;
    assert_eq!((answer.status, answer.header("content-type")), (201, "application/json"), "{answer:?}");
    let kept = answer.json();
    let expected = json!({
        "id": kept["id"], "username": "ada.1815", "email": "Ada@Example.org", "firstName": "Ada", "lastName": "Müller",
        "status": "pending", "createdAt": kept["createdAt"],
    });
    assert_eq!(kept, expected);

    let asked = get(&system, answer.header("location")).await.json();
    let expected = json!({
        "id": kept["id"], "status": "pending", "createdAt": kept["createdAt"],
        "syncedAt": null, "mailSentAt": null, "parkedAt": null, "parkedReason": null, "password": null,
    });
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn each_step_shows_with_its_time() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let complete = system.register().await;
    let row = system.until_complete(&complete).await;
    let told = status(&system, &complete).await;
    assert_eq!(told["status"], "complete");
    assert_eq!((&told["createdAt"], &told["syncedAt"]), (&json!(row.created_at), &json!(row.synced_at)));
    assert_eq!(told["mailSentAt"], json!(row.mail_sent_at));

    keycloak.create_user(&json!({ "username": "taken", "email": "somebody.else@example.org", "enabled": true }));
    let taken = system.register_as("taken").await;
    let row = system.until_parked(&taken).await;
    let told = status(&system, &taken).await;
    assert_eq!((&told["status"], &told["parkedReason"]), (&json!("parked"), &json!("conflict")));
    assert_eq!(told["parkedAt"], json!(row.parked_at));
    system.stop().await;
}

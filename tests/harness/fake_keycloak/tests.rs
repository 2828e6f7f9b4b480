//! The faults, which the contract with the real one cannot show.

use serde_json::json;

use super::*;
use crate::harness::http;

async fn create(keycloak: &FakeKeycloak, username: &str) -> Result<reqwest::StatusCode, reqwest::Error> {
    let access = keycloak.access();
    let login = [
        ("grant_type", "client_credentials"),
        ("client_id", &access.admin_client_id),
        ("client_secret", &access.admin_client_secret),
    ];
    let http = http::client();
    let token: Value = http.post(access.token_url()).form(&login).send().await?.json().await?;
    let token = token["access_token"].as_str().expect("a token");
    let request = http.post(access.users_url()).bearer_auth(token).timeout(Duration::from_millis(500));
    Ok(request.json(&json!({ "username": username })).send().await?.status())
}

#[tokio::test]
async fn faults_take_turns_and_heal() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::status(503));
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::DropBeforeEffect);
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::Hang);
    assert_eq!(create(&keycloak, "anna").await.expect("an answer"), 503);
    assert!(!create(&keycloak, "anna").await.expect_err("no answer").is_timeout());
    assert!(create(&keycloak, "anna").await.expect_err("no answer").is_timeout());
    assert!(keycloak.users().is_empty());

    keycloak.fail_for("anna", Endpoint::CreateUser, Fault::status(500));
    assert_eq!(create(&keycloak, "berta").await.expect("an answer"), 201);
    assert_eq!(create(&keycloak, "anna").await.expect("an answer"), 500);
    keycloak.heal();
    assert_eq!(create(&keycloak, "anna").await.expect("an answer"), 201);
    assert_eq!(keycloak.requests(Endpoint::CreateUser).len(), 6);
}

#[tokio::test]
async fn an_effect_outlives_the_answer() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::DropAfterEffect);
    assert!(!create(&keycloak, "anna").await.expect_err("no answer").is_timeout());
    assert!(keycloak.user_by_username("anna").is_some());

    let gate = keycloak.hold(Endpoint::CreateUser);
    assert!(create(&keycloak, "berta").await.expect_err("no answer").is_timeout());
    assert!(keycloak.user_by_username("berta").is_none());
    gate.release();
    let created = async || keycloak.user_by_username("berta");
    crate::harness::eventually::eventually("the user is created", Duration::from_secs(5), created).await;
}

#[tokio::test]
async fn a_gate_tells_that_it_is_reached() {
    let keycloak = FakeKeycloak::start().await;
    let mut gate = keycloak.hold_answer(Endpoint::CreateUser);
    let release = async {
        gate.reached().await;
        assert!(keycloak.user_by_username("anna").is_some());
        gate.release();
    };
    let (answer, ()) = tokio::join!(create(&keycloak, "anna"), release);
    assert_eq!(answer.expect("an answer"), 201);
}

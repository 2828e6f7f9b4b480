//! Tokens: Keycloak hands them out, and nobody learns from a refusal who exists.

mod keycloak_away;

use futures_util::future::join_all;
use reqwest::header::CONTENT_TYPE;
use serde_json::json;

use crate::harness::{
    auth::{Answer, Person},
    fake_keycloak::{Answer as KeycloakAnswer, Endpoint, FakeKeycloak, Fault},
    http,
    keycloak::Realm,
    keycloak_access::KeycloakAccess,
    system::{Plan, System},
};

async fn api_on(keycloak: &KeycloakAccess) -> System {
    Plan::on(keycloak).workers(0).start().await
}

/// No mail leaves such a realm.
async fn own_realm() -> Realm {
    Realm::create(1).await
}

#[tokio::test]
async fn the_right_password_gets_what_keycloak_hands_out() {
    let realm = Realm::shared();
    // One login each: Keycloak turns away a login that comes before it has noted the one before.
    let people: [Person; 3] = std::array::from_fn(|_| Person::invent());
    let mut ids = Vec::new();
    for person in &people {
        ids.push(realm.create_user(&person.account()).await);
    }
    let [by_name, by_address, in_json] = &people;
    let system = api_on(realm.access()).await;
    let url = format!("{}/auth/token", system.api_url());
    let body = json!({ "grant_type": "password", "username": in_json.username, "password": in_json.password });
    for answer in [
        system.log_in(&by_name.username, &by_name.password).await,
        system.log_in(&by_address.email, &by_address.password).await,
        Answer::of(http::client().post(&url).json(&body)).await,
    ] {
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{answer:?}");
        assert_eq!((answer.header("cache-control"), answer.header("pragma")), ("no-store", "no-cache"));
        let tokens = answer.json();
        assert_eq!(tokens["token_type"], "Bearer");
        // Keycloak counts from the whole second, so one may be over.
        assert!(matches!(tokens["expires_in"].as_u64(), Some(299 | 300)), "{tokens}");
        // With the scope openid, which nobody had to ask for.
        assert!(tokens["id_token"].is_string() && tokens["not-before-policy"].is_number(), "{tokens}");
        assert_eq!(system.validate(&answer.token("access_token")).await.status, 200);
    }
    for id in &ids {
        realm.delete_user(id).await;
    }
}

/// On a machine that is slow enough the last of them waits too long, which is told.
#[tokio::test]
async fn who_logs_in_several_times_at_once_is_never_told_that_the_password_is_wrong() {
    let (realm, person) = (Realm::shared(), Person::invent());
    let id = realm.create_user(&person.account()).await;
    let system = api_on(realm.access()).await;
    let capitals = person.username.to_uppercase();
    let names = [&person.username, &capitals, &person.username, &capitals, &person.username];
    let answers = join_all(names.map(|name| system.log_in(name, &person.password))).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert!(statuses.contains(&200) && statuses.iter().all(|status| matches!(status, 200 | 503)), "{statuses:?}");
    realm.delete_user(&id).await;
}

#[tokio::test]
async fn a_refresh_token_gets_fresh_ones_until_the_session_ends() {
    let (realm, person) = (Realm::shared(), Person::invent());
    let id = realm.create_user(&person.account()).await;
    let system = api_on(realm.access()).await;
    let first = system.log_in(&person.username, &person.password).await;
    let second = system.refresh(&first.token("refresh_token")).await;
    assert_ne!(second.token("access_token"), first.token("access_token"));
    assert_eq!(second.header("cache-control"), "no-store");
    assert_eq!(system.validate(&second.token("access_token")).await.status, 200);
    realm.end_sessions(&id).await;
    system.refresh(&second.token("refresh_token")).await.is_problem(401, "invalid_credentials");
    realm.delete_user(&id).await;
}

#[tokio::test]
async fn every_wrong_credential_gets_the_same_answer() {
    let realm = own_realm().await;
    let people: [Person; 4] = std::array::from_fn(|_| Person::invent());
    let [one, disabled, locked, left] = &people;
    for person in &people {
        realm.create_user(&person.account()).await;
    }
    let system = api_on(realm.access()).await;
    let ended = system.log_in(&left.username, &left.password).await.token("refresh_token");
    let left_id = realm.user_by_username(&left.username).await.expect("a user")["id"].clone();
    realm.end_sessions(left_id.as_str().expect("an id")).await;
    realm.disable(disabled).await;
    realm.change_realm(&json!({ "failureFactor": 1 })).await;
    assert_eq!(system.log_in(&locked.username, &locked.password).await.status, 200);
    system.log_in(&locked.username, "wrong").await.is_problem(401, "invalid_credentials");

    let answers = [
        ("an unknown user", system.log_in("nobody-at-all", "wrong").await),
        ("a wrong password", system.log_in(&one.username, "wrong").await),
        ("a disabled user with the right password", system.log_in(&disabled.username, &disabled.password).await),
        ("a disabled user with a wrong one", system.log_in(&disabled.username, "wrong").await),
        ("a locked out user with the right password", system.log_in(&locked.username, &locked.password).await),
        ("a refresh token of a session that ended", system.refresh(&ended).await),
        ("a refresh token that never was", system.refresh("no-token").await),
        ("a refresh token that Keycloak does not read", system.refresh(&"x".repeat(4001)).await),
        ("the longest that it reads", system.refresh(&"x".repeat(4000)).await),
    ];
    let (_, first) = &answers[0];
    first.is_problem(401, "invalid_credentials");
    assert_eq!(first.header("www-authenticate"), "Bearer realm=\"usher\"");
    for (what, answer) in &answers {
        assert_eq!(answer.without_ids(), first.without_ids(), "{what}");
    }
}

#[tokio::test]
async fn two_slips_in_a_row_keep_nobody_out() {
    let (realm, person) = (own_realm().await, Person::invent());
    realm.create_user(&person.account()).await;
    let system = api_on(realm.access()).await;
    for _ in 0..2 {
        system.log_in(&person.username, "wrong").await.is_problem(401, "invalid_credentials");
    }
    assert_eq!(system.log_in(&person.username, &person.password).await.status, 200);
}

#[tokio::test]
async fn whatever_keycloak_calls_a_wrong_credential_is_one() {
    let keycloak = FakeKeycloak::start().await;
    let system = api_on(keycloak.access()).await;
    for said in ["Invalid user credentials", "Account disabled", "Token is not active", "Session not active", ""] {
        let refusal = json!({ "error": "invalid_grant", "error_description": said });
        keycloak.fail_next(Endpoint::Token, 1, Fault::Status(KeycloakAnswer::new(400).json(refusal)));
        let answer = system.log_in("ada", "s3cret").await;
        answer.is_problem(401, "invalid_credentials");
        assert!(said.is_empty() || !answer.text.contains(said), "{answer:?}");
    }
}

#[tokio::test]
async fn open_steps_are_told_to_who_has_the_password() {
    let (realm, person) = (Realm::shared(), Person::invent());
    let mut account = person.account();
    account["requiredActions"] = json!(["UPDATE_PASSWORD"]);
    let id = realm.create_user(&account).await;
    let system = api_on(realm.access()).await;
    let answer = system.log_in(&person.username, &person.password).await;
    answer.is_problem(403, "account_setup_required");
    let detail = answer.json()["detail"].to_string();
    assert!(detail.contains("POST /users/send-password-setup-email"), "{detail}");
    assert_eq!(answer.header("www-authenticate"), "");
    system.log_in(&person.username, "wrong").await.is_problem(401, "invalid_credentials");
    realm.delete_user(&id).await;
}

#[tokio::test]
async fn what_is_no_login_is_refused_before_keycloak_is_asked() {
    let keycloak = FakeKeycloak::start().await;
    let system = api_on(keycloak.access()).await;
    let url = format!("{}/auth/token", system.api_url());
    let raw = async |kind: &'static str, body: String| {
        Answer::of(http::client().post(&url).header(CONTENT_TYPE, kind).body(body)).await
    };
    let form = "application/x-www-form-urlencoded";
    let long = format!("username=ada&password={}", "x".repeat(20_000));
    raw("text/plain", "username=ada&password=s3cret".to_owned()).await.is_problem(415, "unsupported_media_type");
    raw("application/json", "{\"username\":".to_owned()).await.is_problem(400, "malformed_json");
    raw(form, long).await.is_problem(413, "body_too_large");
    for (body, pointer, code) in [
        ("", "#/username", "required"),
        ("username=ada", "#/password", "required"),
        ("username=a%00da&password=s3cret", "#/username", "character"),
        ("username=ada&password=s3cret&client_id=x", "#/client_id", "unknown"),
        ("username=ada&username=bob&password=s3cret", "#/username", "repeated"),
        ("grant_type=client_credentials", "#/grant_type", "unsupported"),
        ("grant_type=refresh_token", "#/refresh_token", "required"),
        ("username=ada&password=s3cret&scope=openid+offline_access", "#/scope", "unsupported"),
    ] {
        let answer = raw(form, body.to_owned()).await;
        answer.is_problem(422, "invalid_fields");
        let fault = &answer.json()["errors"][0];
        assert_eq!((&fault["pointer"], &fault["code"]), (&json!(pointer), &json!(code)), "{body}");
        assert!(!answer.text.contains("s3cret"), "{answer:?}");
    }
    // An address is no place for a password.
    let in_the_address = http::client().post(format!("{url}?username=ada&password=s3cret"));
    Answer::of(in_the_address.header(CONTENT_TYPE, form)).await.is_problem(422, "invalid_fields");
    assert!(keycloak.requests(Endpoint::Token).is_empty());
}

#[tokio::test]
async fn who_guesses_is_slowed_down_by_address_and_by_account() {
    let keycloak = FakeKeycloak::start().await;
    let refusal = json!({ "error": "invalid_grant", "error_description": "Invalid user credentials" });
    keycloak.fail_always(Endpoint::Token, Fault::Status(KeycloakAnswer::new(400).json(refusal)));
    let by_account = Plan::on(keycloak.access()).workers(0).set("LIMIT_TOKEN_ACCOUNT", "2/h").start().await;
    for name in ["ada", "ADA"] {
        by_account.log_in(name, "s3cret").await.is_problem(401, "invalid_credentials");
    }
    let refused = by_account.log_in("ada", "s3cret").await;
    refused.is_problem(429, "too_many_requests");
    assert!(refused.header("retry-after").parse::<u32>().expect("seconds") > 60, "{refused:?}");
    by_account.log_in("bob", "s3cret").await.is_problem(401, "invalid_credentials");
    // Whoever has a refresh token guesses nothing.
    by_account.refresh("ada").await.is_problem(401, "invalid_credentials");

    let by_address = Plan::on(keycloak.access()).workers(0).set("LIMIT_TOKEN", "2/h").start().await;
    for name in ["ada", "bob"] {
        by_address.log_in(name, "s3cret").await.is_problem(401, "invalid_credentials");
    }
    by_address.log_in("eve", "s3cret").await.is_problem(429, "too_many_requests");
}

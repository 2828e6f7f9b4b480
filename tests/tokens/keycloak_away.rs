//! A Keycloak that is away, or that this service is not set up for: neither is told as the caller's fault.

use std::time::Duration;

use serde_json::{Value, json};

use super::{api_on, own_realm};
use crate::harness::{
    auth::{Answer, Person},
    eventually::eventually,
    fake_keycloak::{Answer as KeycloakAnswer, Endpoint, FakeKeycloak, Fault},
    http,
    process::Binary,
    proxy::Proxy,
    system::{PATIENCE, Plan},
};

/// How long Keycloak is given here.
const SHORT: Duration = Duration::from_millis(500);

#[tokio::test]
async fn a_keycloak_that_is_away_is_nobodys_wrong_password() {
    let keycloak = FakeKeycloak::start().await;
    let proxy = Proxy::start(&keycloak.access().url).await;
    let plan = Plan::on(keycloak.access()).workers(0).set("KEYCLOAK_TIMEOUT", "500ms");
    let system = plan.set("KEYCLOAK_URL", &proxy.url()).start().await;
    let faults = [
        Fault::status(500),
        Fault::status(502),
        Fault::status(503),
        Fault::too_many_requests(60),
        Fault::Hang,
        Fault::DropBeforeEffect,
        Fault::DropAfterEffect,
        Fault::Status(KeycloakAnswer::new(200).json(json!({ "no": "token" }))),
        Fault::Status(KeycloakAnswer::new(200)),
    ];
    for fault in faults {
        let what = format!("{fault:?}");
        keycloak.fail_next(Endpoint::Token, 1, fault);
        let asked_before = keycloak.requests(Endpoint::Token).len();
        let (answer, took) = timed(system.log_in("ada", "s3cret")).await;
        assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("unavailable")), "{what}: {answer:?}");
        assert!(!answer.header("retry-after").is_empty(), "{what}: {answer:?}");
        assert!(took < SHORT * 6, "{what} took {took:?}");
        assert_eq!(keycloak.requests(Endpoint::Token).len(), asked_before + 1, "{what}: a login is tried once");
    }
    proxy.cut().await;
    system.log_in("ada", "s3cret").await.is_problem(503, "unavailable");
    proxy.restore().await;
    proxy.stall();
    let (answer, took) = timed(system.log_in("ada", "s3cret")).await;
    answer.is_problem(503, "unavailable");
    assert!(took < SHORT * 6, "{took:?}");
}

async fn timed(answer: impl Future<Output = Answer>) -> (Answer, Duration) {
    let start = std::time::Instant::now();
    (answer.await, start.elapsed())
}

#[tokio::test]
async fn a_client_that_is_not_set_up_right_is_not_the_callers_fault() {
    let (realm, person) = (own_realm().await, Person::invent());
    realm.create_user(&person.account()).await;
    let plan = || Plan::on(realm.access()).workers(0);
    for (what, plan) in [
        ("a wrong secret", plan().set("KEYCLOAK_CLIENT_SECRET", "not the secret")),
        ("an unknown client", plan().set("KEYCLOAK_CLIENT_ID", "nobody")),
        ("a client that may not ask with passwords", {
            let access = realm.access();
            plan()
                .set("KEYCLOAK_CLIENT_ID", &access.admin_client_id)
                .set("KEYCLOAK_CLIENT_SECRET", &access.admin_client_secret)
        }),
        ("an unknown realm", plan().set("KEYCLOAK_REALM", "no-such-realm")),
    ] {
        let system = plan.start().await;
        let answer = system.log_in(&person.username, &person.password).await;
        assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("upstream_misconfigured")), "{what}");
        for inside in ["client", "realm", "secret"] {
            assert!(!answer.text.contains(inside), "{what}: {answer:?}");
        }
    }
    realm.change_realm(&json!({ "enabled": false })).await;
    let answer = plan().start().await.log_in(&person.username, &person.password).await;
    answer.is_problem(503, "upstream_misconfigured");
}

#[tokio::test]
async fn a_redirect_is_not_followed_with_the_password() {
    let (keycloak, elsewhere) = (FakeKeycloak::start().await, FakeKeycloak::start().await);
    let system = api_on(keycloak.access()).await;
    let redirect = KeycloakAnswer::new(307).header("location", &elsewhere.access().token_url());
    keycloak.fail_next(Endpoint::Token, 1, Fault::Status(redirect));
    system.log_in("ada", "s3cret").await.is_problem(503, "upstream_misconfigured");
    assert!(elsewhere.requests(Endpoint::Token).is_empty());
}

#[tokio::test]
async fn a_secret_of_any_characters_gets_through() {
    let (realm, person) = (own_realm().await, Person::invent());
    realm.create_user(&person.account()).await;
    let secret = "a+b%41&c:d ü";
    realm.change_login_client(&json!({ "secret": secret })).await;
    let system = Plan::on(realm.access()).workers(0).set("KEYCLOAK_CLIENT_SECRET", secret).start().await;
    assert_eq!(system.log_in(&person.username, &person.password).await.status, 200);
}

#[tokio::test]
async fn the_api_starts_and_is_ready_without_keycloak_and_finds_it_later() {
    let keycloak = FakeKeycloak::start().await;
    let proxy = Proxy::start(&keycloak.access().url).await;
    proxy.cut().await;
    let plan = Plan::on(keycloak.access()).workers(0).set("LOG_FORMAT", "json");
    let system = plan.set("KEYCLOAK_URL", &proxy.url()).start().await;
    let api = Binary::api().envs(system.settings()).start();
    let system = system.by_way_of(&api).await;
    let line = api.output().lines().find(|line| line.contains("accepting registrations")).map(str::to_owned);
    let line: Value = serde_json::from_str(&line.expect("it says where it is")).expect("JSON");
    let ready = format!("http://{}/health/ready", line["ops"].as_str().expect("an address"));
    assert_eq!(http::client().get(ready).send().await.expect("an answer").status(), 200);
    system.register().await;
    system.log_in("ada", "s3cret").await.is_problem(503, "unavailable");
    proxy.restore().await;
    eventually("Keycloak is asked", PATIENCE, async || {
        system.log_in("ada", "s3cret").await;
        !keycloak.requests(Endpoint::Token).is_empty()
    })
    .await;
}

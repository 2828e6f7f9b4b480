//! How it comes into the account; lost at worst.

use redis::AsyncCommands as _;
use reqwest::StatusCode;
use serde_json::json;

use super::{CHOSEN, body, lands_late, name, password, plan, redis, register, send, state};
use crate::harness::{
    fake_keycloak::{Answer, Endpoint, FakeKeycloak, Fault},
    process::Binary,
    proxy::Proxy,
    stack::Stack,
    system::Registered,
};

/// Registers, does something to what was kept, and only then lets a worker at it.
async fn after(database: u8, what: impl AsyncFnOnce(&Proxy, &Registered)) -> (String, Vec<String>) {
    let keycloak = FakeKeycloak::start().await;
    let proxy = Proxy::start(&Stack::get().redis_url).await;
    let address = format!("{}/{database}", proxy.url());
    let mut system = plan(keycloak.access(), database).set("REDIS_URL", &address).workers(0).start().await;
    let user = register(&system, CHOSEN).await;
    what(&proxy, &user).await;
    system.start_worker().await;
    system.until_complete(&user).await;
    let state = state(&system, &user).await;
    system.stop().await;
    (state.as_str().expect("a state").to_owned(), keycloak.mails_to(&user.username).remove(0).actions)
}

#[tokio::test]
async fn whose_password_is_gone_gets_the_set_up_mail() {
    let (state, actions) = after(0, async |_, user| {
        let client = redis::Client::open(redis(0)).expect("an address");
        let mut redis = client.get_multiplexed_async_connection().await.expect("Redis answers");
        let erased: usize = redis.del(format!("usher:password:{}", user.id)).await.expect("Redis answers");
        assert_eq!(erased, 1);
    })
    .await;
    assert_eq!((state.as_str(), actions.len()), ("lost", 2));
}

#[tokio::test]
async fn nobody_waits_for_redis_to_come_back() {
    let (state, actions) = after(0, async |proxy, _| proxy.cut().await).await;
    assert_eq!((state.as_str(), actions.len()), ("lost", 2));
}

#[tokio::test]
async fn nobody_waits_for_a_redis_that_hangs() {
    let (state, actions) = after(0, async |proxy, _| proxy.stall()).await;
    assert_eq!((state.as_str(), actions.len()), ("lost", 2));

    let keycloak = FakeKeycloak::start().await;
    let proxy = Proxy::start(&Stack::get().redis_url).await;
    let system = plan(keycloak.access(), 0).set("REDIS_URL", &proxy.url()).workers(0).start().await;
    proxy.stall();
    assert_eq!(send(&system, &body(&name(), CHOSEN)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    system.register().await;
    system.stop().await;
}

/// The api still seals with the old key while a worker has been told of the new one already.
#[tokio::test]
async fn a_password_sealed_under_the_key_before_is_opened() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(keycloak.access(), 0).workers(0).start().await;
    let user = register(&system, CHOSEN).await;
    let keys = format!("new:{},{}", "A".repeat(43) + "=", Stack::get().password_keys);
    let _worker = Binary::worker().envs(system.settings()).env("PASSWORD_KEYS", keys).start();
    system.until_complete(&user).await;
    assert_eq!(state(&system, &user).await, "set");
    system.stop().await;
}

/// Whoever takes over finds the password waiting, or reads off the account that it has one.
#[tokio::test]
async fn a_worker_that_dies_costs_nobody_a_password() {
    for point in ["provision.claimed:1", "provision.account_made:1", "provision.synced:1"] {
        let keycloak = FakeKeycloak::start().await;
        let mut system = plan(keycloak.access(), 0).hasty().workers(0).start().await;
        let user = register(&system, CHOSEN).await;
        system.worker_dies_at(point).await;
        system.start_worker().await;
        system.until_complete(&user).await;
        assert_eq!(state(&system, &user).await, "set", "{point}");
        assert_eq!(password(&keycloak, &user).as_deref(), Some(CHOSEN), "{point}");
        assert_eq!(keycloak.mails_to(&user.username)[0].actions, ["VERIFY_EMAIL"], "{point}");
        system.stop().await;
    }
}

/// It shows only with the next question that a connection was closed while it was idle.
#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_nobody_a_password() {
    let keycloak = FakeKeycloak::start().await;
    let proxy = Proxy::start(&Stack::get().redis_url).await;
    let system = plan(keycloak.access(), 0).set("REDIS_URL", &proxy.url()).start().await;
    let before = register(&system, CHOSEN).await;
    system.until_complete(&before).await;
    proxy.cut().await;
    proxy.restore().await;
    let after = register(&system, CHOSEN).await;
    system.until_complete(&after).await;
    for user in [&before, &after] {
        assert_eq!(state(&system, user).await, "set");
    }
    system.stop().await;
}

#[tokio::test]
async fn whose_password_the_realm_refuses_gets_the_set_up_mail() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(keycloak.access(), 0).start().await;
    // By a policy of Keycloak's, and by one that an operator has installed.
    for error in ["invalidPasswordHistoryMessage", "seenInABreach"] {
        let refusal = Answer::new(400).json(json!({ "error": error, "error_description": "Invalid password" }));
        keycloak.fail_next(Endpoint::CreateUser, 1, Fault::Status(refusal));
        let user = register(&system, CHOSEN).await;
        assert_eq!(system.until_complete(&user).await.claim_no, 1, "in the same run");
        assert_eq!(state(&system, &user).await, "refused");
        assert_eq!(keycloak.mails_to(&user.username)[0].actions, ["VERIFY_EMAIL", "UPDATE_PASSWORD"]);
    }
    system.stop().await;
}

#[tokio::test]
async fn an_account_whose_making_was_not_answered_has_the_password() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::DropAfterEffect);
    let system = plan(keycloak.access(), 0).start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    assert_eq!(state(&system, &user).await, "set");
    assert_eq!(keycloak.user_by_username(&user.username).expect("an account").required_actions, ["VERIFY_EMAIL"]);
    assert_eq!(keycloak.mails_to(&user.username)[0].actions, ["VERIFY_EMAIL"]);
    system.stop().await;
}

/// Which password an account has that was there already is read off the account, whatever was refused since.
#[tokio::test]
async fn an_account_that_an_earlier_try_made_after_all_has_the_password() {
    let keycloak = FakeKeycloak::start().await;
    let refusal = Answer::new(400).json(json!({ "error": "invalidPassword", "error_description": "Invalid password" }));
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::Status(refusal));
    let mut gate = keycloak.hold_answer(Endpoint::FindUser);
    let system = plan(keycloak.access(), 0).start().await;
    let user = register(&system, CHOSEN).await;
    gate.reached().await;
    lands_late(&keycloak, &user);
    gate.release();
    system.until_complete(&user).await;
    assert_eq!(state(&system, &user).await, "set");
    assert_eq!(keycloak.mails_to(&user.username)[0].actions, ["VERIFY_EMAIL"]);
    system.stop().await;
}

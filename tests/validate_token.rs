//! Checking a token: it says whose it is, needs nobody for it, and notices what Keycloak changes.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::header::AUTHORIZATION;
use serde_json::json;
use tokio::{task::JoinSet, time::timeout};

use crate::harness::{
    auth::{Answer, Person},
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Fault},
    keycloak::Realm,
    proxy::Proxy,
    signing_key::{SigningKey, claims, read_part},
    system::{PATIENCE, Plan, System},
};

/// A Keycloak that signs with a key of the test's own.
async fn keycloak_with(key: &SigningKey) -> FakeKeycloak {
    let keycloak = FakeKeycloak::start().await;
    keycloak.set_keys([key.jwk()]);
    keycloak
}

fn good_token(key: &SigningKey, keycloak: &FakeKeycloak) -> String {
    key.sign(&key.header(), &claims(keycloak.access()))
}

async fn api_on(keycloak: &FakeKeycloak) -> System {
    Plan::on(keycloak.access()).workers(0).start().await
}

#[tokio::test]
async fn a_good_token_says_whose_it_is() {
    let (realm, person) = (Realm::create(1).await, Person::invent());
    let id = realm.create_user(&person.account()).await;
    realm.give_role(&id, "reader").await;
    let system = Plan::on(realm.access()).workers(0).start().await;
    let token = system.log_in(&person.username, &person.password).await.token("access_token");
    let answer = system.validate(&token).await;
    assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{answer:?}");
    let mut body = answer.json();
    let expires_at = body["user"]["expiresAt"].take();
    let expires_at: chrono::DateTime<chrono::Utc> = expires_at.as_str().expect("a time").parse().expect("a time");
    assert_eq!(expires_at.timestamp(), read_part(&token, 1)["exp"].as_i64().expect("a number"));
    let expected = json!({ "active": true, "user": {
        "sub": id, "username": person.username, "email": person.email, "emailVerified": true,
        "firstName": "Ada", "lastName": "Lovelace", "roles": ["reader"], "expiresAt": null,
    }});
    assert_eq!(body, expected);
}

#[tokio::test]
async fn no_token_and_no_token_that_can_be_read_are_told_apart() {
    let keycloak = FakeKeycloak::start().await;
    let system = api_on(&keycloak).await;
    let with = |values: &[&str]| {
        values.iter().fold(system.validation(""), |request, value| request.header(AUTHORIZATION, *value))
    };
    for values in [&[][..], &["Basic YWRhOnMzY3JldA=="]] {
        let answer = Answer::of(with(values)).await;
        answer.is_problem(401, "token_required");
        // No reason for who has shown nothing (RFC 6750, section 3.1).
        assert_eq!(answer.header("www-authenticate"), "Bearer realm=\"usher\"");
    }
    for values in [&["Bearer"][..], &["Bearer a b"], &["Bearer a.b.c", "Bearer a.b.c"]] {
        let answer = Answer::of(with(values)).await;
        answer.is_problem(400, "invalid_request");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_request\""), "{answer:?}");
    }
    for query in ["?access_token=a.b.c", "?introspect=maybe", "?introspect=true&introspect=false"] {
        Answer::of(system.validation(query).bearer_auth("a.b.c")).await.is_problem(400, "invalid_request");
    }
    Answer::of(system.validation("?access_token=a.b.c")).await.is_problem(401, "token_required");
}

#[tokio::test]
async fn tokens_are_checked_while_keycloak_is_away() {
    let key = SigningKey::generate();
    let keycloak = keycloak_with(&key).await;
    let proxy = Proxy::start(&keycloak.access().url).await;
    let plan = Plan::on(keycloak.access()).workers(0).set("KEYCLOAK_URL", &proxy.url());
    let plan = plan.set("TOKEN_KEYS_REFRESH", "100ms").set("TOKEN_KEYS_COOLDOWN", "100ms");
    let system = plan.start().await;
    let token = good_token(&key, &keycloak);
    assert_eq!(system.validate(&token).await.status, 200);
    proxy.cut().await;
    // Also when newer keys were wanted in vain.
    let other = SigningKey::generate();
    system.validate(&other.sign(&other.header(), &claims(keycloak.access()))).await.is_problem(401, "invalid_token");
    assert_eq!(system.validate(&token).await.status, 200);
    proxy.restore().await;
    // What comes instead of keys replaces none.
    for fault in [Fault::status(503), Fault::status(404), Fault::DropBeforeEffect] {
        keycloak.fail_next(Endpoint::Keys, 1, fault);
    }
    keycloak.set_keys([]);
    let asked = keycloak.requests(Endpoint::Keys).len();
    let asked_again = async || keycloak.requests(Endpoint::Keys).len() > asked + 4;
    eventually("Keycloak is asked for keys again and again", PATIENCE, asked_again).await;
    assert_eq!(system.validate(&token).await.status, 200);
}

/// More at once than there are places, of which neither kind may take all.
#[tokio::test]
async fn whoever_waits_for_a_keycloak_that_hangs_leaves_room_for_who_does_not() {
    let key = SigningKey::generate();
    let keycloak = keycloak_with(&key).await;
    let proxy = Proxy::start(&keycloak.access().url).await;
    let plan = Plan::on(keycloak.access()).workers(0).set("KEYCLOAK_URL", &proxy.url());
    let system = plan.set("TOKEN_KEYS_COOLDOWN", "100ms").set("LIMIT_CONCURRENCY", "40").start().await;
    let (token, other) = (good_token(&key, &keycloak), SigningKey::generate());
    let unknown = other.sign(&other.header(), &claims(keycloak.access()));
    assert_eq!(system.validate(&token).await.status, 200);
    proxy.stall();
    for (query, token_of_all) in [("?introspect=true", &token), ("", &unknown)] {
        let all = (0..60).map(|_| Answer::of(system.validation(query).bearer_auth(token_of_all)));
        let mut waiting: JoinSet<Answer> = all.collect();
        for _ in 0..20 {
            let refused = waiting.join_next().await.expect("not all of them wait");
            assert!(matches!(refused.expect("an answer").status, 401 | 503), "{query}");
        }
        let checked = timeout(PATIENCE, system.validate(&token)).await.expect("an answer in time");
        assert_eq!(checked.status, 200, "beside {query:?}: {checked:?}");
    }
}

#[tokio::test]
async fn without_a_key_nobodys_token_is_called_bad() {
    let key = SigningKey::generate();
    let keycloak = keycloak_with(&key).await;
    keycloak.fail_always(Endpoint::Keys, Fault::status(503));
    let system = api_on(&keycloak).await;
    let token = good_token(&key, &keycloak);
    let answer = system.validate(&token).await;
    answer.is_problem(503, "keys_unavailable");
    assert!(!answer.header("retry-after").is_empty() && answer.header("www-authenticate").is_empty(), "{answer:?}");
    // A token that no key could make good needs none to be called bad.
    system.validate("no.jwt.atall").await.is_problem(401, "invalid_token");
    keycloak.heal();
    let healed = async || system.validate(&token).await.status == 200;
    eventually("the keys are fetched when Keycloak is back", PATIENCE, healed).await;
}

#[tokio::test]
async fn a_new_key_of_the_realm_is_found_without_a_restart() {
    let realm = Realm::create(1).await;
    // One login each: Keycloak turns away a login that comes before it has noted the one before.
    let (first, second) = (Person::invent(), Person::invent());
    for person in [&first, &second] {
        realm.create_user(&person.account()).await;
    }
    let plan = Plan::on(realm.access()).workers(0);
    let system = plan.set("TOKEN_KEYS_COOLDOWN", "100ms").set("TOKEN_KEYS_REFRESH", "1h").start().await;
    let log_in = async |person: &Person| system.log_in(&person.username, &person.password).await.token("access_token");
    let before = log_in(&first).await;
    assert_eq!(system.validate(&before).await.status, 200);
    realm.rotate_keys().await;
    let after = log_in(&second).await;
    assert_ne!(read_part(&before, 0)["kid"], read_part(&after, 0)["kid"]);
    let found = async || system.validate(&after).await.status == 200;
    eventually("the new key is found", PATIENCE, found).await;
    assert_eq!(system.validate(&before).await.status, 200);
}

#[tokio::test]
async fn a_key_that_was_withdrawn_is_not_trusted_for_long() {
    let (old, new) = (SigningKey::generate(), SigningKey::generate());
    let keycloak = keycloak_with(&old).await;
    let plan = Plan::on(keycloak.access()).workers(0);
    let system = plan.set("TOKEN_KEYS_COOLDOWN", "50ms").set("TOKEN_KEYS_REFRESH", "50ms").start().await;
    let token = good_token(&old, &keycloak);
    assert_eq!(system.validate(&token).await.status, 200);
    keycloak.set_keys([new.jwk()]);
    let refused = async || system.validate(&token).await.status == 401;
    eventually("the token is refused", PATIENCE, refused).await;
}

#[tokio::test]
async fn many_unknown_keys_have_keycloak_asked_once() {
    let key = SigningKey::generate();
    let keycloak = keycloak_with(&key).await;
    let plan = Plan::on(keycloak.access()).workers(0);
    let system = plan.set("TOKEN_KEYS_COOLDOWN", "1s").set("TOKEN_KEYS_REFRESH", "1h").start().await;
    let good = good_token(&key, &keycloak);
    assert_eq!(system.validate(&good).await.status, 200);
    let strangers: Vec<SigningKey> = (0..4).map(|_| SigningKey::generate()).collect();
    let token = |key: &SigningKey| good_token(key, &keycloak);
    let asked = keycloak.requests(Endpoint::Keys).len();
    let gate = keycloak.hold(Endpoint::Keys);
    // Until the pause after the first fetch is over, strangers are refused without a question.
    let stranger = token(&strangers[0]);
    let wanted = async || {
        drop(timeout(Duration::from_millis(100), system.validate(&stranger)).await);
        keycloak.requests(Endpoint::Keys).len() > asked
    };
    eventually("a stranger has the keys fetched", PATIENCE, wanted).await;
    let tokens: Vec<String> = strangers.iter().cycle().take(30).map(token).collect();
    let crowd = join_all(tokens.iter().map(|token| system.validate(token)));
    let release = async {
        // Who has a good token does not wait for strangers.
        assert_eq!(system.validate(&good).await.status, 200);
        gate.release();
    };
    let (answers, ()) = tokio::join!(crowd, release);
    for answer in answers {
        answer.is_problem(401, "invalid_token");
    }
    // One that was held, and at most one for those who came after its pause.
    let asked = keycloak.requests(Endpoint::Keys).len() - asked;
    assert!(asked <= 2, "30 strangers had Keycloak asked {asked} times");
}

#[tokio::test]
async fn unknown_keys_are_no_way_to_have_keycloak_asked_without_end() {
    let key = SigningKey::generate();
    let keycloak = keycloak_with(&key).await;
    let system = Plan::on(keycloak.access()).workers(0).set("TOKEN_KEYS_COOLDOWN", "1h").start().await;
    assert_eq!(system.validate(&good_token(&key, &keycloak)).await.status, 200);
    let stranger = SigningKey::generate();
    for _ in 0..20 {
        system.validate(&good_token(&stranger, &keycloak)).await.is_problem(401, "invalid_token");
    }
    assert_eq!(keycloak.requests(Endpoint::Keys).len(), 1);
}

#[tokio::test]
async fn introspection_sees_what_happened_after_the_token_was_made() {
    let realm = Realm::create(1).await;
    let (left, disabled) = (Person::invent(), Person::invent());
    let left_id = realm.create_user(&left.account()).await;
    let disabled_id = realm.create_user(&disabled.account()).await;
    let proxy = Proxy::start(&realm.access().url).await;
    let system = Plan::on(realm.access()).workers(0).set("KEYCLOAK_URL", &proxy.url()).start().await;
    let left = system.log_in(&left.username, &left.password).await.token("access_token");
    let disabled = system.log_in(&disabled.username, &disabled.password).await.token("access_token");
    for token in [&left, &disabled] {
        let answer = system.introspect(token).await;
        assert_eq!((answer.status, &answer.json()["active"]), (200, &json!(true)), "{answer:?}");
    }
    realm.end_sessions(&left_id).await;
    realm.change_user(&disabled_id, &json!({ "enabled": false })).await;
    for token in [&left, &disabled] {
        let answer = system.introspect(token).await;
        answer.is_problem(401, "invalid_token");
        assert!(answer.header("www-authenticate").contains("no longer active"), "{answer:?}");
        assert_eq!(system.validate(token).await.status, 200, "offline, nobody knows of it");
    }
    proxy.cut().await;
    system.introspect(&left).await.is_problem(503, "unavailable");
    assert_eq!(system.validate(&left).await.status, 200);
    system.introspect(&format!("{left}x")).await.is_problem(401, "invalid_token");
}

#[tokio::test]
async fn introspection_that_can_only_say_no_is_not_believed() {
    let key = SigningKey::generate();
    let keycloak = keycloak_with(&key).await;
    let system = api_on(&keycloak).await;
    let mut claims = claims(keycloak.access());
    system.introspect(&key.sign(&key.header(), &claims)).await.is_problem(401, "invalid_token");
    claims["aud"] = json!("usher-api");
    system.introspect(&key.sign(&key.header(), &claims)).await.is_problem(503, "upstream_misconfigured");
    keycloak.fail_always(Endpoint::Introspect, Fault::status(401));
    system.introspect(&key.sign(&key.header(), &claims)).await.is_problem(503, "upstream_misconfigured");
}

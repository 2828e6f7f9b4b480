//! How the link of a set-up mail is handed out, by the provider in `deploy/keycloak/action-link`. It refuses what a mail
//! would be refused for, in the same words.

use chrono::Utc;
use serde_json::{Value, json};

use super::client::{Answer, Client, person, unknown_id};
use crate::harness::{auth::Person, keycloak::Realm, mailbox::Mailbox, set_up_pages::set_password};

contract! {
    a_link_is_handed_out
    a_link_for_an_unknown_user_is_refused
    a_link_for_nobody_is_refused
    a_link_for_a_user_without_an_address_is_refused
    a_link_for_a_disabled_user_is_refused
    a_link_that_leads_astray_is_refused
    a_link_for_an_unknown_client_is_refused
    a_link_for_no_client_is_refused
    a_link_with_an_unknown_action_is_refused
    a_link_without_an_action_is_refused
    a_link_that_ends_too_soon_or_too_late_is_refused
}

/// Keycloak's form of a refusal.
fn is_refused(answer: &Answer, message: &str) {
    answer.is(400, &json!({ "errorMessage": message }));
}

/// What is answered about somebody, when this is asked for instead of the usual.
async fn refused(client: &Client, instead: Value, message: &str) {
    let id = client.create(&person("anna")).await.id();
    is_refused(&client.action_link(&id, &instead).await, message);
    client.delete(&id).await;
}

async fn a_link_is_handed_out(client: Client) {
    let anna = person("anna");
    let id = client.create(&anna).await.id();
    let answer = client.action_link(&id, &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let place = format!("{}/login-actions/action-token?key=", client.access.issuer());
    assert!(answer.body["link"].as_str().is_some_and(|link| link.starts_with(&place)), "{answer:?}");
    let left = answer.body["expiration"].as_i64().expect("seconds") - Utc::now().timestamp();
    assert!((3500..=3600).contains(&left), "{left}");
    assert_eq!(answer.body["email"].as_str().map(str::to_owned), anna["email"].as_str().map(str::to_lowercase));
    client.delete(&id).await;
}

async fn a_link_for_an_unknown_user_is_refused(client: Client) {
    let answer = client.action_link(&unknown_id(), &json!({})).await;
    answer.is(404, &json!({ "error": "User not found" }));
}

async fn a_link_for_nobody_is_refused(client: Client) {
    is_refused(&client.action_link("", &json!({ "userId": null })).await, "User id missing");
}

async fn a_link_for_a_user_without_an_address_is_refused(client: Client) {
    let mut user = person("anna");
    user.as_object_mut().expect("as sent").remove("email");
    let id = client.create(&user).await.id();
    is_refused(&client.action_link(&id, &json!({})).await, "User email missing");
    client.delete(&id).await;
}

async fn a_link_for_a_disabled_user_is_refused(client: Client) {
    let mut user = person("anna");
    user["enabled"] = json!(false);
    let id = client.create(&user).await.id();
    is_refused(&client.action_link(&id, &json!({})).await, "User is disabled");
    client.delete(&id).await;
}

async fn a_link_that_leads_astray_is_refused(client: Client) {
    refused(&client, json!({ "redirectUri": "http://elsewhere.test/" }), "Invalid redirect uri.").await;
}

async fn a_link_for_an_unknown_client_is_refused(client: Client) {
    refused(&client, json!({ "clientId": "nobody" }), "Client doesn't exist").await;
}

async fn a_link_for_no_client_is_refused(client: Client) {
    refused(&client, json!({ "clientId": null }), "Client id missing").await;
}

async fn a_link_with_an_unknown_action_is_refused(client: Client) {
    let actions = json!({ "actions": ["UPDATE_PASSWORD", "NO_SUCH_ACTION"] });
    refused(&client, actions, "Provided invalid required actions").await;
}

async fn a_link_without_an_action_is_refused(client: Client) {
    for none in [json!([]), Value::Null] {
        refused(&client, json!({ "actions": none }), "Provided invalid required actions").await;
    }
}

async fn a_link_that_ends_too_soon_or_too_late_is_refused(client: Client) {
    for lifespan in [-1, 59, 30 * 24 * 3600 + 1] {
        refused(&client, json!({ "lifespan": lifespan }), "Invalid lifespan").await;
    }
}

/// Where there is no such provider, the answer is not the one about an unknown user: by that the worker knows.
#[tokio::test]
async fn the_real_one_says_so_where_no_provider_is() {
    let client = Client::enter(Realm::shared().access()).await;
    let answer = client.without_provider().await;
    assert_eq!(answer.status, 404);
    assert!(!answer.body.to_string().contains("User not found"), "{answer:?}");
}

/// It is the link that Keycloak would have mailed: it leads through both actions, once.
#[tokio::test]
async fn the_link_of_the_real_one_leads_to_a_password() {
    let realm = Realm::shared();
    let client = Client::enter(realm.access()).await;
    let user = person("anna");
    let id = client.create(&user).await.id();
    let link = client.action_link(&id, &json!({})).await.body["link"].as_str().expect("a link").to_owned();

    set_password(&link, "Correct.horse.1").await;

    let account = client.read(&id).await.body;
    assert_eq!((&account["emailVerified"], &account["requiredActions"]), (&json!(true), &json!([])));
    let page = reqwest::get(&link).await.expect("Keycloak answers").text().await.expect("a page");
    assert!(!page.contains("kc-passwd-update-form") && page.contains("kc-error-message"), "{page}");
    client.delete(&id).await;
}

/// Who may not manage the user gets no link, and does not learn whether there is such a user.
#[tokio::test]
async fn the_real_one_hands_links_only_to_who_may_manage_users() {
    let realm = Realm::create(Mailbox::down().port()).await;
    let mut client = Client::enter(realm.access()).await;
    let id = client.create(&person("anna")).await.id();
    let somebody = Person::invent();
    realm.create_user(&somebody.account()).await;

    client.token = client.log_in(&somebody).await;
    for id in [id.clone(), unknown_id()] {
        client.action_link(&id, &json!({})).await.is(403, &json!({ "error": "HTTP 403 Forbidden" }));
    }
    client.token = String::new();
    client.action_link(&id, &json!({})).await.is(401, &json!({ "error": "HTTP 401 Unauthorized" }));
}

#[tokio::test]
async fn the_real_one_refuses_what_is_switched_off() {
    let realm = Realm::create(Mailbox::down().port()).await;
    let client = Client::enter(realm.access()).await;
    let id = client.create(&person("anna")).await.id();
    realm.switch_off_action("UPDATE_PASSWORD").await;
    is_refused(&client.action_link(&id, &json!({})).await, "Provided invalid required actions");

    let verify = json!({ "actions": ["VERIFY_EMAIL"] });
    assert_eq!(client.action_link(&id, &verify).await.status, 200);
    realm.change_login_client(&json!({ "enabled": false })).await;
    is_refused(&client.action_link(&id, &verify).await, "Client is not enabled");
}

/// An administrator sees who asked for what about whom, and cannot follow the link.
#[tokio::test]
async fn the_real_one_keeps_an_event_without_the_link() {
    let realm = Realm::create(Mailbox::down().port()).await;
    realm.change_realm(&json!({ "adminEventsEnabled": true, "adminEventsDetailsEnabled": true })).await;
    let client = Client::enter(realm.access()).await;
    let id = client.create(&person("anna")).await.id();
    client.action_link(&id, &json!({ "redirectUri": "http://elsewhere.test/" })).await;
    let link = client.action_link(&id, &json!({})).await.body["link"].as_str().expect("a link").to_owned();

    let events = realm.admin_events("ACTION").await;

    assert_eq!(events.len(), 1, "what is refused leaves none: {events:?}");
    let (path, resource) = (format!("users/{id}/usher-action-link"), "USER");
    assert_eq!((&events[0]["resourcePath"], &events[0]["resourceType"]), (&json!(path), &json!(resource)));
    let asked = events[0]["representation"].as_str().expect("with what was asked");
    assert!(asked.contains("UPDATE_PASSWORD") && asked.contains(&client.access.redirect_uri), "{asked}");
    let key = link.split("key=").nth(1).expect("a link has a key");
    assert!(!format!("{events:?}").contains(key), "{events:?}");
}

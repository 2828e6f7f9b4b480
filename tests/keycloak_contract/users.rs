//! How a user is created, found again, refused and deleted.

use std::slice;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::client::{Client, person, unknown_id};

contract! {
    a_created_user_is_at_its_location
    a_taken_username_is_refused
    a_taken_email_is_refused
    a_user_is_found_by_exact_username_in_any_case
    a_user_is_found_by_exact_email_in_any_case
    the_time_of_creation_is_kept_to_the_millisecond
    a_given_id_is_ignored
    an_unknown_field_is_refused
    a_username_that_is_too_short_is_refused
    a_username_with_a_forbidden_character_is_refused
    an_address_that_is_none_is_refused
    an_address_with_a_foreign_letter_is_refused
    a_name_with_a_forbidden_character_is_refused
    a_name_that_is_too_long_is_refused
    several_violations_are_listed
    a_missing_username_is_refused
    a_user_with_a_password_has_none_to_set
    a_password_that_breaks_the_policy_is_refused
    a_deleted_user_is_gone
}

async fn a_created_user_is_at_its_location(client: Client) {
    let user = person("Anna");
    let answer = client.create(&user).await;
    assert_eq!((answer.status, &answer.body), (StatusCode::CREATED, &Value::Null));

    let read = client.read(&answer.id()).await;
    assert_eq!(read.status, StatusCode::OK);
    assert_eq!(read.body["id"], answer.id());
    assert_eq!(read.body["username"], lower(&user["username"]));
    assert_eq!(read.body["email"], lower(&user["email"]));
    assert_eq!(read.body["firstName"], user["firstName"]);
    assert_eq!(read.body["lastName"], user["lastName"]);
    assert_eq!(read.body["enabled"], true);
    assert_eq!(read.body["emailVerified"], false);
    let mut actions: Vec<&str> =
        read.body["requiredActions"].as_array().expect("as sent").iter().filter_map(Value::as_str).collect();
    actions.sort_unstable();
    assert_eq!(actions, ["UPDATE_PASSWORD", "VERIFY_EMAIL"]);
    client.delete(&answer.id()).await;
}

async fn a_taken_username_is_refused(client: Client) {
    let user = person("anna");
    let id = client.create(&user).await.id();
    let mut namesake = person("anna");
    namesake["username"] = json!(user["username"].as_str().expect("as sent").to_uppercase());
    client.create(&namesake).await.is(409, &json!({ "errorMessage": "User exists with same username" }));
    client.delete(&id).await;
}

async fn a_taken_email_is_refused(client: Client) {
    let user = person("anna");
    let id = client.create(&user).await.id();
    let mut neighbour = person("berta");
    neighbour["email"] = json!(user["email"].as_str().expect("as sent").to_uppercase());
    client.create(&neighbour).await.is(409, &json!({ "errorMessage": "User exists with same email" }));
    client.delete(&id).await;
}

async fn a_user_is_found_by_exact_username_in_any_case(client: Client) {
    let user = person("anna");
    let id = client.create(&user).await.id();
    let username = user["username"].as_str().expect("as sent");
    let by = async |name: &str, exact: &str| client.find(&[("username", name), ("exact", exact)]).await.ids();
    assert_eq!(by(username, "true").await, slice::from_ref(&id));
    assert_eq!(by(&username.to_uppercase(), "true").await, slice::from_ref(&id));
    assert!(by(&username[..10], "true").await.is_empty());
    // Why `exact` must never be forgotten.
    assert_eq!(by(&username[..username.len() - 1], "false").await, slice::from_ref(&id));
    client.delete(&id).await;
}

async fn a_user_is_found_by_exact_email_in_any_case(client: Client) {
    let user = person("anna");
    let id = client.create(&user).await.id();
    let email = user["email"].as_str().expect("as sent");
    let by = async |email: &str| client.find(&[("email", email), ("exact", "true")]).await.ids();
    assert_eq!(by(email).await, slice::from_ref(&id));
    assert_eq!(by(&email.to_uppercase()).await, slice::from_ref(&id));
    assert!(by(&email[..email.len() - 1]).await.is_empty());
    client.delete(&id).await;
}

async fn the_time_of_creation_is_kept_to_the_millisecond(client: Client) {
    let mut user = person("anna");
    user["createdTimestamp"] = json!(1_700_000_000_123_i64);
    let id = client.create(&user).await.id();
    assert_eq!(client.read(&id).await.body["createdTimestamp"], 1_700_000_000_123_i64);
    let username = user["username"].as_str().expect("as sent");
    let found = client.find(&[("username", username), ("exact", "true")]).await;
    assert_eq!(found.body[0]["createdTimestamp"], 1_700_000_000_123_i64);
    client.delete(&id).await;
}

async fn a_given_id_is_ignored(client: Client) {
    let mut user = person("anna");
    let wanted = unknown_id();
    user["id"] = json!(wanted);
    let id = client.create(&user).await.id();
    assert_ne!(id, wanted);
    client.delete(&id).await;
}

async fn an_unknown_field_is_refused(client: Client) {
    let mut user = person("anna");
    user["nickname"] = json!("ann");
    let answer = client.create(&user).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let error = answer.body["error"].as_str().expect("as sent");
    let expected =
        "Invalid json representation for UserRepresentation. Unrecognized field \"nickname\" at line 1 column ";
    assert!(error.starts_with(expected), "{error}");
}

async fn a_username_that_is_too_short_is_refused(client: Client) {
    let mut user = person("anna");
    user["username"] = json!("an");
    client.create(&user).await.violates("error-invalid-length", &json!(["username", 3, 255]));
}

async fn a_username_with_a_forbidden_character_is_refused(client: Client) {
    let mut user = person("anna");
    user["username"] = json!("anna banana");
    client.create(&user).await.violates("error-username-invalid-character", &json!(["username"]));
}

async fn an_address_that_is_none_is_refused(client: Client) {
    let mut user = person("anna");
    user["email"] = json!("not-an-address");
    client.create(&user).await.violates("error-invalid-email", &json!(["email", "not-an-address"]));
}

async fn an_address_with_a_foreign_letter_is_refused(client: Client) {
    let mut user = person("anna");
    user["email"] = json!("änna@example.test");
    client.create(&user).await.violates("error-non-ascii-local-part-email", &json!(["email"]));
}

async fn a_name_with_a_forbidden_character_is_refused(client: Client) {
    let mut user = person("anna");
    user["lastName"] = json!("<b>");
    client.create(&user).await.violates("error-person-name-invalid-character", &json!(["lastName"]));
}

async fn a_name_that_is_too_long_is_refused(client: Client) {
    let mut user = person("anna");
    user["firstName"] = json!("x".repeat(256));
    client.create(&user).await.violates("error-invalid-length-too-long", &json!(["firstName", null, 255]));
}

async fn several_violations_are_listed(client: Client) {
    let mut user = person("anna");
    user["username"] = json!("an");
    user["email"] = json!("not-an-address");
    let answer = client.create(&user).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    let errors = answer.body["errors"].as_array().unwrap_or_else(|| panic!("{}", answer.body));
    let mut fields: Vec<&str> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
    fields.sort_unstable();
    assert_eq!(fields, ["email", "username"]);
}

async fn a_missing_username_is_refused(client: Client) {
    let mut user = person("anna");
    user.as_object_mut().expect("as sent").remove("username");
    client.create(&user).await.is(400, &json!({ "errorMessage": "User name is missing" }));
}

async fn a_user_with_a_password_has_none_to_set(client: Client) {
    let mut user = person("anna");
    user["requiredActions"] = json!(["VERIFY_EMAIL"]);
    user["credentials"] = json!([{ "type": "password", "value": "Correct.horse.1", "temporary": false }]);
    let id = client.create(&user).await.id();
    let username = user["username"].as_str().expect("as sent");
    let found = client.find(&[("username", username), ("exact", "true")]).await;
    assert_eq!(found.body[0]["requiredActions"], json!(["VERIFY_EMAIL"]), "{}", found.body);
    client.delete(&id).await;
}

async fn a_password_that_breaks_the_policy_is_refused(client: Client) {
    let mut user = person("anna");
    user["credentials"] = json!([{ "type": "password", "value": "Aa1.", "temporary": false }]);
    let refused = json!({
        "error": "invalidPasswordMinLengthMessage",
        "error_description": "Invalid password: minimum length 8.",
    });
    client.create(&user).await.is(400, &refused);
    let username = user["username"].as_str().expect("as sent");
    client.find(&[("username", username), ("exact", "true")]).await.is(200, &json!([]));
}

async fn a_deleted_user_is_gone(client: Client) {
    let user = person("anna");
    let id = client.create(&user).await.id();
    client.delete(&id).await.is(204, &Value::Null);
    let not_found = json!({ "error": "User not found" });
    client.read(&id).await.is(404, &not_found);
    client.delete(&id).await.is(404, &not_found);
    let username = user["username"].as_str().expect("as sent");
    client.find(&[("username", username), ("exact", "true")]).await.is(200, &json!([]));
}

fn lower(text: &Value) -> Value {
    json!(text.as_str().expect("as sent").to_lowercase())
}

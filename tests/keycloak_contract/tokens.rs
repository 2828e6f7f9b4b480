//! Who may enter, and what is said to the others.

use reqwest::StatusCode;
use serde_json::json;

use super::client::{Client, person, unknown_id};

contract! {
    a_token_is_handed_out_with_its_lifetime
    a_wrong_secret_gets_no_token
    an_unknown_client_gets_no_token
    a_realm_that_is_missing_is_named_as_such
    a_bad_token_is_refused
}

async fn a_token_is_handed_out_with_its_lifetime(client: Client) {
    let (id, secret) = (&client.access.admin_client_id, &client.access.admin_client_secret);
    for answer in [client.token(id, secret).await, client.token_by_header(id, secret).await] {
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        assert!(answer.body["access_token"].is_string());
        // The real one counts from the whole second, so one may be over.
        assert!(matches!(answer.body["expires_in"].as_u64(), Some(299 | 300)), "{}", answer.body);
        assert_eq!(answer.body["token_type"], "Bearer");
    }
}

async fn a_wrong_secret_gets_no_token(client: Client) {
    let refusal = json!({
        "error": "unauthorized_client",
        "error_description": "Invalid client or Invalid client credentials",
    });
    client.token(&client.access.admin_client_id, "not the secret").await.is(401, &refusal);
    client.token_by_header(&client.access.admin_client_id, "not the secret").await.is(401, &refusal);
}

async fn an_unknown_client_gets_no_token(client: Client) {
    let refusal = json!({
        "error": "invalid_client",
        "error_description": "Invalid client or Invalid client credentials",
    });
    client.token("nobody", "not the secret").await.is(401, &refusal);
    client.token_by_header("nobody", "not the secret").await.is(401, &refusal);
}

async fn a_realm_that_is_missing_is_named_as_such(mut client: Client) {
    client.access.realm = String::from("no-such-realm");
    let answer = client.token(&client.access.admin_client_id, &client.access.admin_client_secret).await;
    answer.is(404, &json!({ "error": "Realm does not exist" }));
    client.create(&person("anna")).await.is(404, &json!({ "error": "Realm not found." }));
}

async fn a_bad_token_is_refused(mut client: Client) {
    client.token = String::from("not a token");
    let unauthorized = json!({ "error": "HTTP 401 Unauthorized" });
    client.create(&person("anna")).await.is(401, &unauthorized);
    client.find(&[("username", "anna"), ("exact", "true")]).await.is(401, &unauthorized);
    client.send_mail(&unknown_id(), &[]).await.is(401, &unauthorized);
}

//! How a set-up mail is ordered. A refusal is about this user or this order; a 500 only says that it failed.

use serde_json::{Value, json};

use super::client::{Client, person, unknown_id};
use crate::harness::{keycloak::Realm, mail_catcher::MailCatcher};

contract! {
    a_mail_is_accepted
    a_mail_to_an_unknown_user_is_refused
    a_mail_to_a_user_without_an_address_is_refused
    a_mail_to_a_disabled_user_is_refused
    a_mail_that_leads_astray_is_refused
    a_mail_for_an_unknown_client_is_refused
    a_mail_with_a_redirect_and_no_client_is_refused
    a_mail_with_an_unknown_action_is_refused
    a_mail_that_confirms_the_address_is_accepted
    a_mail_that_confirms_the_address_of_nobody_is_refused
}

async fn a_mail_is_accepted(client: Client) {
    let id = client.create(&person("anna")).await.id();
    client.send_mail(&id, &[]).await.is(204, &Value::Null);
    client.delete(&id).await;
}

async fn a_mail_to_an_unknown_user_is_refused(client: Client) {
    client.send_mail(&unknown_id(), &[]).await.is(404, &json!({ "error": "User not found" }));
}

async fn a_mail_to_a_user_without_an_address_is_refused(client: Client) {
    let mut user = person("anna");
    user.as_object_mut().expect("as sent").remove("email");
    let id = client.create(&user).await.id();
    client.send_mail(&id, &[]).await.is(400, &json!({ "errorMessage": "User email missing" }));
    client.delete(&id).await;
}

async fn a_mail_to_a_disabled_user_is_refused(client: Client) {
    let mut user = person("anna");
    user["enabled"] = json!(false);
    let id = client.create(&user).await.id();
    client.send_mail(&id, &[]).await.is(400, &json!({ "errorMessage": "User is disabled" }));
    client.delete(&id).await;
}

async fn a_mail_that_leads_astray_is_refused(client: Client) {
    let id = client.create(&person("anna")).await.id();
    let astray = [("redirect_uri", Some("http://elsewhere.test/"))];
    client.send_mail(&id, &astray).await.is(400, &json!({ "errorMessage": "Invalid redirect uri." }));
    client.delete(&id).await;
}

async fn a_mail_for_an_unknown_client_is_refused(client: Client) {
    let id = client.create(&person("anna")).await.id();
    let unknown = [("client_id", Some("nobody"))];
    client.send_mail(&id, &unknown).await.is(400, &json!({ "errorMessage": "Client doesn't exist" }));
    client.delete(&id).await;
}

async fn a_mail_with_a_redirect_and_no_client_is_refused(client: Client) {
    let id = client.create(&person("anna")).await.id();
    let answer = client.send_mail(&id, &[("client_id", None)]).await;
    answer.is(400, &json!({ "errorMessage": "Client id missing" }));
    client.delete(&id).await;
}

async fn a_mail_with_an_unknown_action_is_refused(client: Client) {
    let id = client.create(&person("anna")).await.id();
    let request = client.mail_request(&id, &[]).json(&json!(["NO_SUCH_ACTION"]));
    client.ask(request).await.is(400, &json!({ "errorMessage": "Provided invalid required actions" }));
    client.delete(&id).await;
}

async fn a_mail_that_confirms_the_address_is_accepted(client: Client) {
    let id = client.create(&person("anna")).await.id();
    client.send_verification(&id).await.is(204, &Value::Null);
    client.delete(&id).await;
}

async fn a_mail_that_confirms_the_address_of_nobody_is_refused(client: Client) {
    client.send_verification(&unknown_id()).await.is(404, &json!({ "error": "User not found" }));
}

#[tokio::test]
async fn the_mail_of_the_real_one_holds_the_link() {
    let client = Client::enter(Realm::shared().access()).await;
    let user = person("anna");
    let id = client.create(&user).await.id();
    client.send_mail(&id, &[]).await.is(204, &Value::Null);
    // Keycloak answers after its mail server did: it is there.
    let mails = MailCatcher::shared().mails_to(user["email"].as_str().expect("as sent")).await;
    assert_eq!(mails.len(), 1);
    let place = format!("/realms/{}/login-actions/action-token?key=", client.access.realm);
    assert!(mails[0].link().contains(&place), "{}", mails[0].text);
    client.delete(&id).await;
}

mod without_a_mail_server {
    use crate::harness::{
        fake_keycloak::{Endpoint, FakeKeycloak, Fault},
        keycloak::Realm,
        reserved_port::ReservedPort,
    };

    #[tokio::test]
    async fn the_fake_says_that_the_mail_failed() {
        let keycloak = FakeKeycloak::start().await;
        keycloak.fail_always(Endpoint::SendMail, Fault::mail_failed());
        super::a_mail_that_fails_is_told(super::Client::enter(keycloak.access()).await).await;
    }

    #[tokio::test]
    async fn the_real_one_says_that_the_mail_failed() {
        let nobody = ReservedPort::new();
        let realm = Realm::create(nobody.number()).await;
        super::a_mail_that_fails_is_told(super::Client::enter(realm.access()).await).await;
    }
}

async fn a_mail_that_fails_is_told(client: Client) {
    let id = client.create(&person("anna")).await.id();
    let answer = client.send_mail(&id, &[]).await;
    // Refused for good, away for a minute: it is all the same text.
    let message = "Failed to send execute actions email: Error when attempting to send the email to the server. \
                   More information is available in the server log.";
    answer.is(500, &json!({ "errorMessage": message }));
}

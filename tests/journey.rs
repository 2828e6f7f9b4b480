//! The whole way of one user: registered over HTTP, created in the real Keycloak, mailed by the real mail catcher.

use serde_json::Value;

use crate::harness::{
    eventually::eventually,
    http,
    keycloak::Realm,
    mail_catcher::MailCatcher,
    system::{PATIENCE, Plan},
};

#[tokio::test]
async fn a_registered_user_gets_an_account_and_a_mail_with_a_link() {
    let realm = Realm::shared();
    let system = Plan::on(realm.access()).start().await;
    let user = system.register().await;

    let row = system.until_complete(&user).await;

    let account = realm.user_by_username(&user.username).await.expect("Keycloak has the account");
    assert_eq!(account["id"], row.keycloak_id.expect("the id is kept").to_string());
    assert_eq!(account["email"], user.email);
    assert_eq!(account["emailVerified"], false);
    assert_eq!(account["createdTimestamp"], row.created_at.timestamp_millis(), "the proof of origin");

    let mails = eventually("the mail is in the catcher", PATIENCE, async || {
        Some(MailCatcher::shared().mails_to(&user.email).await).filter(|mails| !mails.is_empty())
    })
    .await;
    assert_eq!(mails.len(), 1);
    assert!(mails[0].link().contains("/realms/usher/login-actions/action-token?key="), "{}", mails[0].link());
    assert_eq!((row.claim_no, row.mail_attempts, row.attempts), (1, 1, 0), "at the first go");

    let status: Value = http::client()
        .get(format!("{}/users/{}/status", system.api_url(), user.id))
        .send()
        .await
        .expect("the api answers")
        .json()
        .await
        .expect("in JSON");
    assert_eq!(status["status"], "complete");
    system.stop().await;
}

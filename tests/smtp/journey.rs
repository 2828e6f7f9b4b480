//! The whole way of one user with a mail of our own: the real Keycloak hands out the link, the real mail catcher takes
//! the mail, and the link leads to a password and to a token.

use crate::harness::{
    eventually::eventually,
    keycloak::Realm,
    mail_catcher::MailCatcher,
    mailbox::Mailbox,
    set_up_pages::set_password,
    stack::Stack,
    system::{PATIENCE, Plan},
    witness::{Beyond, Witness},
};

#[tokio::test]
async fn a_registered_user_comes_by_our_own_mail_to_a_token() {
    let realm = Realm::shared();
    let system = Plan::on(realm.access()).by_smtp(Stack::get().smtp_port).start().await;
    let user = system.register().await;

    let row = system.until_complete(&user).await;

    assert_eq!((row.claim_no, row.mail_attempts, row.attempts), (1, 1, 0), "at the first go");
    let mails = eventually("the mail is in the catcher", PATIENCE, async || {
        Some(MailCatcher::shared().mails_to(&user.email).await).filter(|mails| !mails.is_empty())
    })
    .await;
    assert_eq!((mails.len(), mails[0].subject.as_str()), (1, "Set your password for Usher"));
    let link = mails[0].link();
    assert!(link.contains("/realms/usher/login-actions/action-token?key="), "{link}");
    assert!(mails[0].text.contains(&user.username) && mails[0].text.contains("12 hours"), "{}", mails[0].text);
    assert!(mails[0].html.contains("<!doctype html>") && mails[0].html.contains(&user.username), "{}", mails[0].html);

    assert_eq!(system.log_in(&user.username, "Correct.horse.1").await.status, 401);
    set_password(link, "Correct.horse.1").await;
    let token = system.log_in(&user.username, "Correct.horse.1").await.token("access_token");
    assert_eq!(system.validate(&token).await.json()["user"]["username"], user.username.as_str());
    system.stop().await;
}

/// What an outage of the mail server costs is time, here as there.
#[tokio::test]
async fn the_mail_server_is_down_for_a_while() {
    let mut mailbox = Mailbox::down();
    let realm = Realm::create(mailbox.port()).await;
    let system = Plan::on(realm.access()).by_smtp(mailbox.port()).start().await;
    let witness = Witness::of(&system);
    let names = witness.usernames(6);
    let users = witness.register(&system.api_url(), &names).await;
    for user in &users {
        system
            .until(user, "the account is there, and the mail waits", |row| {
                row.synced_at.is_some() && row.last_error.is_some() && row.attempts == 0 && row.parked_at.is_none()
            })
            .await;
    }
    assert!(mailbox.mails().is_empty());
    mailbox.come_up().await;

    let report = witness.all_is_well(Beyond::Own(&realm, &mailbox)).await;

    assert_eq!((report.provisioned, report.mails, report.duplicate_mails, report.parked), (6, 6, 0, 0), "{report}");
    system.stop().await;
}

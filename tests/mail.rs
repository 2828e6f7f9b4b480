//! The mail: late rather than never, counted before it leaves, and in nobody else's way.

use futures_util::future::join_all;

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Answer, Endpoint, FakeKeycloak, Fault},
    keycloak::Realm,
    mailbox::Mailbox,
    system::{PATIENCE, Plan, Registered, System},
};

#[tokio::test]
async fn accounts_do_not_wait_for_the_mail_server_and_mails_do() {
    let mut mailbox = Mailbox::down();
    let realm = Realm::create(mailbox.port()).await;
    let before = realm.users_count().await;
    let system = Plan::on(realm.access()).start().await;
    let first = system.register().await;
    system.until(&first, "the mail failed", |row| row.mail_attempts >= 1 && row.last_error.is_some()).await;

    let mut users = join_all((0..5).map(|_| system.register())).await;
    users.push(first.clone());
    for user in &users {
        let row = system
            .until(user, "the account is there and the mail waits", |row| {
                row.synced_at.is_some() && row.last_error.is_some() && row.leased_until.is_none() && row.attempts == 0
            })
            .await;
        assert_eq!((row.parked_at, row.mail_served), (None, 0));
    }
    assert!(mailbox.mails().is_empty());
    mailbox.come_up().await;

    for user in &users {
        let row = system.until_complete(user).await;
        let account = realm.user_by_username(&user.username).await.expect("Keycloak has the account");
        assert_eq!(account["id"], row.keycloak_id.expect("the id is kept").to_string());
        // Refused connections leave no doubt: what failed did not leave.
        eventually("one mail is there", PATIENCE, async || mailbox.mails_to(&user.email).len() == 1).await;
        assert!(row.mail_attempts >= 1);
    }
    assert!(system.row(&first).await.mail_attempts >= 2, "tries that failed are counted too");
    assert_eq!(mailbox.mails().len(), users.len());
    assert_eq!(realm.users_count().await, before + 6, "exactly one account each");
    system.stop().await;
}

/// As the api does it when somebody asks for another mail.
async fn ask_for_another_mail(system: &System, user: &Registered) {
    sqlx::query("UPDATE users SET mail_wanted = mail_wanted + 1 WHERE id = $1")
        .bind(user.id)
        .execute(system.pool())
        .await
        .expect("the row can be written");
}

#[tokio::test]
async fn a_request_that_comes_while_a_mail_is_leaving_is_served_next() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let mut leaving = keycloak.hold(Endpoint::SendMail);
    let user = system.register().await;
    leaving.reached().await;

    ask_for_another_mail(&system, &user).await;
    leaving.release();

    let row = system.until_complete(&user).await;
    assert_eq!((row.mail_wanted, row.mail_attempts), (2, 2));
    assert_eq!(keycloak.mails_to(&user.username).len(), 2);
    system.stop().await;
}

#[tokio::test]
async fn tries_are_counted_before_they_are_made() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let mut leaving = keycloak.hold(Endpoint::SendMail);
    let user = system.register().await;
    leaving.reached().await;
    assert_eq!(system.row(&user).await.mail_attempts, 1);

    leaving.release();
    assert_eq!(system.until_complete(&user).await.mail_attempts, 1);
    system.stop().await;
}

#[tokio::test]
async fn a_mail_without_an_answer_is_sent_again_and_both_are_counted() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::SendMail, 1, Fault::DropAfterEffect);
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register().await;

    let row = system.until_complete(&user).await;

    assert_eq!((keycloak.mails_to(&user.username).len(), row.mail_attempts), (2, 2));
    assert_eq!(keycloak.requests(Endpoint::CreateUser).len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn a_mail_that_fails_for_one_user_alone_ends_parked_and_delays_nobody() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_for("grace-hopper", Endpoint::SendMail, Fault::mail_failed());
    let plan = Plan::on(keycloak.access()).set("PROVISION_MAX_ATTEMPTS", "2");
    // A single user's failures open no breaker here, however long the others take to register.
    let system = plan.set("BREAKER_FAILURES", "1000").start().await;
    let user = system.register_as("grace-hopper").await;

    // A failure speaks against the user only when others were served since the one before.
    let row = eventually("the user is parked", PATIENCE, async || {
        let other = system.register().await;
        let row = system.until_complete(&other).await;
        assert_eq!((row.claim_no, row.mail_attempts), (1, 1), "at the first go");
        Some(system.row(&user).await).filter(|row| row.parked_at.is_some())
    })
    .await;
    assert_eq!((row.parked_reason.as_deref(), row.attempts), (Some("budget_spent"), 2));
    assert!(row.synced_at.is_some(), "the account stays");
    let tries = keycloak.requests(Endpoint::SendMail).len() - (keycloak.users().len() - 1);
    assert_eq!(usize::try_from(row.mail_attempts).expect("a count"), tries, "all tries are counted");
    system.stop().await;
}

#[tokio::test]
async fn a_mail_that_keycloak_refuses_because_of_the_user_parks_the_user() {
    let keycloak = FakeKeycloak::start().await;
    let disabled = Answer::refused(400, "User is disabled");
    keycloak.fail_for("grace-hopper", Endpoint::SendMail, Fault::Status(disabled));
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register_as("grace-hopper").await;
    let other = system.register().await;

    let row = system.until_parked(&user).await;

    assert_eq!(row.parked_reason.as_deref(), Some("mail_refused"));
    system.until_complete(&other).await;
    system.stop().await;
}

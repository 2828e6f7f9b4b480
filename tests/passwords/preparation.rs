//! Never good on somebody else's address: whoever asks for a set-up mail finds an account without it.

use serde_json::json;

use super::{CHOSEN, lands_late, mails, password, plan, register, state};
use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Fault},
    keycloak::Realm,
    mailbox::Mail,
    process::Binary,
    set_up_pages::{BegunLogin, PasswordForm, confirm_address},
    stack::Stack,
    system::{PATIENCE, Plan, Registered, System},
};

/// The attacker knows the password of an account with the victim's address. The victim, who knows nothing of it, asks
/// for a set-up mail and follows it.
#[tokio::test]
async fn nobody_prepares_an_account_on_the_address_of_somebody_else() {
    for plan in [plan(Realm::shared().access(), 0), plan(Realm::shared().access(), 0).by_smtp(Stack::get().smtp_port)] {
        is_kept_out(plan.start().await).await;
    }
}

async fn is_kept_out(system: System) {
    let victim = register(&system, CHOSEN).await;
    system.until_complete(&victim).await;
    let keycloak = Realm::shared();
    let mut begun = BegunLogin::with(keycloak.access(), &victim.username, CHOSEN).await;
    assert!(begun.page.contains("You need to verify your email address"), "{}", begun.page);
    assert_eq!(system.request_mail(&json!({ "email": victim.email })).await.status(), 202);
    // Keycloak mails too, when somebody begins to log in.
    let mails = mails(&victim, 3).await;
    let is_set_up = |mail: &&Mail| ["Set your password for Usher", "Update Your Account"].contains(&&*mail.subject);
    let set_up = mails.iter().find(is_set_up).expect("a set-up mail");

    let attacker = async || system.log_in(&victim.username, CHOSEN).await.status;
    assert_eq!(attacker().await, 401, "from when the mail is there");
    let refused = BegunLogin::with(keycloak.access(), &victim.username, CHOSEN).await.page;
    assert!(refused.contains("Invalid username or password."), "{refused}");
    let form = PasswordForm::open(set_up.link()).await;
    assert_eq!(attacker().await, 401, "the address is confirmed, and no password is set");
    begun.reload().await;
    assert!(!begun.is_let_in(), "{}", begun.page);
    form.send("Of.the.victim.1").await;

    assert_eq!(attacker().await, 401);
    system.log_in(&victim.username, "Of.the.victim.1").await.token("access_token");
    system.stop().await;
}

/// Whoever asks need not be who registered, and would lock out whoever uses the account.
#[tokio::test]
async fn whoever_has_confirmed_the_address_keeps_the_password() {
    let system = plan(Realm::shared().access(), 0).start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    confirm_address(mails(&user, 1).await[0].link()).await;
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    mails(&user, 2).await;
    system.log_in(&user.username, CHOSEN).await.token("access_token");
    system.stop().await;
}

/// What stops in the middle is taken up again, and no mail leaves before the password is gone.
#[tokio::test]
async fn a_set_up_mail_waits_until_the_chosen_password_is_gone() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(keycloak.access(), 0).start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    keycloak.fail_next(Endpoint::ReadUser, 1, Fault::DropBeforeEffect);
    keycloak.fail_next(Endpoint::DeleteUser, 1, Fault::status(500));
    keycloak.fail_next(Endpoint::DeleteUser, 1, Fault::DropAfterEffect);
    let mut gate = keycloak.hold_answer(Endpoint::DeleteUser);
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    gate.reached().await;
    assert_eq!(keycloak.user_by_username(&user.username).map(|account| account.id), None, "nobody to be mailed");
    gate.release();
    let row = system.until_complete(&user).await;
    assert_eq!((row.mail_wanted, row.mail_attempts), (2, 2));
    assert_ne!(password(&keycloak, &user).as_deref(), Some(CHOSEN));
    system.stop().await;
}

#[tokio::test]
async fn whose_account_is_gone_when_its_password_is_to_be_is_parked() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(keycloak.access(), 0).start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    keycloak.delete_user(&keycloak.user_by_username(&user.username).expect("an account").id);
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    assert_eq!(system.until_parked(&user).await.parked_reason.as_deref(), Some("gone_in_keycloak"));
    system.stop().await;
}

/// The one mail that is owed serves the request too, so it must be the one that sets a password.
#[tokio::test]
async fn whoever_asks_for_a_mail_before_the_first_has_left_sets_a_password() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = plan(keycloak.access(), 0).workers(0).start().await;
    let user = register(&system, CHOSEN).await;
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    system.start_worker().await;
    let row = system.until_complete(&user).await;
    assert_eq!((row.mail_wanted, row.mail_attempts), (2, 1));
    let mails = keycloak.mails_to(&user.username);
    assert_eq!(mails[0].actions, ["VERIFY_EMAIL", "UPDATE_PASSWORD"], "{mails:?}");
    system.stop().await;
}

/// Registered with a password, complete, and on the way again to a mail that sets another one, which no worker sees to.
async fn asked_for_another(plan: Plan) -> (System, Registered) {
    let mut system = plan.start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    system.stop_workers().await;
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    (system, user)
}

/// One mail to the new account, which nobody has a password for.
async fn is_made_anew(system: System, keycloak: &FakeKeycloak, user: &Registered) {
    let row = system.until_complete(user).await;
    assert_eq!((row.mail_wanted, row.parked_at), (2, None));
    assert_eq!((password(keycloak, user), state(&system, user).await), (None, json!("lost")));
    let [mail] = &keycloak.mails_to(&user.username)[..] else { panic!("one mail to the new account") };
    assert_eq!(mail.actions, ["VERIFY_EMAIL", "UPDATE_PASSWORD"]);
    system.stop().await;
}

/// While the account is made anew, and before the mail: whoever takes over finds an account without the password, or
/// one that must go.
#[tokio::test]
async fn a_worker_that_dies_on_the_way_to_another_account_costs_nobody_the_mail() {
    let points = ["account_forgotten", "account_deleted", "account_made", "synced", "mail_begun"];
    for point in points {
        let keycloak = FakeKeycloak::start().await;
        let (mut system, user) = asked_for_another(plan(keycloak.access(), 0).hasty()).await;
        system.worker_dies_at(&format!("provision.{point}:1")).await;
        system.start_worker().await;
        is_made_anew(system, &keycloak, &user).await;
    }
}

/// What the dead one asked for lands when the next one has found the account.
#[tokio::test]
async fn a_deletion_that_lands_late_takes_nobodys_account() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, user) = asked_for_another(plan(keycloak.access(), 0).hasty()).await;
    system.worker_dies_at("provision.account_forgotten:1").await;
    let mut gate = keycloak.hold_answer(Endpoint::FindUser);
    system.start_worker().await;
    gate.reached().await;
    keycloak.delete_user(&keycloak.user_by_username(&user.username).expect("the account").id);
    gate.release();
    is_made_anew(system, &keycloak, &user).await;
}

/// The deletion that the dead one asked for may still be on its way, and would take the account from whoever was told
/// that all is well.
#[tokio::test]
async fn an_account_that_may_be_going_is_not_adopted() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, user) = asked_for_another(plan(keycloak.access(), 0).hasty()).await;
    system.worker_dies_at("provision.account_forgotten:1").await;
    keycloak.confirm_address(&user.username);
    system.start_worker().await;
    let row = system.until_parked(&user).await;
    assert_eq!((row.parked_reason.as_deref(), row.mail_attempts), (Some("conflict"), 1));
    assert_eq!(password(&keycloak, &user).as_deref(), Some(CHOSEN), "it is left as it is");
    system.stop().await;
}

/// Between the deletion and the new account.
#[tokio::test]
async fn an_account_that_lands_late_with_the_password_is_not_mailed_to() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, user) = asked_for_another(plan(keycloak.access(), 0).set("PROVISION_RETRY_BASE", "100ms")).await;
    let mut gate = keycloak.hold_answer(Endpoint::DeleteUser);
    system.start_worker().await;
    gate.reached().await;
    lands_late(&keycloak, &user);
    gate.release();
    is_made_anew(system, &keycloak, &user).await;
}

#[tokio::test]
async fn whoever_confirms_the_address_at_the_last_moment_keeps_the_password() {
    let keycloak = FakeKeycloak::start().await;
    let (mut system, user) = asked_for_another(plan(keycloak.access(), 0)).await;
    let mut gate = keycloak.hold_answer(Endpoint::ReadUser);
    system.start_worker().await;
    gate.reached().await;
    keycloak.confirm_address(&user.username);
    gate.release();
    let row = system.until_complete(&user).await;
    assert_eq!((row.mail_wanted, row.parked_at), (2, None));
    assert_eq!(password(&keycloak, &user).as_deref(), Some(CHOSEN));
    assert_eq!(state(&system, &user).await, "set");
    system.stop().await;
}

/// Whoever is one too many in a second has to wait, and keeps the account meanwhile.
#[tokio::test]
async fn no_account_goes_before_the_mail_can_leave() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = plan(keycloak.access(), 0).start().await;
    let mut users = Vec::new();
    for end in ["a", "b", "c", "d"] {
        let username = format!("{}-{end}", super::name());
        let answer = super::send(&system, &super::body(&username, CHOSEN)).await;
        let id = answer.json::<serde_json::Value>().await.expect("JSON")["id"].as_str().and_then(|id| id.parse().ok());
        users.push(Registered { id: id.expect("an id"), email: format!("{username}@example.org"), username });
        system.until_complete(&users[users.len() - 1]).await;
    }
    system.stop_workers().await;
    for user in &users {
        assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    }
    let paced = [("MAIL_RATE", "1"), ("PROVISION_LEASE_MARGIN", "1ms"), ("PROVISION_SNOOZE", "1h")];
    let paced =
        paced.into_iter().fold(Binary::worker().envs(system.settings()), |it, (name, value)| it.env(name, value));
    let _worker = paced.start();
    let waiting = eventually("one has to wait", PATIENCE, async || {
        let mut waiting = None;
        for user in &users {
            let error = system.row(user).await.last_error.unwrap_or_default();
            waiting = if error.contains("MAIL_RATE") { Some(user) } else { waiting };
        }
        waiting
    })
    .await;
    assert_eq!(password(&keycloak, waiting).as_deref(), Some(CHOSEN));
    system.stop().await;
}

/// As while an account is made.
#[tokio::test]
async fn a_keycloak_that_deletes_nothing_is_left_alone() {
    let keycloak = FakeKeycloak::start().await;
    let plan = plan(keycloak.access(), 0).set("BREAKER_FAILURES", "1").set("BREAKER_OPEN_BASE", "100ms");
    let plan = plan.set("PROVISION_SNOOZE", "1s").set("KEYCLOAK_TIMEOUT", "14s");
    let (mut system, user) = asked_for_another(plan).await;
    let probe = system.vhost.probe().await;
    let consumers = async || probe.consumers("usher.user-created").await;
    keycloak.fail_always(Endpoint::DeleteUser, Fault::status(500));
    // The sweep may come to the user before the worker consumes.
    let gate = keycloak.hold(Endpoint::DeleteUser);
    system.start_worker().await;
    eventually("it consumes", PATIENCE, async || consumers().await == Some(1)).await;
    gate.release();
    eventually("it pauses", PATIENCE, async || consumers().await == Some(0)).await;
    keycloak.heal();
    is_made_anew(system, &keycloak, &user).await;
}

/// One whose row has forgotten the account would make another one.
#[tokio::test]
async fn a_worker_for_another_realm_makes_no_second_account() {
    let keycloak = FakeKeycloak::start().await;
    let (system, user) = asked_for_another(plan(keycloak.access(), 0).hasty()).await;
    system.worker_dies_at("provision.account_forgotten:1").await;
    let before = keycloak.count(Endpoint::CreateUser);
    let _worker = Binary::worker().envs(system.settings()).env("KEYCLOAK_REALM", "another").start();
    system
        .until(&user, "it is refused", |row| row.last_error.as_ref().is_some_and(|it| it.contains("realm usher")))
        .await;
    assert_eq!(keycloak.count(Endpoint::CreateUser), before);
    system.stop().await;
}

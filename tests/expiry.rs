//! Registrations that nobody confirms are erased when their time is over, and no others.

use reqwest::StatusCode;
use serde_json::json;

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak},
    http,
    keycloak::Realm,
    mailbox::Mailbox,
    set_up_pages::set_password,
    system::{PATIENCE, Plan, Registered, System},
};

const EXPIRES: &str = "720h";

async fn start(keycloak: &FakeKeycloak) -> System {
    Plan::on(keycloak.access()).hasty().set("REGISTRATION_EXPIRES", EXPIRES).start().await
}

/// Time passes for the database.
async fn the_last_mail_was_long_ago(system: &System, user: &Registered) {
    let mailed = "UPDATE users SET mail_sent_at = now() - interval '721 h' WHERE id = $1";
    sqlx::query(mailed).bind(user.id).execute(system.pool()).await.expect("a row can be written");
}

async fn until_erased(system: &System, user: &Registered) {
    eventually("the row is gone", PATIENCE, async || !has_row(system, user).await).await;
}

async fn has_row(system: &System, user: &Registered) -> bool {
    let exists = sqlx::query_scalar("SELECT EXISTS (SELECT FROM users WHERE id = $1)").bind(user.id);
    exists.fetch_one(system.pool()).await.expect("rows can be counted")
}

async fn until_kept(system: &System, user: &Registered) {
    let kept = "SELECT kept_at IS NOT NULL AND leased_until IS NULL FROM users WHERE id = $1";
    eventually("the user is kept", PATIENCE, async || {
        sqlx::query_scalar::<_, bool>(kept).bind(user.id).fetch_one(system.pool()).await.expect("the row can be read")
    })
    .await;
}

#[tokio::test]
async fn whoever_never_confirmed_expires_and_frees_the_names_and_whoever_did_stays() {
    let mailbox = Mailbox::start().await;
    let realm = Realm::create(mailbox.port()).await;
    let system = Plan::on(realm.access()).set("REGISTRATION_EXPIRES", EXPIRES).start().await;
    let (ada, grace, recent) =
        (system.register_as("ada").await, system.register_as("grace").await, system.register().await);
    for user in [&ada, &grace, &recent] {
        system.until_complete(user).await;
    }
    let mail = eventually("the mail", PATIENCE, async || mailbox.mails_to("grace@example.org").pop()).await;
    set_password(mail.link(), "Of.grace.hopper.1").await;

    the_last_mail_was_long_ago(&system, &ada).await;
    the_last_mail_was_long_ago(&system, &grace).await;
    until_erased(&system, &ada).await;
    until_kept(&system, &grace).await;
    assert!(realm.user_by_username("ada").await.is_none());
    assert!(realm.user_by_username("grace").await.is_some());
    assert!(has_row(&system, &recent).await);

    let status = http::client().get(format!("{}/users/{}/status", system.api_url(), ada.id)).send().await;
    assert_eq!(status.expect("the api answers").status(), StatusCode::NOT_FOUND);
    let again = system.register_as("ada").await;
    system.until_complete(&again).await;
    system.stop().await;
}

/// Whatever else was done to the account says that somebody knows of it.
#[tokio::test]
async fn whose_account_was_changed_or_deleted_or_is_somebody_elses_stays() {
    let keycloak = FakeKeycloak::start().await;
    let system = start(&keycloak).await;
    let (changed, replaced, deleted) = (system.register().await, system.register().await, system.register().await);
    for user in [&changed, &replaced, &deleted] {
        system.until_complete(user).await;
    }
    keycloak.delete_user(&keycloak.user_by_username(&deleted.username).expect("an account").id);
    keycloak.change_address(&changed.username, "elsewhere@example.org");
    keycloak.delete_user(&keycloak.user_by_username(&replaced.username).expect("an account").id);
    let stranger = keycloak.create_user(&json!({ "username": replaced.username, "email": replaced.email }));
    let made = "UPDATE users SET keycloak_id = $2::uuid WHERE id = $1";
    sqlx::query(made).bind(replaced.id).bind(&stranger).execute(system.pool()).await.expect("a row can be written");
    for user in [&changed, &replaced, &deleted] {
        the_last_mail_was_long_ago(&system, user).await;
        until_kept(&system, user).await;
    }
    assert_eq!(keycloak.count(Endpoint::DeleteUser), 0);
    system.stop().await;
}

#[tokio::test]
async fn whoever_is_parked_or_waits_for_a_mail_does_not_expire() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = start(&keycloak).await;
    let (parked, waits, expires) = (system.register().await, system.register().await, system.register().await);
    for user in [&parked, &waits, &expires] {
        system.until_complete(user).await;
    }
    system.stop_workers().await;
    for (user, change) in [
        (&parked, "UPDATE users SET parked_at = now(), parked_reason = 'conflict' WHERE id = $1"),
        (
            &waits,
            "UPDATE users SET mail_wanted = 2, next_attempt_at = now() + interval '1 h', attempts = 1 WHERE id = $1",
        ),
    ] {
        sqlx::query(change).bind(user.id).execute(system.pool()).await.expect("a row can be written");
        the_last_mail_was_long_ago(&system, user).await;
    }
    // The last one to be looked at.
    let later = "UPDATE users SET mail_sent_at = now() - interval '720.5 h' WHERE id = $1";
    sqlx::query(later).bind(expires.id).execute(system.pool()).await.expect("a row can be written");
    system.start_worker().await;
    until_erased(&system, &expires).await;
    assert!(has_row(&system, &parked).await && has_row(&system, &waits).await);
    system.stop().await;
}

/// The request comes while the account is looked at.
#[tokio::test]
async fn whoever_asks_for_a_mail_just_then_gets_it() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).set("REGISTRATION_EXPIRES", EXPIRES).start().await;
    let user = system.register().await;
    system.until_complete(&user).await;
    let mut gate = keycloak.hold_answer(Endpoint::ReadUser);
    the_last_mail_was_long_ago(&system, &user).await;
    gate.reached().await;
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), StatusCode::ACCEPTED);
    gate.release();
    system.until(&user, "the second mail", |row| row.is_complete() && row.mail_attempts == 2).await;
    assert_eq!(keycloak.mails_to(&user.username).len(), 2);
    system.stop().await;
}

/// The account is gone then, and the row is not. No mail is ordered for it meanwhile.
#[tokio::test]
async fn what_stops_in_the_middle_is_taken_up_again() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = start(&keycloak).await;
    let user = system.register().await;
    system.until_complete(&user).await;
    system.stop_workers().await;
    the_last_mail_was_long_ago(&system, &user).await;

    system.worker_dies_at("erasure.account_deleted:1").await;
    assert!(keycloak.users().is_empty() && has_row(&system, &user).await);
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), StatusCode::ACCEPTED);
    assert_eq!(system.row(&user).await.mail_wanted, 1);
    let held = "UPDATE users SET leased_until = now() - interval '1 s' WHERE leased_until > now()";
    sqlx::query(held).execute(system.pool()).await.expect("a row can be written");
    system.start_worker().await;
    until_erased(&system, &user).await;
    system.stop().await;
}

//! Provisioning: one account for each user and nobody else's, whatever Keycloak answers about one; who cannot be helped
//! is parked with the reason. What it answers to everybody stands in `faults::keycloak`.

use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Answer, Endpoint, FakeKeycloak, Fault},
    keycloak::Realm,
    mail_catcher::MailCatcher,
    own_name::own_name,
    system::{PATIENCE, Plan, Registered, Row, System},
};

/// Somebody registers what `stranger`, made by an administrator, already has some of.
async fn is_never_adopted(stranger: impl Fn(&str) -> Value) {
    let realm = Realm::shared();
    let system = Plan::on(realm.access()).start().await;
    let username = own_name().replace('_', "-");
    let stranger = stranger(&username);
    let id = realm.create_user(&stranger).await;
    let name = stranger["username"].as_str().expect("a stranger has a name");
    let before = realm.user_by_username(name).await.expect("the stranger is there");
    assert_eq!(before["id"], id);

    let user = system.register_as(&username).await;
    let row = system.until_parked(&user).await;

    assert_eq!(row.parked_reason.as_deref(), Some("conflict"));
    assert_eq!((row.keycloak_id, row.synced_at, row.mail_attempts), (None, None, 0));
    assert_eq!(realm.user_by_username(name).await, Some(before), "the stranger's account is as it was");
    if name != username {
        assert_eq!(realm.user_by_username(&username).await, None, "nobody got a second account");
    }
    for address in [&user.email, stranger["email"].as_str().expect("a stranger has an address")] {
        assert!(MailCatcher::shared().mails_to(address).await.is_empty(), "no mail leaves");
    }
    let probe = system.vhost.probe().await;
    eventually("operators see it", PATIENCE, async || probe.depth("usher.parked").await == Some(1)).await;
    system.stop().await;
}

#[tokio::test]
async fn somebody_elses_account_with_the_same_username_is_never_adopted() {
    is_never_adopted(|username| {
        json!({ "username": username, "email": format!("stranger-{username}@example.org"), "enabled": true })
    })
    .await;
}

#[tokio::test]
async fn somebody_elses_account_with_the_same_address_is_never_adopted() {
    is_never_adopted(|username| {
        let stranger = format!("stranger-{username}");
        json!({ "username": stranger, "email": format!("{username}@example.org"), "enabled": true })
    })
    .await;
}

#[tokio::test]
async fn an_account_with_the_same_username_and_address_that_we_did_not_make_is_never_adopted() {
    is_never_adopted(
        |username| json!({ "username": username, "email": format!("{username}@example.org"), "enabled": true }),
    )
    .await;
}

fn assert_one_account_and_one_mail(keycloak: &FakeKeycloak, user: &Registered, row: &Row) {
    let accounts = keycloak.users();
    let own: Vec<_> = accounts.iter().filter(|account| account.email.as_ref() == Some(&user.email)).collect();
    assert_eq!(own.len(), 1, "exactly one account");
    assert_eq!(Some(&own[0].id), row.keycloak_id.map(|id| id.to_string()).as_ref());
    assert_eq!((keycloak.mails_to(&user.username).len(), row.mail_attempts), (1, 1), "exactly one mail");
}

#[tokio::test]
async fn our_own_account_is_adopted_when_the_answer_to_creating_it_was_lost() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::DropAfterEffect);
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register().await;

    let row = system.until_complete(&user).await;

    assert_eq!(row.claim_no, 1, "at the first go");
    assert_one_account_and_one_mail(&keycloak, &user, &row);
    system.stop().await;
}

#[tokio::test]
async fn our_own_account_is_adopted_by_a_later_run_too() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::DropAfterEffect);
    // So that the run that created it cannot find that out.
    keycloak.fail_always(Endpoint::FindUser, Fault::status(503));
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register().await;
    until_postponed_for_free(&system, &user).await;
    keycloak.heal();

    let row = system.until_complete(&user).await;

    assert_one_account_and_one_mail(&keycloak, &user, &row);
    system.stop().await;
}

#[tokio::test]
async fn a_create_that_was_lost_on_the_way_is_done_again() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::DropBeforeEffect);
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register().await;

    let row = system.until_complete(&user).await;

    assert_eq!(row.claim_no, 1, "at the first go");
    assert_eq!(keycloak.requests(Endpoint::CreateUser).len(), 2);
    assert_one_account_and_one_mail(&keycloak, &user, &row);
    system.stop().await;
}

/// Tried more than once, and between two tries, so that a spent attempt would show.
async fn until_postponed_for_free(system: &System, user: &Registered) -> Row {
    let what = "the user was tried again and again, and no attempt is spent";
    system
        .until(user, what, |row| {
            assert_eq!(row.parked_reason, None);
            row.claim_no >= 2 && row.leased_until.is_none() && row.attempts == 0
        })
        .await
}

#[tokio::test]
async fn a_wait_that_keycloak_asks_for_is_kept_for_an_hour_at_most() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::too_many_requests(24 * 3600));
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register().await;
    let row = system.until(&user, "the user waits", |row| row.last_error.is_some()).await;
    assert_eq!((row.attempts, row.parked_at), (0, None));
    let minutes: f64 =
        sqlx::query_scalar("SELECT extract(epoch FROM next_attempt_at - now())::float8 / 60 FROM users WHERE id = $1")
            .bind(user.id)
            .fetch_one(system.pool())
            .await
            .expect("the row can be read");
    assert!((50.0..70.0).contains(&minutes), "{minutes}");
    assert_eq!(keycloak.requests(Endpoint::CreateUser).len(), 1, "not asked again in between");

    // The hour is over.
    update(&system, &user, "next_attempt_at = now()").await;
    let row = system.until_complete(&user).await;
    assert_one_account_and_one_mail(&keycloak, &user, &row);
    system.stop().await;
}

#[tokio::test]
async fn a_token_that_is_refused_is_replaced_at_once() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::status(401));
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register().await;

    let row = system.until_complete(&user).await;

    assert_eq!(row.claim_no, 1, "at the first go");
    assert_eq!(keycloak.requests(Endpoint::Token).len(), 2);
    assert_one_account_and_one_mail(&keycloak, &user, &row);
    system.stop().await;
}

fn refused() -> Fault {
    Fault::Status(Answer::refused(400, "error-user-attribute-required"))
}

/// How often Keycloak was asked to create the user.
fn creates_of(keycloak: &FakeKeycloak, user: &Registered) -> usize {
    let is_about = |body: &str| serde_json::from_str::<Value>(body).is_ok_and(|body| body["username"] == user.username);
    keycloak.requests(Endpoint::CreateUser).iter().filter(|request| is_about(&request.body)).count()
}

#[tokio::test]
async fn whom_keycloak_refuses_alone_is_parked_at_the_second_look_and_delays_nobody() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_for("grace-hopper", Endpoint::CreateUser, refused());
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register_as("grace-hopper").await;
    let others = join_all((0..5).map(|_| system.register())).await;

    for other in &others {
        assert_eq!(system.until_complete(other).await.claim_no, 1, "at the first go");
    }
    let row = system.until_parked(&user).await;
    assert_eq!(row.parked_reason.as_deref(), Some("refused"));
    assert!(row.last_error.is_some_and(|error| error.contains("error-user-attribute-required")), "in Keycloak's words");
    assert_eq!(creates_of(&keycloak, &user), 2);
    system.stop().await;
}

#[tokio::test]
async fn when_keycloak_refuses_everybody_alike_nobody_is_parked() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_always(Endpoint::CreateUser, refused());
    // A first refusal may still be the user's own: all of them come before the first second look.
    let plan =
        Plan::on(keycloak.access()).workers(0).set("PROVISION_RETRY_BASE", "1s").set("PROVISION_RETRY_MAX", "2s");
    let mut system = plan.start().await;
    let users = join_all((0..5).map(|_| system.register())).await;
    system.start_worker().await;

    for user in &users {
        eventually("it was refused again and again", PATIENCE, async || {
            Some(creates_of(&keycloak, user)).filter(|creates| *creates >= 3)
        })
        .await;
        let row = system.row(user).await;
        assert_eq!(row.parked_reason, None);
        assert!(row.attempts <= 2, "at most the first refusal is charged, beside the run that is on: {row:?}");
    }
    keycloak.heal();
    for user in &users {
        let row = system.until_complete(user).await;
        assert_one_account_and_one_mail(&keycloak, user, &row);
    }
    system.stop().await;
}

/// What another process, an operator or time itself does to a row.
async fn update(system: &System, user: &Registered, assignments: &'static str) {
    let mut update = sqlx::QueryBuilder::new("UPDATE users SET ");
    update.push(assignments).push(" WHERE id = ").push_bind(user.id);
    let done = update.build().execute(system.pool()).await.expect("the row can be written");
    assert_eq!(done.rows_affected(), 1);
}

#[tokio::test]
async fn an_account_in_another_realm_is_left_alone_until_the_configuration_is_mended() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register().await;
    system.until_complete(&user).await;

    update(&system, &user, "keycloak_realm = 'elsewhere', mail_wanted = mail_wanted + 1, next_attempt_at = now()")
        .await;
    let row = system
        .until(&user, "the user waits", |row| row.claim_no >= 3 && row.attempts == 0 && row.leased_until.is_none())
        .await;
    assert_eq!(row.parked_reason, None);
    assert!(row.last_error.as_ref().is_some_and(|error| error.contains("elsewhere")), "{row:?}");
    let asked = [Endpoint::CreateUser, Endpoint::FindUser, Endpoint::SendMail];
    assert_eq!(asked.map(|endpoint| keycloak.requests(endpoint).len()), [1, 0, 1], "as before");

    update(&system, &user, "keycloak_realm = 'usher'").await;
    system.until_complete(&user).await;
    assert_eq!(keycloak.mails_to(&user.username).len(), 2);
    system.stop().await;
}

#[tokio::test]
async fn who_was_claimed_in_vain_too_often_is_parked() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = Plan::on(keycloak.access()).workers(0).set("PROVISION_MAX_ATTEMPTS", "3").start().await;
    let (spent, last) = (system.register().await, system.register().await);
    // As workers leave it that die in a run: nobody gave the attempts back.
    update(&system, &spent, "attempts = 3, next_attempt_at = now()").await;
    update(&system, &last, "attempts = 2, next_attempt_at = now()").await;
    system.start_worker().await;

    let row = system.until_parked(&spent).await;
    assert_eq!(row.parked_reason.as_deref(), Some("budget_spent"));
    assert_eq!(creates_of(&keycloak, &spent), 0, "what kills workers is not tried once more");
    system.until_complete(&last).await;
    system.stop().await;
}

#[tokio::test]
async fn an_answer_about_the_user_that_never_changes_uses_the_budget_up() {
    let keycloak = FakeKeycloak::start().await;
    // Somebody has the name, and nobody does.
    let taken = Fault::Status(Answer::refused(409, "User exists with same username"));
    keycloak.fail_always(Endpoint::CreateUser, taken);
    let system = Plan::on(keycloak.access()).set("PROVISION_MAX_ATTEMPTS", "3").start().await;
    let user = system.register().await;

    let row = system.until_parked(&user).await;

    assert_eq!((row.parked_reason.as_deref(), row.attempts), (Some("budget_spent"), 3));
    assert_eq!(creates_of(&keycloak, &user), 3);
    assert!(keycloak.users().is_empty());
    system.stop().await;
}

#[tokio::test]
async fn an_account_that_an_administrator_removed_is_not_made_again_for_a_mail() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register().await;
    let row = system.until_complete(&user).await;
    keycloak.delete_user(&row.keycloak_id.expect("the id is kept").to_string());

    update(&system, &user, "mail_wanted = mail_wanted + 1, next_attempt_at = now()").await;

    let row = system.until_parked(&user).await;
    assert_eq!(row.parked_reason.as_deref(), Some("gone_in_keycloak"));
    assert!(keycloak.users().is_empty());
    assert_eq!(creates_of(&keycloak, &user), 1, "only the first");
    system.stop().await;
}

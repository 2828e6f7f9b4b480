//! Asking for another mail: nobody learns who is registered, and nobody is mailed more than does good.

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::harness::{
    auth::Answer,
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Fault},
    keycloak::Realm,
    mail_catcher::MailCatcher,
    system::{PATIENCE, Plan, Registered, Row, System},
};

/// Who was named and whether that led to a mail, in order.
async fn log(system: &System) -> Vec<(Option<uuid::Uuid>, bool)> {
    let rows = sqlx::query_as("SELECT user_id, granted FROM mail_requests ORDER BY id");
    rows.fetch_all(system.pool()).await.expect("the log can be read")
}

async fn execute(system: &System, user: &Registered, sql: &str) {
    let done = sqlx::query(AssertSqlSafe(sql.to_owned())).bind(user.id).execute(system.pool()).await;
    assert_eq!(done.expect("the row can be changed").rows_affected(), 1, "{sql}");
}

/// As if a worker had just finished with the user.
const FINISHED: &str = "UPDATE users SET keycloak_id = gen_random_uuid(), keycloak_realm = 'usher', synced_at = now(),
                               mail_claimed = 1, mail_served = 1, mail_attempts = 1, mail_sent_at = now()
                         WHERE id = $1";

async fn by_name(system: &System, user: &Registered) -> u16 {
    system.request_mail(&json!({ "username": user.username })).await.status().as_u16()
}

async fn until_served(system: &System, user: &Registered, mails: i32) -> Row {
    let what = format!("{mails} mails were accepted");
    system.until(user, &what, |row| row.mail_served == mails && row.is_complete()).await
}

#[tokio::test]
async fn whoever_is_named_the_answer_is_the_same_and_one_row_is_written() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let (complete, parked, owed) = (system.register().await, system.register().await, system.register().await);
    execute(&system, &complete, FINISHED).await;
    execute(&system, &parked, "UPDATE users SET parked_at = now(), parked_reason = 'conflict' WHERE id = $1").await;

    let mut answers = Vec::new();
    for body in [
        json!({ "username": complete.username }),
        // In the cooldown, and by the other name.
        json!({ "email": complete.email.to_uppercase() }),
        json!({ "username": parked.username }),
        json!({ "username": owed.username }),
        json!({ "username": "nobody" }),
        json!({ "email": "nobody@example.org" }),
    ] {
        answers.push(Answer::of(system.post("/users/send-password-setup-email", &body)).await.without_ids());
    }
    assert_eq!(answers[0].0, 202);
    assert!(answers.iter().all(|answer| answer == &answers[0]), "{answers:#?}");

    let (complete, parked, owed) = (Some(complete.id), Some(parked.id), Some(owed.id));
    let expected = [(complete, true), (complete, false), (parked, false), (owed, false), (None, false), (None, false)];
    assert_eq!(log(&system).await, expected);
    let text: String = sqlx::query_scalar("SELECT string_agg(mail_requests::text, ' ') FROM mail_requests")
        .fetch_one(system.pool())
        .await
        .expect("the log can be read");
    assert!(!text.contains("nobody") && !text.contains("example"), "names stand in the log: {text}");
}

#[tokio::test]
async fn what_names_nobody_or_two_is_refused() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    for body in [json!({}), json!({ "username": "ada", "email": "ada@example.org" }), json!({ "username": "a b" })] {
        assert_eq!(system.request_mail(&body).await.status(), 422, "{body}");
    }
    assert_eq!(log(&system).await, []);
}

#[tokio::test]
async fn a_request_is_a_fact_on_the_row_and_an_event_with_ids_only() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let user = system.register().await;
    execute(&system, &user, FINISHED).await;
    // What an old run left behind; nothing is open, so the new request starts afresh.
    execute(&system, &user, "UPDATE users SET attempts = 3, last_error = 'x' WHERE id = $1").await;
    sqlx::query("DELETE FROM outbox").execute(system.pool()).await.expect("the outbox can be emptied");

    assert_eq!(by_name(&system, &user).await, 202);
    let row = system.row(&user).await;
    assert_eq!((row.mail_wanted, row.mail_served, row.attempts, row.last_error), (2, 1, 0, None));
    let (event_type, about, data): (String, uuid::Uuid, Value) =
        sqlx::query_as("SELECT event_type, user_id, data FROM outbox")
            .fetch_one(system.pool())
            .await
            .expect("one event");
    assert_eq!((event_type.as_str(), about), ("user.password-setup-requested", user.id));
    assert_eq!(data, json!({ "version": 1, "userId": user.id }));
}

#[tokio::test]
async fn of_many_requests_at_once_one_is_granted() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let user = system.register().await;
    execute(&system, &user, FINISHED).await;
    let answers = join_all((0..12).map(|_| by_name(&system, &user))).await;
    assert_eq!(answers, [202; 12]);
    assert_eq!(log(&system).await.iter().filter(|(_, granted)| *granted).count(), 1);
    assert_eq!((system.row(&user).await.mail_wanted, system.outbox_depth().await), (2, 2));
}

#[tokio::test]
async fn a_complete_user_gets_one_more_mail() {
    let keycloak = FakeKeycloak::start().await;
    // The sweep would come much later than the event.
    let system = Plan::on(keycloak.access()).set("SWEEP_INTERVAL", "1h").start().await;
    let user = system.register().await;
    system.until_complete(&user).await;
    assert_eq!(by_name(&system, &user).await, 202);
    until_served(&system, &user, 2).await;
    assert_eq!((keycloak.mails_to(&user.username).len(), keycloak.users().len()), (2, 1));
    system.stop().await;
}

#[tokio::test]
async fn the_real_keycloak_sends_another_mail() {
    let realm = Realm::shared();
    let system = Plan::on(realm.access()).start().await;
    let user = system.register().await;
    system.until_complete(&user).await;
    assert_eq!(system.request_mail(&json!({ "email": user.email })).await.status(), 202);
    until_served(&system, &user, 2).await;
    eventually("both mails are in the catcher", PATIENCE, async || {
        let mails = MailCatcher::shared().mails_to(&user.email).await.len();
        if mails == 2 { Ok(()) } else { Err(mails) }
    })
    .await;
    system.stop().await;
}

#[tokio::test]
async fn who_is_not_synced_yet_gets_one_mail_not_two() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    // Once before anybody has begun (nobody can: the first call is held), and once in the middle of the run.
    let mut making = keycloak.hold(Endpoint::CreateUser);
    let user = system.register().await;
    assert_eq!(by_name(&system, &user).await, 202);
    making.reached().await;
    assert_eq!(by_name(&system, &user).await, 202);
    assert_eq!(system.row(&user).await.mail_wanted, 1);
    making.release();
    system.until_complete(&user).await;
    assert_eq!(keycloak.mails_to(&user.username).len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn a_request_while_the_mail_leaves_is_served_next() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).set("MAIL_REQUEST_COOLDOWN", "1ms").start().await;
    let mut first = keycloak.hold(Endpoint::SendMail);
    let user = system.register().await;
    first.reached().await;
    // However many ask: the next mail answers all of them.
    for _ in 0..3 {
        assert_eq!(by_name(&system, &user).await, 202);
    }
    assert_eq!(system.row(&user).await.mail_wanted, 2);

    let mut second = keycloak.hold(Endpoint::SendMail);
    first.release();
    second.reached().await;
    assert_eq!(by_name(&system, &user).await, 202);
    second.release();
    until_served(&system, &user, 3).await;
    assert_eq!(keycloak.mails_to(&user.username).len(), 3);
    system.stop().await;
}

#[tokio::test]
async fn a_mail_that_left_before_does_not_answer_a_request_even_when_its_lease_has_ended() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).set("SWEEP_INTERVAL", "1h").start().await;
    let mut left = keycloak.hold_answer(Endpoint::SendMail);
    let user = system.register().await;
    left.reached().await;
    // Keycloak is slow, and nobody has taken the user over yet.
    execute(&system, &user, "UPDATE users SET leased_until = now() - interval '1 s' WHERE id = $1").await;

    assert_eq!(by_name(&system, &user).await, 202);
    assert_eq!(log(&system).await, [(Some(user.id), true)]);
    left.release();
    until_served(&system, &user, 2).await;
    assert_eq!(keycloak.mails_to(&user.username).len(), 2);
    system.stop().await;
}

#[tokio::test]
async fn a_mail_that_failed_while_it_was_asked_for_again_is_one_mail() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    keycloak.fail_next(Endpoint::SendMail, 1, Fault::mail_failed());
    let mut leaving = keycloak.hold(Endpoint::SendMail);
    let user = system.register().await;
    leaving.reached().await;
    assert_eq!(by_name(&system, &user).await, 202);
    leaving.release();
    until_served(&system, &user, 2).await;
    assert_eq!(keycloak.mails_to(&user.username).len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn a_request_never_shortens_a_backoff() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_always(Endpoint::SendMail, Fault::mail_failed());
    let system = Plan::on(keycloak.access())
        .set("PROVISION_SNOOZE", "10m")
        .set("PROVISION_RETRY_BASE", "10m")
        .set("PROVISION_RETRY_MAX", "10m");
    let system = system.start().await;
    let user = system.register().await;
    let before = system
        .until(&user, "the mail is postponed", |row| row.last_error.is_some() && row.leased_until.is_none())
        .await;
    assert_eq!(by_name(&system, &user).await, 202);
    assert_eq!(system.row(&user).await, before);
    assert_eq!(log(&system).await, [(Some(user.id), false)]);
    system.stop().await;
}

#[tokio::test]
async fn a_request_never_unparks() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let user = system.register().await;
    execute(&system, &user, FINISHED).await;
    execute(&system, &user, "UPDATE users SET parked_at = now(), parked_reason = 'mail_refused' WHERE id = $1").await;
    let before = system.row(&user).await;
    assert_eq!(by_name(&system, &user).await, 202);
    assert_eq!(system.row(&user).await, before);
    assert_eq!(system.outbox_depth().await, 1, "the event of the registration alone");
}

#[tokio::test]
async fn a_user_deleted_in_keycloak_is_parked_and_not_brought_back() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register().await;
    let row = system.until_complete(&user).await;
    keycloak.delete_user(&row.keycloak_id.expect("the id is kept").to_string());
    assert_eq!(by_name(&system, &user).await, 202);
    let row = system.until_parked(&user).await;
    assert_eq!(row.parked_reason.as_deref(), Some("gone_in_keycloak"));
    assert_eq!(keycloak.users().len(), 0);
    system.stop().await;
}

#[tokio::test]
async fn the_cooldown_ends_by_time_and_a_day_has_its_limit() {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).set("MAIL_REQUEST_COOLDOWN", "1m").set("MAIL_REQUEST_DAILY", "2");
    let system = plan.start().await;
    let user = system.register().await;
    system.until_complete(&user).await;
    let age = async |interval: &str| {
        let sql = format!("UPDATE mail_requests SET created_at = created_at - interval '{interval}'");
        sqlx::query(AssertSqlSafe(sql)).execute(system.pool()).await.expect("the log can be changed");
    };
    assert_eq!(by_name(&system, &user).await, 202);
    until_served(&system, &user, 2).await;
    age("55s").await;
    assert_eq!(by_name(&system, &user).await, 202);
    age("6s").await;
    assert_eq!(by_name(&system, &user).await, 202);
    until_served(&system, &user, 3).await;
    age("1h").await;
    assert_eq!(by_name(&system, &user).await, 202);
    let granted: Vec<bool> = log(&system).await.iter().map(|(_, granted)| *granted).collect();
    assert_eq!(granted, [true, false, true, false], "in the cooldown, and then the third of the day");
    system.stop().await;
}

#[tokio::test]
async fn a_cooldown_may_be_longer_than_a_day() {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).set("MAIL_REQUEST_COOLDOWN", "48h").set("MAIL_REQUEST_DAILY", "1");
    let system = plan.start().await;
    let user = system.register().await;
    system.until_complete(&user).await;
    for (age, expected) in [("47h", false), ("49h", true)] {
        let before = "DELETE FROM mail_requests; INSERT INTO mail_requests (target_hash, user_id, granted, created_at)";
        let sql = format!("{before} SELECT '', id, true, now() - interval '{age}' FROM users");
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(system.pool()).await.expect("the log can be changed");
        assert_eq!(by_name(&system, &user).await, 202);
        // The older one may be cleaned up by now.
        let granted = log(&system).await.last().map(|(_, granted)| *granted);
        assert_eq!(granted, Some(expected), "{age} after the last one");
    }
    system.stop().await;
}

#[tokio::test]
async fn old_requests_are_deleted_and_young_ones_stay() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let rows = "INSERT INTO mail_requests (target_hash, granted, created_at)
                SELECT '', false, now() - interval '25h' FROM generate_series(1, 1200)";
    sqlx::query(rows).execute(system.pool()).await.expect("rows can be inserted");
    let young =
        "INSERT INTO mail_requests (target_hash, granted, created_at) VALUES ('', false, now() - interval '23h')";
    sqlx::query(young).execute(system.pool()).await.expect("rows can be inserted");
    eventually("only the young one is left", PATIENCE, async || {
        let left = log(&system).await.len();
        if left == 1 { Ok(()) } else { Err(left) }
    })
    .await;
    system.stop().await;
}

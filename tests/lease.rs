//! The lease: whoever sleeps past it is overtaken, and changes nothing on waking up.

use lapin::BasicProperties;
use serde_json::json;
use sqlx::Executor as _;

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Answer, Endpoint, FakeKeycloak, Fault, Gate},
    process::{Binary, Process},
    system::{PATIENCE, Plan, Registered, Row, System},
};

/// A lease that is soon over, and calls that last long enough to be frozen in the middle on a busy machine.
fn plan(keycloak: &FakeKeycloak) -> Plan {
    let plan = Plan::on(keycloak.access()).hasty().workers(0).set("PROVISION_LEASE", "4s");
    plan.set("KEYCLOAK_TIMEOUT", "3s").set("KEYCLOAK_DEADLINE", "3s").set("MAIL_DEADLINE", "3s")
}

fn worker(system: &System) -> Process {
    Binary::worker().envs(system.settings()).start()
}

/// A worker sleeps while its call stands before `gate`, and another one does the work. Says what that one wrote.
async fn overtaken(system: &System, mut gate: Gate) -> (Registered, Row) {
    let mut sleeper = worker(system);
    let user = system.register().await;
    gate.reached().await;
    sleeper.freeze().await;
    let mut other = worker(system);
    let written = system.until_complete(&user).await;

    sleeper.thaw();
    gate.release();
    // It finishes what it takes for its own before it ends.
    assert!(sleeper.stop().await.success());
    assert_eq!(system.row(&user).await, written, "the sleeper changed what the other one wrote");
    assert!(other.stop().await.success());
    (user, written)
}

#[tokio::test]
async fn a_worker_that_sleeps_while_it_creates_an_account_is_overtaken() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(&keycloak).start().await;

    let (user, row) = overtaken(&system, keycloak.hold(Endpoint::CreateUser)).await;

    assert_eq!(row.claim_no, 2);
    assert_eq!(keycloak.users().len(), 1);
    assert_eq!((keycloak.mails_to(&user.username).len(), row.mail_attempts), (1, 1));
}

#[tokio::test]
async fn a_worker_that_sleeps_after_keycloak_created_the_account_is_overtaken() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(&keycloak).start().await;

    let (user, row) = overtaken(&system, keycloak.hold_answer(Endpoint::CreateUser)).await;

    assert_eq!(keycloak.users().len(), 1);
    assert_eq!((keycloak.mails_to(&user.username).len(), row.mail_attempts), (1, 1));
}

#[tokio::test]
async fn a_worker_that_sleeps_while_it_sends_a_mail_is_overtaken() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(&keycloak).start().await;

    let (user, row) = overtaken(&system, keycloak.hold(Endpoint::SendMail)).await;

    assert_eq!(keycloak.users().len(), 1);
    let mails = keycloak.mails_to(&user.username).len();
    assert_eq!((mails, row.mail_attempts), (2, 2), "the duplicate that cannot be helped is counted");
}

/// Time passes for the database.
async fn end_lease(system: &System, user: &Registered) {
    sqlx::query("UPDATE users SET leased_until = now() - interval '1 s', next_attempt_at = now() WHERE id = $1")
        .bind(user.id)
        .execute(system.pool())
        .await
        .expect("the row can be written");
}

/// The lease ends while a call stands before `gate`. When somebody else has finished the user, the call gets its answer,
/// in time for the caller: the number of the claim alone tells it that the user is not its own any more.
async fn late_answer(keycloak: &FakeKeycloak, mut gate: Gate, fault: Option<(Endpoint, Fault)>) -> (Registered, Row) {
    let mut system = Plan::on(keycloak.access()).workers(0).start().await;
    let worker = system.start_worker().await;
    let user = system.register().await;
    gate.reached().await;
    end_lease(&system, &user).await;
    let written = system.until_complete(&user).await;

    if let Some((endpoint, fault)) = fault {
        keycloak.fail_next(endpoint, 1, fault);
    }
    gate.release();
    assert!(worker.stop().await, "it finishes first");
    assert_eq!(system.row(&user).await, written, "an answer that came too late was written");
    (user, written)
}

#[tokio::test]
async fn an_account_that_is_made_too_late_is_not_written_and_gets_no_second_mail() {
    let keycloak = FakeKeycloak::start().await;
    let gate = keycloak.hold_answer(Endpoint::CreateUser);
    let (user, row) = late_answer(&keycloak, gate, None).await;
    assert_eq!(keycloak.users().len(), 1);
    assert_eq!((keycloak.mails_to(&user.username).len(), row.mail_attempts), (1, 1));
}

#[tokio::test]
async fn a_mail_that_is_accepted_too_late_is_not_written() {
    let keycloak = FakeKeycloak::start().await;
    let gate = keycloak.hold(Endpoint::SendMail);
    let (user, row) = late_answer(&keycloak, gate, None).await;
    assert_eq!((keycloak.mails_to(&user.username).len(), row.mail_attempts), (2, 2));
}

#[tokio::test]
async fn a_refusal_that_comes_too_late_parks_nobody() {
    let keycloak = FakeKeycloak::start().await;
    let gate = keycloak.hold(Endpoint::SendMail);
    let refusal = Fault::Status(Answer::refused(400, "User is disabled"));
    let (user, _) = late_answer(&keycloak, gate, Some((Endpoint::SendMail, refusal))).await;
    assert_eq!(keycloak.mails_to(&user.username).len(), 1);
}

#[tokio::test]
async fn a_failure_that_comes_too_late_takes_nobody_elses_lease_away() {
    let keycloak = FakeKeycloak::start().await;
    let (mut first, mut second) = (keycloak.hold(Endpoint::CreateUser), keycloak.hold(Endpoint::CreateUser));
    let plan = Plan::on(keycloak.access()).workers(0).set("KEYCLOAK_TIMEOUT", "14s");
    // It is told of the user by the event, and does not look for anybody: whoever comes second is somebody else.
    let mut system = plan.set("SWEEP_INTERVAL", "1h").start().await;
    let mut late = worker(&system);
    let user = system.register().await;
    first.reached().await;
    end_lease(&system, &user).await;
    system.start_worker().await;
    second.reached().await;
    let claimed = system.row(&user).await;

    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::too_many_requests(1));
    first.release();
    assert!(late.stop().await.success());
    assert_eq!(system.row(&user).await, claimed, "the other one's lease and attempt are as they were");

    second.release();
    assert_eq!(system.until_complete(&user).await.claim_no, 2);
    system.stop().await;
}

#[tokio::test]
async fn no_mail_leaves_on_a_lease_that_waiting_has_used_up() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = plan(&keycloak).start().await;
    // A database that is slow at the worst moment: the try is being counted, and the mail leaves next.
    let slow = "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql
                    AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END';
                CREATE TRIGGER wait BEFORE UPDATE ON users FOR EACH ROW
                    WHEN (NEW.mail_attempts > OLD.mail_attempts) EXECUTE FUNCTION wait()";
    system.pool().execute(slow).await.expect("the table is ours");
    let mut slowness = system.pool().begin().await.expect("a transaction");
    slowness.execute("SELECT pg_advisory_xact_lock(1)").await.expect("nobody else locks");
    let user = system.register().await;
    system.start_worker().await;
    system.until(&user, "the account is there", |row| row.synced_at.is_some()).await;
    eventually("the lease is used up", PATIENCE, async || {
        let is_over = sqlx::query_scalar::<_, bool>("SELECT leased_until < now() FROM users WHERE id = $1");
        is_over.bind(user.id).fetch_one(system.pool()).await.expect("the row can be read")
    })
    .await;
    slowness.rollback().await.expect("the lock can be left");

    let row = system.until_complete(&user).await;
    assert_eq!((keycloak.mails_to(&user.username).len(), row.mail_attempts), (1, 2), "the first try sent nothing");
    system.stop().await;
}

#[tokio::test]
async fn while_one_run_works_on_a_user_no_other_begins() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = Plan::on(keycloak.access()).workers(0).set("PROVISION_CONCURRENCY", "2").start().await;
    let worker = system.start_worker().await;
    let mut creating = keycloak.hold(Endpoint::CreateUser);
    let user = system.register().await;
    creating.reached().await;
    sqlx::query("UPDATE users SET next_attempt_at = now() WHERE id = $1")
        .bind(user.id)
        .execute(system.pool())
        .await
        .expect("the row can be written");

    let probe = system.vhost.probe().await;
    let event = json!({ "version": 1, "userId": user.id }).to_string();
    for _ in 0..3 {
        probe.publish("usher.events", "user.created", event.as_bytes(), BasicProperties::default()).await;
    }
    // Two messages at a time are fetched, and the user's own is one of them: the last one follows those that are done.
    let fetched = async || probe.depth("usher.user-created").await == Some(0);
    eventually("two duplicates are done", PATIENCE, fetched).await;
    creating.release();

    let row = system.until_complete(&user).await;
    assert!(worker.stop().await, "it finishes first");
    assert_eq!(system.row(&user).await, row);
    assert_eq!((row.claim_no, row.mail_attempts), (1, 1));
    assert_eq!(keycloak.requests(Endpoint::CreateUser).len(), 1);
}

#[tokio::test]
async fn what_a_killed_worker_left_half_done_is_finished() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(&keycloak).start().await;
    let mut created = keycloak.hold_answer(Endpoint::CreateUser);
    let mut victim = worker(&system);
    let user = system.register().await;
    created.reached().await;
    victim.kill().await;
    let row = system.row(&user).await;
    assert_eq!((row.synced_at, keycloak.users().len()), (None, 1), "created and not marked");

    let mut other = worker(&system);
    let row = system.until_complete(&user).await;

    assert_eq!(keycloak.users().len(), 1);
    assert_eq!((keycloak.mails_to(&user.username).len(), row.mail_attempts), (1, 1));
    assert!(other.stop().await.success());
}

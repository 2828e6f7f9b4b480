//! PostgreSQL is killed, restarted, full, exhausted, or refuses a transaction.
//!
//! What the api answers while the line to it is cut, hangs or may only be read stands in `database` and `network`.

use futures_util::future::join_all;
use sqlx::Executor as _;

use super::scene::{Scene, by_events_alone, count};
use crate::harness::{
    database::Database,
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak},
    metrics::metric,
    own_postgres::OwnPostgres,
    process::{Binary, Process},
    rabbit::Vhost,
    readiness,
    reserved_port::ReservedPort,
    system::{PATIENCE, Plan, System},
    witness::{Beyond, Witness},
};

/// People register all the time while the server ends and starts again. Whoever got a 201 is there; who did not, asks
/// again with the same key.
async fn ends_under_load(end: impl AsyncFnOnce(&mut OwnPostgres)) {
    let keycloak = FakeKeycloak::start().await;
    let mut postgres = OwnPostgres::start().await;
    let database = Database::at(&postgres.url()).await;
    let ops = ReservedPort::new();
    let plan = Plan::on(keycloak.access()).set("API_OPS_LISTEN", &ops.address().to_string());
    let system = plan.start_with(database, Vhost::create().await).await;
    let mut witness = Witness::of(&system);
    let names = witness.usernames(24);
    let api = system.api_url();

    let people = witness.register(&api, &names);
    let fault = async {
        eventually("somebody is registered", PATIENCE, async || count(&system, "true").await > 0).await;
        end(&mut postgres).await;
        readiness::until_status(ops.address(), 503, PATIENCE).await;
        postgres.start_again().await;
        readiness::until_status(ops.address(), 200, PATIENCE).await;
    };
    tokio::join!(people, fault);

    // Who was being mailed just then may get a second one.
    witness.sends_were_cut_off().await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.acknowledged, report.provisioned), (24, 24), "{report}");
    system.stop().await;
}

#[tokio::test]
async fn postgresql_is_killed_under_load() {
    ends_under_load(async |postgres| postgres.kill().await).await;
}

#[tokio::test]
async fn postgresql_is_restarted_at_once_under_load() {
    ends_under_load(async |postgres| postgres.stop_immediately().await).await;
}

/// The disk is full, and then it is not. The error is the server's own, raised by a trigger: no disk is filled here.
#[tokio::test]
async fn the_disk_is_full_sqlstate_53100() {
    refuses_writes("53100", 503).await;
}

/// Two transactions locked each other out, and the server ended ours. Injected by a trigger.
#[tokio::test]
async fn a_deadlock_sqlstate_40p01() {
    refuses_writes("40P01", 503).await;
}

/// Injected by a trigger: Usher's own statements run at an isolation where the server raises none.
#[tokio::test]
async fn a_serialization_failure_sqlstate_40001() {
    refuses_writes("40001", 503).await;
}

/// A mail server has the mail, and just then every write fails. Nobody is mailed again for that: the run keeps the user
/// until it could write it down.
#[tokio::test]
async fn a_mail_is_accepted_and_the_database_stumbles() {
    let keycloak = FakeKeycloak::start().await;
    // By then a run that had given up would be followed by another one.
    let plan = Plan::on(keycloak.access()).hasty();
    let scene = Scene::set(plan, Vhost::create().await, keycloak).await;
    let mut sending = scene.keycloak.hold(Endpoint::SendMail);
    scene.register(1).await;
    sending.reached().await;
    refuse(&scene.system, "53100").await;
    sending.release();
    scene.worker.until_output_has("not written down yet").await;
    refuse_no_more(&scene.system).await;
    let report = scene.all_is_well().await;
    assert_eq!((report.provisioned, report.mails), (1, 1), "{report}");
}

/// Every write to `users` fails with this SQLSTATE.
async fn refuse(system: &System, state: &str) {
    let trigger = format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql
             AS 'BEGIN RAISE EXCEPTION ''injected'' USING ERRCODE = ''{state}''; END';
         CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION refuse()"
    );
    system.pool().execute(sqlx::AssertSqlSafe(trigger)).await.expect("the table is ours");
}

async fn refuse_no_more(system: &System) {
    system.pool().execute("DROP TRIGGER refuse ON users").await.expect("the table is ours");
}

/// Registers by way of an api of its own process, which an operator can look at.
async fn behind_an_api(system: System) -> (System, Process, ReservedPort) {
    let ops = ReservedPort::new();
    let api = Binary::api().envs(system.settings()).env("LOG_FORMAT", "json");
    let api = api.env("API_OPS_LISTEN", ops.address().to_string()).start();
    (system.by_way_of(&api).await, api, ops)
}

/// So many registrations were answered 503, and the api has said why.
async fn operator_sees(api: &Process, ops: &ReservedPort, unavailable: usize, why: &str) {
    let counted = metric(ops, "usher_registrations_total", &[r#"outcome="unavailable""#]).await;
    assert_eq!(usize::try_from(counted), Ok(unavailable));
    let output = api.output();
    let told = output.lines().filter(|line| line.contains("a request could not be answered") && line.contains(why));
    assert_eq!(told.count(), unavailable, "{output}");
}

/// While every write to `users` fails so, nobody is registered and nobody is half registered; those who are there wait.
async fn refuses_writes(state: &str, answered: u16) {
    let keycloak = FakeKeycloak::start().await;
    let (system, mut process, ops) = behind_an_api(Plan::on(keycloak.access()).start().await).await;
    let witness = Witness::of(&system);
    let names = witness.usernames(9);
    let api = system.api_url();
    let mut creating = keycloak.hold(Endpoint::CreateUser);
    witness.register(&api, &names[..3]).await;
    creating.reached().await;

    refuse(&system, state).await;
    creating.release();
    for name in &names[3..6] {
        assert_eq!(system.try_register(name, &format!("{name}@example.org")).await, answered, "a clear answer");
    }
    let (users, events): (i64, i64) = sqlx::query_as(
        "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM outbox WHERE user_id NOT IN (SELECT id FROM users))",
    )
    .fetch_one(system.pool())
    .await
    .expect("the rows can be counted");
    assert_eq!((users, events), (3, 0), "no half of anybody");
    operator_sees(&process, &ops, 3, "injected").await;
    refuse_no_more(&system).await;

    witness.register(&api, &names[3..]).await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails), (9, 9), "{report}");
    assert!(process.stop().await.success());
    system.stop().await;
}

/// A forgotten transaction holds a lock, and every connection of the api waits for it.
#[tokio::test]
async fn every_connection_is_taken() {
    let keycloak = FakeKeycloak::start().await;
    let (system, mut api, ops) = behind_an_api(Plan::on(keycloak.access()).start().await).await;
    let witness = Witness::of(&system);
    let names = witness.usernames(12);
    let mut forgotten = system.pool().begin().await.expect("a transaction");
    forgotten.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE").await.expect("the table is ours");

    let addresses = names.iter().map(|name| format!("{name}@example.org")).collect::<Vec<_>>();
    let tries = names.iter().zip(&addresses).take(8).map(|(name, address)| system.try_register(name, address));
    let connections = [r#"pool_name="requests""#, r#"state="used""#];
    let all_taken = async || metric(&ops, "db_client_connection_count", &connections).await >= 5;
    let seen = eventually("an operator sees that all are used", PATIENCE, all_taken);
    let (answers, ()) = tokio::join!(join_all(tries), seen);
    assert!(answers.iter().all(|status| *status == 503), "{answers:?}");
    operator_sees(&api, &ops, 8, "the database").await;
    forgotten.rollback().await.expect("the lock can be left");

    witness.register(&system.api_url(), &names).await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!(report.provisioned, 12, "{report}");
    assert!(api.stop().await.success());
    system.stop().await;
}

/// A relay sleeps with its claim open. The server ends its session, as it does by itself after
/// `idle_in_transaction_session_timeout`; another relay publishes, and the sleeper, awake again, goes on.
#[tokio::test]
async fn a_relay_sleeps_with_its_claim_open() {
    let keycloak = FakeKeycloak::start().await;
    // Only events lead to a worker here.
    let mut system = by_events_alone(&keycloak).workers(0).start().await;
    let witness = Witness::of(&system);
    let names = witness.usernames(6);
    let mut sleeper = Binary::worker().arg("run").envs(system.settings()).start();
    sleeper.until_output_has("connected to the broker").await;
    // It reads the outbox, and gets no further.
    let mut gate = system.pool().begin().await.expect("a transaction");
    gate.execute("LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE").await.expect("the table is ours");
    let waiting = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'
                      AND query LIKE '%DELETE FROM outbox%'";
    let claim: i32 = eventually("the relay reads the outbox", PATIENCE, async || {
        // Not in the transaction, which would be shown what was when it first looked.
        sqlx::query_scalar(waiting).fetch_optional(system.pool()).await.expect("the server tells")
    })
    .await;
    sleeper.freeze().await;
    gate.rollback().await.expect("the lock can be left");
    witness.register(&system.api_url(), &names).await;

    sqlx::query("SELECT pg_terminate_backend($1)")
        .bind(claim)
        .execute(system.pool())
        .await
        .expect("sessions can be ended");
    let other = system.start_worker().await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails), (6, 6), "{report}");

    sleeper.thaw();
    assert!(other.stop().await);
    let late = witness.usernames(8);
    witness.register(&system.api_url(), &late[6..]).await;
    assert_eq!(witness.all_is_well(Beyond::Fake(&keycloak)).await.provisioned, 8, "the sleeper serves them");
    assert!(sleeper.stop().await.success());
    system.stop().await;
}

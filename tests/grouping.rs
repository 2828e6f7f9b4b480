//! Registrations in groups: what is written together is not fated together.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use sqlx::{Executor as _, PgTransaction};
use tokio::time::timeout;
use uuid::Uuid;

use crate::harness::{
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    rabbit::Vhost,
    system::{PATIENCE, Plan, System},
};

/// One writer, which one registration keeps busy: all others form groups.
async fn one_writer() -> Plan {
    let keycloak = FakeKeycloak::start().await;
    Plan::on(keycloak.access()).workers(0).set("API_REGISTER_WRITERS", "1")
}

fn body(username: &str, email: &str) -> Value {
    json!({ "username": username, "email": email, "firstName": "Ada", "lastName": "Lovelace" })
}

async fn status(system: &System, username: &str, email: &str) -> u16 {
    let answer = system.post("/users/register", &body(username, email)).send().await.expect("the api answers");
    answer.status().as_u16()
}

/// Somebody else's registration with this username, not yet committed.
pub(crate) async fn being_taken(system: &System, username: &str) -> PgTransaction<'static> {
    let mut transaction = system.pool().begin().await.expect("a transaction begins");
    sqlx::query(
        "INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at)
         VALUES ($1, $2, $2 || '@elsewhere.example', 'Ada', 'Lovelace', now())",
    )
    .bind(Uuid::now_v7())
    .bind(username)
    .execute(&mut *transaction)
    .await
    .expect("the row is free");
    transaction
}

/// How many registrations wait for somebody else's commit.
pub(crate) async fn until_waiting(system: &System, statements: i64) {
    eventually("registrations wait", PATIENCE, async || {
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_stat_activity
              WHERE datname = current_database() AND wait_event = 'transactionid' AND application_name = 'usher-api'",
        )
        .fetch_one(system.pool())
        .await
        .expect("the server tells what it does");
        if waiting >= statements { Ok(()) } else { Err(waiting) }
    })
    .await;
}

/// Every user has one event, and no event is without its user.
async fn events_match(system: &System) {
    let odd: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM (SELECT user_id AS id, count(*) AS n FROM outbox GROUP BY 1) AS events
           FULL JOIN users USING (id) WHERE n IS DISTINCT FROM 1 OR users.username IS NULL",
    )
    .fetch_one(system.pool())
    .await
    .expect("events can be counted");
    assert_eq!(odd, 0, "users and events do not match");
}

/// In how many transactions the users were written whose names begin so.
async fn commits(system: &System, prefix: &str) -> i64 {
    sqlx::query_scalar("SELECT count(DISTINCT xmin::text) FROM users WHERE starts_with(username, $1)")
        .bind(prefix)
        .fetch_one(system.pool())
        .await
        .expect("commits can be counted")
}

#[tokio::test]
async fn one_who_has_to_wait_keeps_nobody_else() {
    let system = one_writer().await.start().await;
    let (first, second) = (being_taken(&system, "first").await, being_taken(&system, "second").await);
    let others: Vec<String> = (0..8).map(|n| format!("other{n}")).collect();
    // Takes the one writer, and waits.
    let blocking = status(&system, "first", "first@example.org");
    let crowd = async {
        until_waiting(&system, 1).await;
        let others = others.iter().map(|name| (name, format!("{name}@example.org")));
        let others = join_all(others.map(async |(name, email)| status(&system, name, &email).await));
        let waits = status(&system, "second", "second@example.org");
        let answered = async {
            // While both transactions are open: less than a statement may wait.
            let others = timeout(Duration::from_secs(2), others).await.expect("others are kept waiting");
            assert_eq!(others, [201; 8]);
            first.rollback().await.expect("it can be rolled back");
            second.commit().await.expect("it can be committed");
        };
        tokio::join!(waits, answered).0
    };
    let (blocking, waits) = tokio::join!(blocking, crowd);
    assert_eq!((blocking, waits), (201, 409), "the name of one came free, that of the other is taken");
    sqlx::query("DELETE FROM users WHERE email LIKE '%elsewhere.example'").execute(system.pool()).await.expect("gone");
    events_match(&system).await;
    system.stop().await;
}

/// Each of two apis is asked for users whose names and addresses the other is asked for in another order. Groups of both
/// meet, wait for each other, and are done again one by one.
#[tokio::test]
async fn groups_of_two_replicas_that_cross_end_well() {
    let vhost = Vhost::create().await;
    let one = one_writer().await.set("DATABASE_MAX_CONNECTIONS", "8").start_on(vhost).await;
    let other = one_writer().await.set("DATABASE_URL", &one.database.url()).set("DATABASE_MAX_CONNECTIONS", "8");
    let other = other.start().await;
    for round in 0..10 {
        let pairs: Vec<[String; 2]> = (0..8).map(|n| ["n", "m"].map(|it| format!("{it}{round}-{n}"))).collect();
        let straight = pairs.iter().map(|[name, mail]| (&one, name.clone(), format!("{mail}@example.org")));
        let crossing = pairs.iter().zip(pairs.iter().rev());
        let crossing =
            crossing.map(|([name, _], [_, mail])| (&other, format!("x{name}"), format!("{mail}@example.org")));
        let asked = straight.chain(crossing).map(async |(api, name, mail)| status(api, &name, &mail).await);
        let mut answers = join_all(asked).await;
        answers.sort_unstable();
        assert_eq!(answers, [[201; 8], [409; 8]].concat(), "one of two gets each address, whoever it is");
    }
    events_match(&one).await;
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(one.pool()).await.expect("a count");
    assert_eq!(users, 80);
    other.stop().await;
    one.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_takes_nobody_along() {
    let system = one_writer().await.start().await;
    let taken = being_taken(&system, "ada").await;
    let others: Vec<String> = (0..8).map(|n| format!("other{n}")).collect();
    let blocking = status(&system, "ada", "ada@example.org");
    let crowd = async {
        until_waiting(&system, 1).await;
        let gone = timeout(Duration::from_millis(5), status(&system, "gone", "gone@example.org"));
        let others = others.iter().map(|name| (name, format!("{name}@example.org")));
        let others = join_all(others.map(async |(name, email)| status(&system, name, &email).await));
        let (others, _whatever) = tokio::join!(others, gone);
        assert_eq!(others, [201; 8]);
        assert!(commits(&system, "other").await < 8, "nobody was written together with anybody");
        taken.rollback().await.expect("it can be rolled back");
    };
    let (blocking, ()) = tokio::join!(blocking, crowd);
    assert_eq!(blocking, 201);
    events_match(&system).await;
    // Whether that one was registered is not known, but the name is neither lost nor given away twice.
    assert!([201, 409].contains(&status(&system, "gone", "gone@example.org").await));
    events_match(&system).await;
    system.stop().await;
}

#[tokio::test]
async fn a_group_that_the_server_refuses_is_done_again_one_by_one() {
    let system = one_writer().await.start().await;
    system
        .pool()
        .execute("ALTER TABLE users ADD CONSTRAINT not_this_one CHECK (username <> 'other3')")
        .await
        .expect("the table is ours");
    let taken = being_taken(&system, "ada").await;
    let blocking = status(&system, "ada", "ada@example.org");
    let crowd = async {
        until_waiting(&system, 1).await;
        let others = (0..8).map(|n| (format!("other{n}"), format!("other{n}@example.org")));
        let others = join_all(others.map(async |(name, email)| status(&system, &name, &email).await)).await;
        taken.rollback().await.expect("it can be rolled back");
        others
    };
    let (blocking, others) = tokio::join!(blocking, crowd);
    assert_eq!(blocking, 201);
    assert!(others[3] >= 500, "{others:?}");
    assert_eq!(others.iter().filter(|status| **status == 201).count(), 7, "{others:?}");
    assert_eq!(commits(&system, "other").await, 7, "nobody was written together with the refused");
    events_match(&system).await;
    system.stop().await;
}

//! Idempotency keys: who gets no answer to a registration can ask again, and is told the same.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Response;
use serde_json::{Value, json};
use shared::domain::{email::EmailAddress, name::PersonName, user::NewUser, username::Username};
use sqlx::postgres::PgListener;
use uuid::Uuid;

use crate::{
    grouping::{being_taken, until_waiting},
    harness::{
        database::Database,
        eventually::{eventually, promptly},
        fake_keycloak::FakeKeycloak,
        process::Binary,
        proxy::Proxy,
        rabbit::Vhost,
        system::{PATIENCE, Plan, System},
    },
};

const KEY: &str = "8e03978e-40d5-43dd-bc93-6894a57f9324";

async fn api_alone() -> System {
    let keycloak = FakeKeycloak::start().await;
    Plan::on(keycloak.access()).workers(0).set("CLEANUP_INTERVAL", "1h").start().await
}

fn ada(username: &str) -> Value {
    json!({
        "username": username, "email": format!("{username}@example.org"), "firstName": "Ada", "lastName": "Lovelace"
    })
}

async fn register(system: &System, key: &str, body: &Value) -> Answer {
    let answer = system.post("/users/register", body).header("idempotency-key", key).send().await;
    Answer::read(answer.expect("the api answers")).await
}

#[derive(Debug, PartialEq)]
struct Answer {
    status: u16,
    location: Option<String>,
    replayed: bool,
    body: Value,
}

impl Answer {
    async fn read(answer: Response) -> Self {
        let header = |name| answer.headers().get(name).map(|value| value.to_str().expect("ASCII").to_owned());
        let (status, location) = (answer.status().as_u16(), header("location"));
        let replayed = header("idempotent-replayed").is_some_and(|value| value == "true");
        Self { status, location, replayed, body: answer.json().await.expect("JSON") }
    }
}

async fn counts(system: &System) -> (i64, i64, i64) {
    let counts = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM outbox),
                         (SELECT count(*) FROM idempotency_keys)";
    sqlx::query_as(counts).fetch_one(system.pool()).await.expect("rows can be counted")
}

#[tokio::test]
async fn the_same_request_gets_the_same_answer_again() {
    let system = api_alone().await;
    let first = register(&system, KEY, &ada("ada")).await;
    assert_eq!((first.status, first.replayed), (201, false));
    // What is parsed to the same is the same.
    let mut again = ada("ada");
    again["username"] = json!("ADA");
    let second = register(&system, KEY, &again).await;
    assert_eq!(second, Answer { replayed: true, ..first });
    assert_eq!(counts(&system).await, (1, 1, 1));
    let kept: String = sqlx::query_scalar("SELECT idempotency_keys::text FROM idempotency_keys")
        .fetch_one(system.pool())
        .await
        .expect("one key");
    assert!(!kept.contains(KEY) && !kept.contains("ada"), "{kept}");
}

#[tokio::test]
async fn without_the_key_the_same_request_is_told_that_the_name_is_taken() {
    let system = api_alone().await;
    register(&system, KEY, &ada("ada")).await;
    assert_eq!(system.try_register("ada", "ada@example.org").await, 409);
    assert_eq!(register(&system, "another", &ada("ada")).await.status, 409);
    assert_eq!(counts(&system).await, (1, 1, 1));
}

#[tokio::test]
async fn a_key_is_good_for_one_body() {
    let system = api_alone().await;
    register(&system, KEY, &ada("ada")).await;
    for other in ["bob", "carol"] {
        let answer = register(&system, KEY, &ada(other)).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (422, Some("idempotency_key_reused")));
    }
    assert_eq!(counts(&system).await, (1, 1, 1));
}

#[tokio::test]
async fn only_what_was_committed_binds_a_key() {
    let system = api_alone().await;
    system.register_as("ada").await;
    assert_eq!(register(&system, KEY, &ada("ada")).await.status, 409);
    assert_eq!(register(&system, KEY, &json!({})).await.status, 422);
    let answer = register(&system, KEY, &ada("bob")).await;
    assert_eq!((answer.status, answer.replayed), (201, false));
}

#[tokio::test]
async fn of_many_with_one_key_at_once_one_registers_and_all_get_its_answer() {
    let system = api_alone().await;
    let body = ada("ada");
    let answers = join_all((0..12).map(|_| register(&system, KEY, &body))).await;
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1, "{answers:?}");
    let first = &answers[0];
    assert!(answers.iter().all(|it| it.status == 201 && it.body == first.body && it.location == first.location));
    assert_eq!(counts(&system).await, (1, 1, 1));
}

#[tokio::test]
async fn of_many_bodies_with_one_key_at_once_one_is_registered() {
    let system = api_alone().await;
    let bodies: Vec<Value> = (0..12).map(|n| ada(&format!("ada{n}"))).collect();
    let answers = join_all(bodies.iter().map(|body| register(&system, KEY, body))).await;
    let count = |status| answers.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(201), count(422)), (1, 11), "{answers:?}");
    assert_eq!(counts(&system).await, (1, 1, 1));
}

fn new_user(username: &str) -> NewUser {
    NewUser {
        username: Username::parse(username).expect("a username"),
        email: EmailAddress::parse(&format!("{username}@example.org")).expect("an address"),
        first_name: PersonName::parse("Ada").expect("a name"),
        last_name: PersonName::parse("Lovelace").expect("a name"),
        locale: None,
    }
}

/// What another api would have written so far, and not committed.
async fn begin_registration(system: &System, of: &str, username: &str) -> (sqlx::PgTransaction<'static>, Uuid) {
    let (mut transaction, id) = (system.pool().begin().await.expect("a transaction"), Uuid::now_v7());
    let user = "INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at)
                VALUES ($1, $2, $2 || '@example.org', 'Ada', 'Lovelace', now())";
    sqlx::query(user).bind(id).bind(username).execute(&mut *transaction).await.expect("a user");
    let key = "INSERT INTO idempotency_keys (key_hash, fingerprint, user_id, created_at, expires_at)
               VALUES (sha256($1::bytea), $2, $3, now(), now() + interval '1h')";
    let key = sqlx::query(key).bind(of.as_bytes()).bind(&new_user(username).fingerprint()[..]).bind(id);
    key.execute(&mut *transaction).await.expect("a key");
    (transaction, id)
}

/// Returns once somebody waits for a lock in this database.
async fn until_somebody_waits(system: &System) {
    eventually("a registration waits for the other", PATIENCE, async || {
        let waiting = "SELECT count(*) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event_type = 'Lock'";
        let waiting: i64 =
            sqlx::query_scalar(waiting).fetch_one(system.pool()).await.expect("the activity can be read");
        waiting > 0
    })
    .await;
}

#[tokio::test]
async fn whoever_comes_second_waits_for_the_first() {
    let system = api_alone().await;
    let (first, id) = begin_registration(&system, KEY, "ada").await;
    let (body, commit) = (ada("ada"), async {
        until_somebody_waits(&system).await;
        first.commit().await.expect("the first commits");
    });
    let (answer, ()) = tokio::join!(register(&system, KEY, &body), commit);
    assert_eq!((answer.status, answer.replayed), (201, true), "{answer:?}");
    assert_eq!(answer.body["id"], json!(id));

    let (first, _) = begin_registration_anew(&system).await;
    let (body, roll_back) = (ada("bob"), async {
        until_somebody_waits(&system).await;
        first.rollback().await.expect("the first gives up");
    });
    let (answer, ()) = tokio::join!(register(&system, KEY, &body), roll_back);
    assert_eq!((answer.status, answer.replayed), (201, false), "{answer:?}");
}

async fn begin_registration_anew(system: &System) -> (sqlx::PgTransaction<'static>, Uuid) {
    sqlx::query("DELETE FROM idempotency_keys").execute(system.pool()).await.expect("the keys can be deleted");
    begin_registration(system, KEY, "bob").await
}

#[tokio::test]
async fn nobody_waits_for_ever() {
    let system = api_alone().await;
    let (first, _) = begin_registration(&system, KEY, "ada").await;
    let answer = promptly(Duration::from_secs(3), register(&system, KEY, &ada("ada"))).await;
    assert_eq!((answer.status, answer.body["code"].as_str()), (503, Some("unavailable")));
    drop(first);
}

#[tokio::test]
async fn an_api_that_dies_leaves_either_everything_or_nothing() {
    let system = api_alone().await;
    let mut api = Binary::api().envs(system.settings()).env("LOG_FORMAT", "json").start();
    let system = system.by_way_of(&api).await;
    let first = register(&system, KEY, &ada("ada")).await;
    assert_eq!(first.status, 201);

    // The next one dies in the middle of its statement.
    let (blocker, _) = begin_registration(&system, "of-another", "bob").await;
    let (body, kill) = (ada("bob"), async {
        until_somebody_waits(&system).await;
        api.kill().await;
    });
    let request = system.post("/users/register", &body).header("idempotency-key", "of-bob").send();
    let (answer, ()) = tokio::join!(request, kill);
    answer.expect_err("nobody is left to answer");
    blocker.rollback().await.expect("the other gives up");

    let api = Binary::api().envs(system.settings()).env("LOG_FORMAT", "json").start();
    let system = system.by_way_of(&api).await;
    assert_eq!(register(&system, KEY, &ada("ada")).await, Answer { replayed: true, ..first });
    let bob = register(&system, "of-bob", &body).await;
    assert_eq!(bob.status, 201, "{bob:?}");
    assert_eq!(counts(&system).await, (2, 2, 2));
}

#[tokio::test]
async fn an_expired_key_is_worth_nothing_and_is_deleted() {
    let system = api_alone().await;
    register(&system, KEY, &ada("ada")).await;
    let expire = "UPDATE idempotency_keys SET expires_at = now()";
    sqlx::query(expire).execute(system.pool()).await.expect("the key can be changed");
    assert_eq!(register(&system, KEY, &ada("ada")).await.status, 409, "the name is taken, as without a key");
    let answer = register(&system, KEY, &ada("bob")).await;
    assert_eq!((answer.status, answer.replayed), (201, false));

    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).set("IDEMPOTENCY_TTL", "1ms").start().await;
    register(&system, KEY, &ada("ada")).await;
    eventually("the key is deleted", PATIENCE, async || counts(&system).await == (1, 1, 0)).await;
    system.stop().await;
}

#[tokio::test]
async fn what_is_no_key_is_refused() {
    let system = api_alone().await;
    let too_long = "k".repeat(256);
    for key in ["", "a b", &too_long] {
        let answer = register(&system, key, &ada("ada")).await;
        assert_eq!((answer.status, answer.body["code"].as_str()), (400, Some("invalid_idempotency_key")), "{key}");
    }
    let two = system.post("/users/register", &ada("ada")).header("idempotency-key", "a").header("idempotency-key", "b");
    assert_eq!(two.send().await.expect("the api answers").status(), 400);
    assert_eq!(register(&system, &"k".repeat(255), &ada("ada")).await.status, 201);
}

/// The line to the database is lost between the commit and its answer. The api asks again, and what it finds is its own:
/// nobody was answered before, and the relay has not been told yet.
#[tokio::test]
async fn an_answer_that_is_lost_before_the_api_has_it_was_given_to_nobody() {
    let (keycloak, database) = (FakeKeycloak::start().await, Database::create().await);
    let line = Proxy::start(&database.url()).await;
    let plan = Plan::on(keycloak.access()).workers(0).set("CLEANUP_INTERVAL", "1h").set("DATABASE_URL", &line.url());
    let system = plan.start_with(database, Vhost::create().await).await;
    let mut bell = PgListener::connect(&system.database.url()).await.expect("the server is there");
    bell.listen("usher_outbox").await.expect("anybody may listen");
    let somebody = being_taken(&system, "ada").await;
    let (body, lose_the_answer) = (ada("ada"), async {
        until_waiting(&system, 1).await;
        line.stall();
        somebody.rollback().await.expect("it can be rolled back");
        eventually("ada is committed", PATIENCE, async || counts(&system).await == (1, 1, 1)).await;
        line.cut().await;
        line.restore().await;
    });
    let (answer, ()) = tokio::join!(register(&system, KEY, &body), lose_the_answer);
    assert_eq!((answer.status, answer.replayed), (201, false), "{answer:?}");
    assert_eq!(counts(&system).await, (1, 1, 1));
    promptly(Duration::from_secs(2), bell.recv()).await.expect("a ring");
    assert!(register(&system, KEY, &body).await.replayed);
    system.stop().await;
}

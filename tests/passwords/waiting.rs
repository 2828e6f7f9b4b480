//! How it is taken, and how it waits for the account: sealed, for a while, and nowhere else.

use redis::AsyncCommands as _;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{CHOSEN, body, connect, how_many, name, plan, register, send, state};
use crate::{
    grouping::{being_taken, until_waiting},
    harness::{
        database::Database,
        eventually::eventually,
        fake_keycloak::{Endpoint, FakeKeycloak},
        http,
        process::Binary,
        proxy::Proxy,
        rabbit::Vhost,
        reserved_port::ReservedPort,
        stack::Stack,
        system::{PATIENCE, Plan, Registered, System},
    },
};

#[tokio::test]
async fn without_redis_a_password_is_refused_and_everybody_else_is_registered() {
    let (keycloak, nobody) = (FakeKeycloak::start().await, ReservedPort::new());
    let address = format!("redis://127.0.0.1:{}/", nobody.number());
    let plan = plan(keycloak.access(), 0).set("REDIS_URL", &address).set("LOG_FORMAT", "json");
    let system = plan.start().await;
    let api = Binary::api().envs(system.settings()).start();
    let system = system.by_way_of(&api).await;
    let username = name();

    let answer = send(&system, &body(&username, CHOSEN)).await;

    assert_eq!(answer.headers()["retry-after"], "5");
    let (status, problem): (_, Value) = (answer.status(), answer.json().await.expect("a problem document"));
    assert_eq!((status, problem["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("password_unavailable")));
    api.until_output_has(r#""code":"password_unavailable""#).await;
    let user = system.register_as(&username).await;
    system.until_complete(&user).await;
    assert_eq!(state(&system, &user).await, Value::Null);
    system.stop().await;
}

/// The answer is stored, and no password has to be kept for it.
#[tokio::test]
async fn without_redis_who_asks_again_is_answered() {
    let keycloak = FakeKeycloak::start().await;
    let proxy = Proxy::start(&Stack::get().redis_url).await;
    let system = plan(keycloak.access(), 0).set("REDIS_URL", &proxy.url()).workers(0).start().await;
    let username = name();
    let keyed = async |key: &str, username: &str| {
        let request = system.post("/users/register", &body(username, CHOSEN)).header("idempotency-key", key);
        let answer = request.send().await.expect("the api answers");
        let replayed = answer.headers().contains_key("idempotent-replayed");
        (answer.status().as_u16(), replayed, answer.json::<Value>().await.expect("JSON"))
    };
    let (status, replayed, first) = keyed("one", &username).await;
    assert_eq!((status, replayed), (201, false), "{first}");
    proxy.cut().await;
    assert_eq!(keyed("one", &username).await, (201, true, first));
    let (status, _, other) = keyed("one", &name()).await;
    assert_eq!((status, &other["code"]), (422, &json!("idempotency_key_reused")));
    let (status, _, new) = keyed("two", &name()).await;
    assert_eq!((status, &new["code"]), (503, &json!("password_unavailable")));
    system.stop().await;
}

#[tokio::test]
async fn where_no_passwords_are_taken_that_is_said() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let answer = send(&system, &body(&name(), CHOSEN)).await;
    let (status, problem): (_, Value) = (answer.status(), answer.json().await.expect("a problem document"));
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        (&problem["errors"][0]["pointer"], &problem["errors"][0]["code"]),
        (&json!("#/password"), &json!("unsupported"))
    );
    system.stop().await;
}

/// All that PostgreSQL has of it.
async fn dump(system: &System) -> String {
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(system.pool()).await.expect("there are tables");
    let mut dump = String::new();
    for table in tables {
        let rows = sqlx::AssertSqlSafe(format!("SELECT to_jsonb(t)::text FROM {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(system.pool()).await.expect("a table can be read");
        dump.extend(rows);
    }
    dump
}

/// `state` is what must be there instead. Bytes are dumped in hexadecimal.
async fn is_not_in_postgresql(system: &System, state: &str) {
    let dump = dump(system).await.to_lowercase();
    let in_hex = CHOSEN.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    for password in [&CHOSEN.to_lowercase(), &in_hex] {
        assert!(dump.contains(&format!("\"{state}\"")) && !dump.contains(password), "{dump}");
    }
}

#[tokio::test]
async fn it_is_sealed_for_a_while_and_nothing_is_kept_of_whom_nobody_registered() {
    let keycloak = FakeKeycloak::start().await;
    let mut redis = connect(2).await;
    let mut system = plan(keycloak.access(), 2).workers(0).start().await;
    let user = register(&system, CHOSEN).await;

    let key = format!("usher:password:{}", user.id);
    let sealed: String = redis.get(&key).await.expect("a password waits");
    assert!(sealed.starts_with("development.") && !sealed.contains(CHOSEN), "{sealed}");
    let seconds: i64 = redis.ttl(&key).await.expect("Redis answers");
    assert!((1..=3600).contains(&seconds), "{seconds}");
    is_not_in_postgresql(&system, "waiting").await;

    assert_eq!(send(&system, &body(&user.username, CHOSEN)).await.status(), StatusCode::CONFLICT);
    assert_eq!(how_many(&mut redis).await, 1, "that of the one who was registered");
    system.start_worker().await;
    system.until_complete(&user).await;
    is_not_in_postgresql(&system, "set").await;
    system.stop().await;
}

/// The password is no part of what makes two requests the same: it could be guessed at from what is kept of them.
#[tokio::test]
async fn a_repeated_registration_keeps_the_first_password() {
    let keycloak = FakeKeycloak::start().await;
    let mut redis = connect(3).await;
    let mut system = plan(keycloak.access(), 3).workers(0).start().await;
    let username = name();
    let register = async |password| {
        let request = system.post("/users/register", &body(&username, password)).header("idempotency-key", &username);
        let answer = request.send().await.expect("the api answers");
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json::<Value>().await.expect("JSON")["id"].clone()
    };
    let id = register(CHOSEN).await;
    assert_eq!(register("Another.horse.1").await, id);
    assert_eq!(how_many(&mut redis).await, 1);

    system.start_worker().await;
    let id = id.as_str().and_then(|id| id.parse().ok()).expect("an id");
    system.until_complete(&Registered { id, email: format!("{username}@example.org"), username }).await;
    assert!(keycloak.requests(Endpoint::CreateUser)[0].body.contains(CHOSEN), "whose password it is");
    system.stop().await;
}

/// PostgreSQL's answer does not arrive; the user is committed, and is found again by the key.
#[tokio::test]
async fn a_registration_whose_end_nobody_learned_keeps_its_password() {
    let keycloak = FakeKeycloak::start().await;
    let (database, vhost) = (Database::create().await, Vhost::create().await);
    let line = Proxy::start(&database.url()).await;
    let plan = plan(keycloak.access(), 0).workers(0).set("DATABASE_URL", &line.url());
    let mut system = plan.start_with(database, vhost).await;
    let username = name();
    let ask = async || {
        let request = system.post("/users/register", &body(&username, CHOSEN)).header("idempotency-key", &username);
        request.send().await.expect("the api answers")
    };

    let somebody = being_taken(&system, &username).await;
    let withheld = async {
        until_waiting(&system, 1).await;
        line.stall();
        somebody.rollback().await.expect("it can be rolled back");
    };
    let (answer, ()) = tokio::join!(ask(), withheld);
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let committed = "SELECT id FROM users WHERE username = $1";
    let id: Uuid = sqlx::query_scalar(committed).bind(&username).fetch_one(system.pool()).await.expect("is committed");
    line.restore().await;
    let again =
        eventually("it is answered", PATIENCE, async || Some(ask().await).filter(|it| it.status() == 201)).await;
    assert_eq!(again.json::<Value>().await.expect("JSON")["id"], id.to_string());

    system.start_worker().await;
    let user = Registered { id, email: format!("{username}@example.org"), username };
    system.until_complete(&user).await;
    assert_eq!(state(&system, &user).await, "set");
    system.stop().await;
}

/// What it kept stays sealed under an id that nobody has, until its time is over.
#[tokio::test]
async fn an_api_that_dies_before_the_commit_registers_nobody() {
    let keycloak = FakeKeycloak::start().await;
    let mut redis = connect(5).await;
    let (system, port) = (plan(keycloak.access(), 5).start().await, ReservedPort::new());
    let victim = Binary::api().arg("serve").envs(system.settings()).env("API_LISTEN", port.address().to_string());
    let mut victim = victim.env("CRASH_AT", "registration.before_commit:1").start();
    let username = name();
    let ask = async || {
        let url = format!("http://{}/users/register", port.address());
        let answer = http::client().post(url).json(&body(&username, CHOSEN)).send().await;
        if answer.as_ref().is_err_and(reqwest::Error::is_connect) { Err(answer) } else { Ok(answer) }
    };
    let unanswered = eventually("the request is heard", PATIENCE, ask).await;
    assert!(unanswered.is_err(), "{unanswered:?}");
    assert!(!victim.exit().await.success());
    assert_eq!(how_many(&mut redis).await, 1);
    assert_eq!(send(&system, &body(&username, CHOSEN)).await.status(), StatusCode::CREATED);
    system.stop().await;
}

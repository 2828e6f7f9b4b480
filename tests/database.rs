//! `PostgreSQL` away: whoever asks is told so, soon, and all is well again when it is back, without a restart.

use std::{sync::Arc, time::Duration};

use checker::Client;
use serde_json::json;
use sqlx::AssertSqlSafe;
use tokio::{task::JoinSet, time::interval};

use crate::harness::{
    auth::Answer,
    eventually::{eventually, promptly},
    fake_keycloak::FakeKeycloak,
    http,
    own_name::own_name,
    process::{Binary, Process},
    proxy::Proxy,
    system::{PATIENCE, Plan, System},
};

/// An api that reaches its database through a line of ours; the test has its own.
async fn api_by_way_of_a_proxy() -> (System, Proxy, Process) {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let proxy = Proxy::start(&system.database.url()).await;
    let api = Binary::api().envs(system.settings()).env("DATABASE_URL", proxy.url()).env("LOG_FORMAT", "json").start();
    let system = system.by_way_of(&api).await;
    (system, proxy, api)
}

async fn register(system: &System, username: &str) -> Answer {
    let body = json!({
        "username": username, "email": format!("{username}@example.org"), "firstName": "Ada", "lastName": "Lovelace"
    });
    Answer::of(system.post("/users/register", &body)).await
}

fn is_unavailable(answer: &Answer) {
    answer.is_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "5");
}

/// How long an answer may take at most, whatever the database does.
const PROMISED: Duration = Duration::from_secs(3);

/// Everything that needs the database.
async fn everything_is_unavailable(system: &System, somebody: uuid::Uuid) {
    is_unavailable(&promptly(PROMISED, register(system, "meanwhile")).await);
    let mail = system.post("/users/send-password-setup-email", &json!({ "username": "ada" }));
    is_unavailable(&promptly(PROMISED, Answer::of(mail)).await);
    let status = http::client().get(format!("{}/users/{somebody}/status", system.api_url()));
    is_unavailable(&promptly(PROMISED, Answer::of(status)).await);
}

async fn until_it_heals(system: &System) {
    eventually("registration works again", PATIENCE, async || {
        let answer = register(system, "afterwards").await;
        // The answer to one that was committed may have been lost on the way.
        if [201, 409].contains(&answer.status) { Ok(()) } else { Err(answer) }
    })
    .await;
}

#[tokio::test]
async fn a_database_that_is_stopped_and_started_again() {
    let (system, proxy, mut api) = api_by_way_of_a_proxy().await;
    let user = system.register().await;
    proxy.cut().await;
    everything_is_unavailable(&system, user.id).await;
    proxy.restore().await;
    until_it_heals(&system).await;
    assert!(api.is_running());
}

#[tokio::test]
async fn a_database_that_is_restarted_costs_nobody_a_registration() {
    let (system, proxy, _api) = api_by_way_of_a_proxy().await;
    for number in 0..3 {
        assert_eq!(register(&system, &format!("before{number}")).await.status, 201);
        // Every connection of the pool is dead after this, and none looks it.
        proxy.cut().await;
        proxy.restore().await;
        assert_eq!(register(&system, &format!("after{number}")).await.status, 201);
    }
}

#[tokio::test]
async fn an_api_that_starts_without_a_database_serves_once_it_is_there() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let proxy = Proxy::start(&system.database.url()).await;
    proxy.cut().await;
    let api = Binary::api().envs(system.settings()).env("DATABASE_URL", proxy.url()).env("LOG_FORMAT", "json").start();
    let system = system.by_way_of(&api).await;
    is_unavailable(&register(&system, "early").await);
    proxy.restore().await;
    until_it_heals(&system).await;
}

/// As a provider does when the disk is full, or an operator for a switch-over.
#[tokio::test]
async fn a_database_that_may_only_be_read() {
    let (system, _proxy, _api) = api_by_way_of_a_proxy().await;
    let user = system.register().await;
    let mut session = system.pool().acquire().await.expect("a session");
    let name = system.database.name();
    let mut execute = async |sql: String| {
        sqlx::query(AssertSqlSafe(sql)).execute(&mut *session).await.expect("a setting can be changed");
    };
    execute(format!("ALTER DATABASE {name} SET default_transaction_read_only = on")).await;
    // The setting holds for new sessions.
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
    execute(others.to_owned()).await;

    for attempt in 0..6 {
        is_unavailable(&register(&system, &format!("ada{attempt}")).await);
    }
    let request = json!({ "username": user.username });
    is_unavailable(&Answer::of(system.post("/users/send-password-setup-email", &request)).await);
    let status = http::client().get(format!("{}/users/{}/status", system.api_url(), user.id));
    assert_eq!(Answer::of(status).await.status, 200, "what only reads goes on");

    execute(format!("ALTER DATABASE {name} RESET default_transaction_read_only")).await;
    until_it_heals(&system).await;
}

/// To connect takes a while, and whoever waits behind others has little time left for it. Were a connection given up with
/// the one who began it, none would ever be made, for as long as clients come again.
#[tokio::test]
async fn a_database_that_is_back_while_many_wait_for_it() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let proxy = Proxy::start(&system.database.url()).await;
    proxy.cut().await;
    let api = Binary::api()
        .envs(system.settings())
        .env("DATABASE_URL", proxy.url())
        .env("DATABASE_MAX_CONNECTIONS", "2")
        .start();
    let system = system.by_way_of(&api).await;

    // One after the other, so that they do not all wait from the same moment.
    let client = Arc::new(Client::new().expect("a client"));
    let (mut clients, mut arrivals) = (JoinSet::new(), interval(Duration::from_millis(100)));
    for number in 0..30 {
        arrivals.tick().await;
        let (client, api_url) = (Arc::clone(&client), system.api_url());
        let username = format!("{}-{number}", own_name().replace('_', "-"));
        clients.spawn(async move { client.register(|| api_url.clone(), &username, PATIENCE).await });
    }
    proxy.restore().await;
    proxy.delay(Duration::from_millis(100));
    let first = clients.join_next().await.expect("there are clients").expect("none panics");
    first.expect("somebody is registered although it takes long to connect");
    proxy.restore().await;
    for answer in clients.join_all().await {
        answer.expect("everybody is registered");
    }
}

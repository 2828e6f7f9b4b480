//! `PostgreSQL` away: whoever asks is told so, soon, and all is well again when it is back, without a restart.

use std::{sync::Arc, time::Duration};

use checker::Client;
use lapin::BasicProperties;
use serde_json::{Value, json};
use shared::store::{self, SessionLimits};
use sqlx::{AssertSqlSafe, Executor as _};
use tokio::{task::JoinSet, time::interval};

use crate::{
    grouping::{being_taken, until_waiting},
    harness::{
        auth::Answer,
        database::Database,
        eventually::{eventually, promptly},
        fake_keycloak::FakeKeycloak,
        http,
        own_name::own_name,
        process::{Binary, Process},
        proxy::Proxy,
        rabbit::Vhost,
        readiness,
        reserved_port::ReservedPort,
        system::{PATIENCE, Plan, System},
    },
    topology,
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

/// Where it answers for health, by its own words.
fn ops_of(api: &Process) -> String {
    let output = api.output();
    let line = output.lines().find(|line| line.contains("accepting registrations")).expect("it says where it is");
    let line: Value = serde_json::from_str(line).expect("JSON");
    line["ops"].as_str().expect("an address").to_owned()
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

/// As an operator does, or a server that is stopped in the usual way: it ends a statement with SQLSTATE 57P01.
#[tokio::test]
async fn a_session_that_the_server_ends_costs_nobody_a_registration() {
    let (system, _proxy, _api) = api_by_way_of_a_proxy().await;
    let somebody = being_taken(&system, "ada").await;
    let end = async {
        until_waiting(&system, 1).await;
        let waiting = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                        WHERE datname = current_database() AND wait_event = 'transactionid'";
        system.pool().execute(waiting).await.expect("sessions can be ended");
        somebody.rollback().await.expect("it can be rolled back");
    };
    let (answer, ()) = tokio::join!(register(&system, "ada"), end);
    assert_eq!(answer.status, 201, "{answer:?}");
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

/// As a provider does when the disk is full, or an operator for a switch-over: every session that begins from now on may
/// only read.
async fn may_only_be_read(database: &Database) {
    alter(database, "SET default_transaction_read_only = on").await;
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.pool().execute(others).await.expect("sessions can be ended");
}

/// For every session that begins from now on.
async fn may_be_written_again(database: &Database) {
    alter(database, "RESET default_transaction_read_only").await;
}

async fn alter(database: &Database, setting: &str) {
    let statement = format!("ALTER DATABASE {} {setting}", database.name());
    let mut transaction = database.pool().begin_with("BEGIN READ WRITE").await.expect("a transaction");
    transaction.execute(AssertSqlSafe(statement)).await.expect("a setting can be changed");
    transaction.commit().await.expect("a setting can be changed");
}

#[tokio::test]
async fn a_database_that_may_only_be_read() {
    let (system, _proxy, api) = api_by_way_of_a_proxy().await;
    let user = system.register().await;
    may_only_be_read(&system.database).await;

    for attempt in 0..6 {
        is_unavailable(&register(&system, &format!("ada{attempt}")).await);
    }
    let request = json!({ "username": user.username });
    is_unavailable(&Answer::of(system.post("/users/send-password-setup-email", &request)).await);
    let status = http::client().get(format!("{}/users/{}/status", system.api_url(), user.id));
    assert_eq!(Answer::of(status).await.status, 200, "what only reads goes on");
    // So it is still sent requests. The first to ask may find that its session was ended.
    let ready = format!("http://{}/health/ready", ops_of(&api));
    eventually("ready", PATIENCE, async || http::client().get(&ready).send().await.is_ok_and(|it| it.status() == 200))
        .await;

    may_be_written_again(&system.database).await;
    until_it_heals(&system).await;
}

#[tokio::test]
async fn a_worker_that_met_a_database_that_may_only_be_read() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let user = system.register().await;
    may_only_be_read(&system.database).await;
    let worker = Binary::worker().arg("run").envs(system.settings()).start();
    worker.until_output_has("read-only transaction").await;
    may_be_written_again(&system.database).await;
    system.until_complete(&user).await;
}

#[tokio::test]
async fn who_asks_whether_a_database_may_be_written_is_told_so() {
    let database = Database::create().await;
    let pool = store::connect(&database.url().into(), 2, SessionLimits::WORKER, "test").expect("an address");
    assert!(store::may_be_written(&pool).await.expect("an answer"));
    may_only_be_read(&database).await;
    // The first to ask may find that its session was ended.
    eventually("no", PATIENCE, async || store::may_be_written(&pool).await.is_ok_and(|may| !may)).await;
    for _ in 0..3 {
        assert!(!store::may_be_written(&pool).await.expect("an answer"), "whichever session is asked");
    }
    may_be_written_again(&database).await;
    assert!(store::may_be_written(&pool).await.expect("an answer"), "at once");
}

/// Waits until a worker is ready and says that it does without these `parts`.
async fn until_degraded(ops: &ReservedPort, parts: Value) {
    let wanted = (200, json!({ "status": "ready", "degraded": parts }));
    readiness::until_readiness(ops.address(), wanted, PATIENCE).await;
}

/// A worker takes a message, cannot write, and gives it back. It takes none again before it can, and says so.
#[tokio::test]
async fn a_consumer_waits_until_the_database_may_be_written() {
    let keycloak = FakeKeycloak::start().await;
    // The sweep does not meet the user.
    let system = Plan::on(keycloak.access()).workers(0).set("SWEEP_INTERVAL", "1h").start().await;
    topology::declare_on(&system.vhost).await;
    let user = system.register().await;
    let event = json!({ "version": 1, "userId": user.id }).to_string();
    let probe = system.vhost.probe().await;
    probe.publish("usher.events", "user.created", event.as_bytes(), BasicProperties::default()).await;
    may_only_be_read(&system.database).await;

    let ops = ReservedPort::new();
    let listen = ops.address().to_string();
    let worker = Binary::worker().arg("run").envs(system.settings()).env("WORKER_OPS_LISTEN", listen).start();
    let told = |what| worker.output().matches(what).count();
    let given_back = "the database does not answer";
    worker.until_output_has(given_back).await;
    // It asks each second whether it may go on; the relay, each poll.
    let polls = told("cannot read the outbox") + 15;
    eventually("the relay has polled", PATIENCE, async || told("cannot read the outbox") >= polls).await;
    assert_eq!(told(given_back), 1, "{}", worker.output());
    until_degraded(&ops, json!(["database"])).await;

    may_be_written_again(&system.database).await;
    system.until_complete(&user).await;
    until_degraded(&ops, json!([])).await;
}

/// To connect takes longer than anybody waits for an answer. Were a connection given up with the one who began it, none
/// would ever be made, for as long as clients come again.
#[tokio::test]
async fn to_connect_may_take_longer_than_anybody_waits() {
    let (keycloak, database) = (FakeKeycloak::start().await, Database::create().await);
    let proxy = Proxy::start(&database.url()).await;
    // To connect takes six such pieces.
    proxy.delay(PROMISED / 3);
    let plan = Plan::on(keycloak.access()).set("DATABASE_URL", &proxy.url()).set("DATABASE_MAX_CONNECTIONS", "2");
    // Who cleans up would connect too, and wait for it.
    let plan = plan.set("CLEANUP_INTERVAL", "1h").workers(0);
    let system = plan.start_with(database, Vhost::create().await).await;

    // One after the other, so that they do not all wait from the same moment.
    let client = Arc::new(Client::new().expect("a client"));
    let (mut clients, mut arrivals) = (JoinSet::new(), interval(Duration::from_millis(100)));
    for number in 0..30 {
        arrivals.tick().await;
        let (client, api_url) = (Arc::clone(&client), system.api_url());
        let username = format!("{}-{number}", own_name().replace('_', "-"));
        clients.spawn(async move { client.register(|| api_url.clone(), &username, PATIENCE).await });
    }
    let connected = "SELECT count(*) FROM pg_stat_activity
                      WHERE datname = current_database() AND application_name = 'usher-api' AND state = 'idle'";
    eventually("the api is connected although nobody waited for it", PATIENCE, async || {
        let sessions: i64 = sqlx::query_scalar(connected).fetch_one(system.pool()).await.expect("the server tells");
        if sessions == 2 { Ok(()) } else { Err(sessions) }
    })
    .await;
    proxy.restore().await;
    for answer in clients.join_all().await {
        answer.expect("everybody is registered");
    }
}

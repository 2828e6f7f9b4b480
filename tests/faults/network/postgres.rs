//! The line between Usher and PostgreSQL.

use std::time::{Duration, Instant};

use serde_json::json;
use sqlx::Executor as _;

use crate::{
    faults::scene::Scene,
    harness::{
        auth::Answer,
        eventually::eventually,
        fake_keycloak::{Endpoint, FakeKeycloak, Gate},
        http,
        metrics::metric,
        process::Binary,
        proxy::Proxy,
        readiness::until_status,
        reserved_port::ReservedPort,
        system::{PATIENCE, Plan, System},
        witness::REST,
    },
};

/// The label of registrations.
const REGISTER: &str = r#"http_route="/users/register""#;
/// Three seconds, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(5);

async fn is_soon_unavailable(request: reqwest::RequestBuilder) {
    let asked = Instant::now();
    let answer = Answer::of(request).await;
    answer.is_problem(503, "unavailable");
    assert_eq!(answer.header("retry-after"), "5");
    assert!(asked.elapsed() < SOON, "answered after {:?}", asked.elapsed());
}

#[tokio::test]
async fn a_half_open_line_from_the_api_to_postgresql() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).set("LOG_FORMAT", "json").workers(0).start().await;
    let line = Proxy::start(&system.database.url()).await;
    let ops = ReservedPort::new();
    let api = Binary::api().envs(system.settings()).env("DATABASE_URL", line.url());
    let mut api = api.env("API_OPS_LISTEN", ops.address().to_string()).start();
    let system = system.by_way_of(&api).await;
    let worker = Binary::worker().envs(system.settings());
    let scene = Scene::with_worker(worker, system, keycloak);
    let [user] = <[_; 1]>::try_from(scene.register(1).await).expect("one user");
    scene.until_complete(std::slice::from_ref(&user)).await;

    line.stall();
    let somebody = json!({
        "username": "somebody", "email": "somebody@example.org", "firstName": "Ada", "lastName": "Lovelace"
    });
    // It may be swallowed, or arrive later.
    scene.witness.saw_a_try("somebody", "somebody@example.org");
    is_soon_unavailable(scene.system.post("/users/register", &somebody)).await;
    let username = json!({ "username": user.username });
    is_soon_unavailable(scene.system.post("/users/send-password-setup-email", &username)).await;
    let status = http::client().get(format!("{}/users/{}/status", scene.system.api_url(), user.id));
    is_soon_unavailable(status).await;
    eventually("the api is not ready", PATIENCE, async || {
        let answer = http::client().get(format!("http://{}/health/ready", ops.address())).send().await;
        let answer = answer.expect("the api answers").text().await.expect("text");
        if answer.contains("the database did not answer") { Ok(()) } else { Err(answer) }
    })
    .await;
    api.until_output_has("the database").await;

    // Whoever asks again and again is served in the end, once.
    let (users, ()) = tokio::join!(scene.register(3), line.restore());
    scene.until_complete(&users).await;
    assert!(api.is_running());
    scene.all_is_well().await;
}

/// The node is gone, and its address leads to another one. Nobody is told that what was open is lost, and the kernel
/// finds out in a quarter of an hour.
#[tokio::test]
async fn the_host_of_postgresql_vanishes() {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).set("LOG_FORMAT", "json").set("PROVISION_CONCURRENCY", "2");
    let system = plan.workers(0).start().await;
    let line = Proxy::start(&system.database.url()).await;
    let ops = ReservedPort::new();
    let two = |binary: Binary| binary.env("DATABASE_URL", line.url()).env("DATABASE_MAX_CONNECTIONS", "2");
    let api = two(Binary::api().envs(system.settings()));
    let api = api.env("API_OPS_LISTEN", ops.address().to_string()).start();
    let system = system.by_way_of(&api).await;
    let scene = Scene::with_worker(two(Binary::worker().envs(system.settings())), system, keycloak);
    scene.serve(3).await;
    until_somebody_listens(&scene.system).await;

    // Every session has been asked something when it happens, and whoever asked gives up.
    let mut lock = scene.system.pool().begin().await.expect("a transaction");
    lock.execute("LOCK TABLE users, outbox, _sqlx_migrations").await.expect("the tables are ours");
    let (users, ()) = tokio::join!(scene.register(20), async {
        until_status(ops.address(), 503, REST).await;
        scene.until_readiness((503, json!({ "status": "not ready", "fault": "the database does not answer" }))).await;
        let used = [r#"pool_name="requests""#, r#"state="used""#];
        let all_used = async || metric(&ops, "db_client_connection_count", &used).await >= 2;
        eventually("all connections are used", PATIENCE, all_used).await;
        line.vanish();
        lock.rollback().await.expect("the lock can be left");
        until_status(ops.address(), 200, REST).await;
    });
    scene.until_degraded(&[]).await;
    until_somebody_listens(&scene.system).await;
    scene.until_complete(&users).await;
    scene.serve(3).await;
    scene.all_is_well().await;
}

/// Who listens asks nothing else, but whether it is connected still.
async fn until_somebody_listens(system: &System) {
    let listening = "SELECT EXISTS (SELECT FROM pg_stat_activity
                      WHERE datname = current_database() AND query IN ('LISTEN \"usher_outbox\"', 'SELECT 1'))";
    eventually("somebody listens for new events", REST, async || {
        sqlx::query_scalar::<_, bool>(listening).fetch_one(system.pool()).await.expect("the server tells")
    })
    .await;
}

#[tokio::test]
async fn a_half_open_line_from_a_worker_to_postgresql() {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).hasty().set("PROVISION_CONCURRENCY", "2");
    let system = plan.workers(0).start().await;
    let line = Proxy::start(&system.database.url()).await;
    let worker = Binary::worker().envs(system.settings()).env("DATABASE_URL", line.url());
    let scene = Scene::with_worker(worker, system, keycloak);
    scene.serve(3).await;
    // Two have an account, and nobody has written that down.
    let mut in_flight = [Endpoint::CreateUser; 2].map(|endpoint| scene.keycloak.hold_answer(endpoint));
    let mut users = scene.register(4).await;
    for gate in &mut in_flight {
        gate.reached().await;
    }
    scene.until_published().await;

    line.stall();
    in_flight.into_iter().for_each(Gate::release);
    let mut other = Binary::worker().envs(scene.system.settings()).start();
    users.extend(scene.register(3).await);
    scene.until_complete(&users).await;
    scene.until_readiness((503, json!({ "status": "not ready", "fault": "the database does not answer" }))).await;

    line.restore().await;
    scene.until_degraded(&[]).await;
    assert!(other.stop().await.success());
    scene.serve(3).await;
    scene.all_is_well().await;
}

#[tokio::test]
async fn a_slow_line_to_postgresql() {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).set("LOG_FORMAT", "json").set("PROVISION_LEASE", "1m");
    let system = plan.workers(0).start().await;
    let line = Proxy::start(&system.database.url()).await;
    let ops = ReservedPort::new();
    let api = Binary::api().envs(system.settings()).env("DATABASE_URL", line.url());
    let api = api.env("API_OPS_LISTEN", ops.address().to_string()).start();
    let system = system.by_way_of(&api).await;
    let worker = Binary::worker().envs(system.settings()).env("DATABASE_URL", line.url());
    let scene = Scene::with_worker(worker, system, keycloak);
    scene.serve(3).await;

    scene.goes_on_slowly(&line, Duration::from_millis(50), "the database does not answer").await;
    let name = "http_server_request_duration_seconds";
    let all = metric(&ops, &format!("{name}_count"), &[REGISTER]).await;
    let quick = metric(&ops, &format!("{name}_bucket"), &[REGISTER, r#"le="0.05""#]).await;
    assert!(all >= quick + 5, "{quick} of {all} registrations are told to have been quick");
}

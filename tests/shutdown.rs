//! The end of a process: what is in flight is finished, what is not begun is given back, and a second signal is final.

use std::net::SocketAddr;

use nix::sys::signal::Signal;
use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
};

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Gate},
    http,
    process::{Binary, Process},
    reserved_port::ReservedPort,
    system::{PATIENCE, Plan, Registered, System},
};

const QUEUE: &str = "usher.user-created";
const HEARD: &str = "finishing what is in flight";

/// What an orchestrator is told; `None` when nobody answers.
async fn readiness(ops: SocketAddr) -> Option<u16> {
    let answer = http::client().get(format!("http://{ops}/health/ready")).send().await;
    answer.ok().map(|answer| answer.status().as_u16())
}

/// A worker with one user in the middle of being created, and one whose message it has fetched and not begun.
struct Busy {
    system: System,
    worker: Process,
    ops: ReservedPort,
    gate: Gate,
    begun: Registered,
    waiting: Registered,
}

impl Busy {
    async fn start(keycloak: &FakeKeycloak) -> Self {
        let plan = Plan::on(keycloak.access()).workers(0).set("PROVISION_CONCURRENCY", "1");
        let system = plan.start().await;
        let begun = system.register().await;
        // Without its message, so that the sweep works on it and the consumer is free to fetch the next one.
        sqlx::query("DELETE FROM outbox").execute(system.pool()).await.expect("the outbox can be emptied");
        let mut gate = keycloak.hold(Endpoint::CreateUser);
        let ops = ReservedPort::new();
        let listen = ops.address().to_string();
        let worker = Binary::worker().envs(system.settings()).env("WORKER_OPS_LISTEN", listen);
        // Longer than a test waits for an end: the time to drain is not what ends it.
        let worker = worker.env("WORKER_DRAIN_TIMEOUT", "60s").env("WORKER_TERMINATION_GRACE", "70s").start();
        gate.reached().await;
        let waiting = system.register().await;
        let probe = system.vhost.probe().await;
        eventually("the message is fetched", PATIENCE, async || {
            system.outbox_depth().await == 0 && probe.depth(QUEUE).await == Some(0)
        })
        .await;
        Self { system, worker, ops, gate, begun, waiting }
    }
}

#[tokio::test]
async fn a_worker_finishes_what_it_has_begun_and_gives_the_rest_back() {
    let keycloak = FakeKeycloak::start().await;
    let Busy { system, mut worker, gate, begun, waiting, .. } = Busy::start(&keycloak).await;
    let probe = system.vhost.probe().await;

    worker.signal(Signal::SIGTERM);
    let back = async || probe.depth(QUEUE).await == Some(1);
    eventually("the message is back in the queue", PATIENCE, back).await;
    assert!(worker.is_running(), "it waits for the user that it has begun");
    gate.release();

    assert!(worker.exit().await.success());
    let row = system.row(&begun).await;
    assert!(row.is_complete(), "{row:?}");
    assert_eq!(system.row(&waiting).await.claim_no, 0, "not begun");
    assert_eq!(probe.depth(QUEUE).await, Some(1));
}

#[tokio::test]
async fn a_second_signal_ends_a_worker_at_once() {
    let keycloak = FakeKeycloak::start().await;
    let Busy { mut worker, gate, .. } = Busy::start(&keycloak).await;

    worker.signal(Signal::SIGTERM);
    worker.until_output_has(HEARD).await;
    assert!(worker.is_running());
    worker.signal(Signal::SIGTERM);

    let status = worker.exit().await;
    assert_eq!(status.code(), Some(1), "{status}");
    gate.release();
}

#[tokio::test]
async fn a_worker_that_is_ending_is_not_ready() {
    let keycloak = FakeKeycloak::start().await;
    let Busy { mut worker, ops, gate, .. } = Busy::start(&keycloak).await;
    assert_eq!(readiness(ops.address()).await, Some(200));

    worker.signal(Signal::SIGTERM);
    // Told so, rather than refused, as long as there is work in flight.
    eventually("it says that it is not ready", PATIENCE, async || readiness(ops.address()).await == Some(503)).await;
    assert!(worker.is_running());
    gate.release();
    assert!(worker.exit().await.success());
}

#[tokio::test]
async fn an_api_answers_what_it_has_been_asked_and_is_not_ready_meanwhile() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let (public, ops) = (ReservedPort::new(), ReservedPort::new());
    let mut api = Binary::api()
        .envs(system.settings())
        .env("API_LISTEN", public.address().to_string())
        .env("API_OPS_LISTEN", ops.address().to_string())
        .start();
    eventually("the api is ready", PATIENCE, async || readiness(ops.address()).await == Some(200)).await;
    let body = json!({ "username": "ada", "email": "ada@example.org", "firstName": "Ada", "lastName": "Lovelace" });
    let body = body.to_string();
    let mut client = BufReader::new(TcpStream::connect(public.address()).await.expect("the api takes connections"));
    let head = format!(
        "POST /users/register HTTP/1.1\r\nHost: usher\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Expect: 100-continue\r\n\r\n",
        body.len(),
    );
    client.write_all(head.as_bytes()).await.expect("a request can be sent");
    // From here on it is in flight: the api has read the head and asks for the rest.
    let mut said = String::new();
    client.read_line(&mut said).await.expect("the api asks for the body");
    assert_eq!(said, "HTTP/1.1 100 Continue\r\n");

    api.signal(Signal::SIGTERM);
    api.until_output_has(HEARD).await;
    // Told so, rather than refused, as long as there is work in flight.
    eventually("it says that it is not ready", PATIENCE, async || readiness(ops.address()).await == Some(503)).await;
    TcpStream::connect(public.address()).await.expect_err("nobody new is let in");
    client.write_all(body.as_bytes()).await.expect("the rest can be sent");

    client.read_to_string(&mut said).await.expect("the api answers and hangs up");
    assert!(said.contains("HTTP/1.1 201 Created"), "{said}");
    assert!(api.exit().await.success());
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(system.pool()).await.expect("a count");
    assert_eq!(users, 1);
}

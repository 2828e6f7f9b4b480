//! Connections: nobody can hold one for ever, nor take all of them.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use crate::harness::{
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    http,
    process::Binary,
    reserved_port::ReservedPort,
    system::{PATIENCE, Plan, System},
};

async fn api_with(settings: &[(&str, &str)]) -> System {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).workers(0);
    settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value)).start().await
}

async fn connect(system: &System) -> TcpStream {
    connect_from("127.0.0.1", system).await
}

/// All of 127.0.0.0/8 is this machine.
async fn connect_from(address: &str, system: &System) -> TcpStream {
    let target: SocketAddr = system.api_url().trim_start_matches("http://").parse().expect("an address");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::new(address.parse().expect("an address"), 0)).expect("an address of this machine");
    socket.connect(target).await.expect("the api takes connections")
}

const ASK: &[u8] = b"GET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

async fn is_served(stream: &mut TcpStream) {
    stream.write_all(ASK).await.expect("the kernel takes it");
    assert!(rest(stream).await.starts_with("HTTP/1.1 200"));
}

/// Until the server hangs up.
async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A reset is a hang-up too.
    let ended = timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "the connection is still open");
    String::from_utf8_lossy(&rest).into_owned()
}

#[tokio::test]
async fn a_header_that_never_ends_is_not_waited_for_and_a_quiet_connection_is_kept() {
    let system = api_with(&[("API_STALL_TIMEOUT", "500ms")]).await;
    let (mut quiet, mut slow) = (connect(&system).await, connect(&system).await);
    let ask = b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n";
    quiet.write_all(ask).await.expect("a request can be sent");
    assert!(quiet.read(&mut [0; 4096]).await.expect("an answer") > 0);

    slow.write_all(b"POST /users/register HTTP/1.1\r\nhost: x\r\nx-").await.expect("a header can be begun");
    rest(&mut slow).await;

    // Longer without a word than the slow one was given.
    quiet.write_all(ask).await.expect("the connection is open");
    let mut answer = [0; 4096];
    let length = quiet.read(&mut answer).await.expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..length]));
}

#[tokio::test]
async fn nobody_is_waited_for_who_asks_nothing() {
    let system = api_with(&[("API_STALL_TIMEOUT", "500ms"), ("API_MAX_CONNECTIONS", "1")]).await;
    let mut silent = connect(&system).await;
    is_served(&mut connect(&system).await).await;
    assert_eq!(rest(&mut silent).await, "");
}

#[tokio::test]
async fn one_address_cannot_take_all_connections() {
    let system = api_with(&[("API_MAX_CONNECTIONS", "4"), ("API_MAX_CONNECTIONS_PER_CLIENT", "2")]).await;
    let (_first, mut second) = (connect(&system).await, connect(&system).await);
    for _ in 0..4 {
        assert_eq!(rest(&mut connect(&system).await).await, "");
    }
    is_served(&mut connect_from("127.0.0.2", &system).await).await;
    // Its own are left, and who has left one gets another.
    is_served(&mut second).await;
    eventually("there is room again", PATIENCE, async || {
        let mut next = connect(&system).await;
        next.write_all(ASK).await.is_ok() && rest(&mut next).await.starts_with("HTTP/1.1 200")
    })
    .await;
}

/// Whoever asks for health may share an address with many clients: a node's, say.
#[tokio::test]
async fn who_takes_all_connections_leaves_health_its_own() {
    let (system, ops) = (api_with(&[]).await, ReservedPort::new());
    let listen = ops.address().to_string();
    let settings =
        [("API_OPS_LISTEN", listen.as_str()), ("API_MAX_CONNECTIONS_PER_CLIENT", "2"), ("LOG_FORMAT", "json")];
    let api = Binary::api().envs(system.settings()).envs(settings).start();
    let system = system.by_way_of(&api).await;
    let (_first, mut second) = (connect(&system).await, connect(&system).await);
    assert_eq!(rest(&mut connect(&system).await).await, "", "more than two are let in");
    for path in ["/health/live", "/health/ready"] {
        assert_eq!(health(&ops, path).await, Some(200), "{path}");
    }
    is_served(&mut second).await;
}

/// `None` when nobody answers.
async fn health(ops: &ReservedPort, path: &str) -> Option<u16> {
    let answer = http::client().get(format!("http://{}{path}", ops.address())).send().await;
    answer.ok().map(|answer| answer.status().as_u16())
}

/// Larger than what the kernel keeps for a client that does not read.
#[tokio::test]
async fn an_answer_that_nobody_takes_is_not_waited_for() {
    let system = api_with(&[("API_STALL_TIMEOUT", "500ms"), ("API_MAX_CONNECTIONS", "1")]).await;
    let mut greedy = connect(&system).await;
    let ask = "GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nhost: x\r\n\r\n".repeat(50);
    greedy.write_all(ask.as_bytes()).await.expect("requests can be sent");
    greedy.readable().await.expect("an answer is on its way");

    // There is one place, which the greedy one must have lost.
    let mut next = connect(&system).await;
    is_served(&mut next).await;
    let taken = rest(&mut greedy).await;
    assert!(taken.matches("HTTP/1.1 200").count() < 50, "all of it was taken by the kernel");
}

#[tokio::test]
async fn a_quiet_connection_is_closed_in_the_end() {
    let system = api_with(&[("API_IDLE_TIMEOUT", "300ms")]).await;
    let (mut used, mut unused) = (connect(&system).await, connect(&system).await);
    used.write_all(b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a request can be sent");
    assert!(rest(&mut used).await.starts_with("HTTP/1.1 200"));
    rest(&mut unused).await;
}

#[tokio::test]
async fn a_header_that_is_too_long_or_has_too_many_lines_is_refused() {
    let system = api_with(&[]).await;
    let long = format!("x-long: {}\r\n", "x".repeat(256 * 1024));
    let many = "x-many: x\r\n".repeat(101);
    for lines in [long, many] {
        let mut stream = connect(&system).await;
        let header = format!("GET /version HTTP/1.1\r\nhost: x\r\n{lines}");
        // Refused while more of it comes: then the rest cannot be sent any more.
        stream.write_all(header.as_bytes()).await.ok();
        stream.write_all(b"\r\n").await.ok();
        let mut answer = [0; 4096];
        let length = timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer in time").expect("an answer");
        assert!(answer[..length].starts_with(b"HTTP/1.1 431"), "{}", String::from_utf8_lossy(&answer[..length]));
    }
}

#[tokio::test]
async fn a_body_that_never_comes_is_not_waited_for() {
    let system = api_with(&[]).await;
    let mut stream = connect(&system).await;
    let header =
        b"POST /users/register HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    stream.write_all(header).await.expect("a header can be sent");
    let mut answer = [0; 4096];
    let length = timeout(PATIENCE, stream.read(&mut answer)).await.expect("an answer in time").expect("an answer");
    assert!(answer[..length].starts_with(b"HTTP/1.1 408"), "{}", String::from_utf8_lossy(&answer[..length]));
}

#[tokio::test]
async fn no_more_connections_than_allowed_are_served_at_once() {
    let system = api_with(&[("API_MAX_CONNECTIONS", "1")]).await;
    let first = connect(&system).await;
    let mut second = connect(&system).await;
    second.write_all(ASK).await.expect("the kernel takes it");
    let early = timeout(std::time::Duration::from_millis(300), second.readable()).await;
    assert!(early.is_err(), "the second was let in beside the first");
    drop(first);
    assert!(rest(&mut second).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn neither_the_quiet_nor_the_slow_hold_the_end_of_the_process() {
    let system = api_with(&[]).await;
    let settings = [("API_STALL_TIMEOUT", "500ms"), ("API_DRAIN_TIMEOUT", "15s"), ("LOG_FORMAT", "json")];
    let mut api = Binary::api().envs(system.settings()).envs(settings).start();
    let system = system.by_way_of(&api).await;
    let (mut quiet, mut slow) = (connect(&system).await, connect(&system).await);
    quiet.write_all(b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a request can be sent");
    assert!(quiet.read(&mut [0; 4096]).await.expect("an answer") > 0);
    slow.write_all(b"GET /version HTTP/1.1\r\nx-").await.expect("a header can be begun");
    let exit = api.stop().await;
    // Given up is a failure.
    assert!(exit.success(), "{}", api.output());
    rest(&mut quiet).await;
}

#[tokio::test]
async fn a_header_that_never_ends_does_not_hold_the_end_of_a_worker() {
    let (system, ops) = (api_with(&[]).await, ReservedPort::new());
    let listen = ops.address().to_string();
    let mut worker = Binary::worker().envs(system.settings()).env("WORKER_OPS_LISTEN", listen).start();
    eventually("the worker is ready", PATIENCE, async || health(&ops, "/health/ready").await == Some(200)).await;
    let mut slow = TcpStream::connect(ops.address()).await.expect("the worker takes connections");
    slow.write_all(b"GET /he").await.expect("a header can be begun");
    // They are let in by turns: an answer to a later one says that the slow one is in.
    assert_eq!(health(&ops, "/health/live").await, Some(200));
    let exit = worker.stop().await;
    // Given up is a failure.
    assert!(exit.success(), "{}", worker.output());
}

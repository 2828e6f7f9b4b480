//! The door itself: what is refused before anybody looks at what it says, what browsers are told, and that nobody can
//! hold a connection for ever.

use std::net::SocketAddr;

use reqwest::{Method, header};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::harness::{
    auth::Answer,
    fake_keycloak::FakeKeycloak,
    http,
    process::Binary,
    system::{PATIENCE, Plan, System},
};

async fn api_with(settings: &[(&str, &str)]) -> System {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).workers(0);
    settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value)).start().await
}

async fn connect(system: &System) -> TcpStream {
    let address: SocketAddr = system.api_url().trim_start_matches("http://").parse().expect("an address");
    TcpStream::connect(address).await.expect("the api takes connections")
}

async fn get(system: &System, path: &str) -> Answer {
    Answer::of(http::client().get(format!("{}{path}", system.api_url()))).await
}

#[tokio::test]
async fn whatever_is_wrong_with_a_request_is_told_as_a_problem() {
    let system = api_with(&[]).await;
    let json = "application/json";
    let (deep, long) = (format!("{}1{}", "[".repeat(500), "]".repeat(500)), format!("\"{}\"", "x".repeat(16 * 1024)));
    for (method, path, media_type, body, status, code) in [
        (Method::GET, "/nothing", json, "", 404, "not_found"),
        (Method::GET, "/users/register", json, "", 405, "method_not_allowed"),
        (Method::DELETE, "/users/7/status", json, "", 405, "method_not_allowed"),
        (Method::GET, "/users/7/status", json, "", 404, "user_not_found"),
        (Method::POST, "/users/register", json, "{\"username\":", 400, "malformed_json"),
        (Method::POST, "/users/register", json, "{\"username\":\"\\ud800\"}", 400, "malformed_json"),
        (Method::POST, "/users/register", json, &deep, 400, "malformed_json"),
        (Method::POST, "/users/register", json, "[]", 422, "invalid_fields"),
        (Method::POST, "/users/register", json, "{}", 422, "invalid_fields"),
        (Method::POST, "/users/register", json, &long, 413, "body_too_large"),
        (Method::POST, "/users/register", "text/plain", "{}", 415, "unsupported_media_type"),
        (Method::POST, "/users/send-password-setup-email", json, "null", 422, "invalid_fields"),
    ] {
        let request = http::client().request(method.clone(), format!("{}{path}", system.api_url()));
        let answer = Answer::of(request.header(header::CONTENT_TYPE, media_type).body(body.to_owned())).await;
        answer.is_problem(status, code);
        assert!(answer.header("x-request-id").len() >= 32, "{answer:?}");
        if status == 405 {
            assert!(!answer.header("allow").is_empty(), "{method} {path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn every_fault_of_every_field_is_told_at_once() {
    let system = api_with(&[]).await;
    let body = json!({ "username": "a b", "email": "ada@localhost", "firstName": "<b>", "role": "admin" });
    let answer = Answer::of(system.post("/users/register", &body)).await;
    answer.is_problem(422, "invalid_fields");
    let errors = answer.json();
    let pointers: Vec<&str> =
        errors["errors"].as_array().expect("a list").iter().filter_map(|error| error["pointer"].as_str()).collect();
    assert_eq!(pointers, ["#/username", "#/email", "#/firstName", "#/lastName", "#/role"]);
}

#[tokio::test]
async fn browsers_are_told_to_load_and_to_frame_nothing() {
    let system = api_with(&[]).await;
    for path in ["/openapi.json", "/nothing", "/version", "/docs/", "/docs/swagger-ui.css"] {
        let answer = get(&system, path).await;
        assert_eq!(answer.header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(answer.header("referrer-policy"), "no-referrer", "{path}");
        let policy = answer.header("content-security-policy");
        assert!(policy.contains("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(policy.contains("script-src 'self'"), path.starts_with("/docs"), "{path}: {policy}");
        assert!(answer.headers.get(header::ACCESS_CONTROL_ALLOW_ORIGIN).is_none(), "{path}");
    }
    // The page brings no script and no style within itself, or the policy would break it.
    let page = get(&system, "/docs/").await.text;
    assert!(page.contains("swagger-ui-bundle.js") && !page.contains("<style"), "{page}");
    let inline = page.split("<script").skip(1).any(|script| !script.split('>').next().unwrap_or("").contains("src="));
    assert!(!inline, "{page}");
}

#[tokio::test]
async fn scripts_of_a_named_page_may_call() {
    let system = api_with(&[("CORS_ORIGINS", "https://app.example.org")]).await;
    let request =
        http::client().get(format!("{}/version", system.api_url())).header(header::ORIGIN, "https://app.example.org");
    let answer = Answer::of(request).await;
    assert_eq!(answer.header("access-control-allow-origin"), "https://app.example.org");
    assert!(answer.header("access-control-expose-headers").contains("retry-after"), "{answer:?}");
}

#[tokio::test]
async fn the_version_says_what_runs() {
    let system = api_with(&[]).await;
    let version = get(&system, "/version").await.json();
    assert_eq!(version["name"], "usher-api");
    assert!(version["version"].is_string(), "{version}");
    assert!(version.as_object().expect("an object").contains_key("commit"), "{version}");
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
async fn a_quiet_connection_is_closed_in_the_end() {
    let system = api_with(&[("API_IDLE_TIMEOUT", "300ms")]).await;
    let (mut used, mut unused) = (connect(&system).await, connect(&system).await);
    used.write_all(b"GET /version HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("a request can be sent");
    assert!(rest(&mut used).await.starts_with("HTTP/1.1 200"));
    rest(&mut unused).await;
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
    let ask = b"GET /version HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    second.write_all(ask).await.expect("the kernel takes it");
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
async fn the_description_can_be_read_and_its_examples_are_what_is_answered() {
    let system = api_with(&[]).await;
    let document = get(&system, "/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let example = |path: &str, status: &str| {
        let responses = &document["paths"][path]["post"]["responses"];
        responses[status]["content"]["application/problem+json"]["example"].clone()
    };
    // The trace id is another one each time.
    let told = |answer: &Answer| {
        let mut told = answer.json();
        told.as_object_mut().expect("an object").remove("traceId");
        told
    };
    let real = |mut example: Value| {
        example.as_object_mut().expect("an example").remove("traceId");
        example
    };
    let user = json!({ "username": "ada", "email": "ada@example.org", "firstName": "Ada", "lastName": "Lovelace" });
    let register = "/users/register";
    assert_eq!(Answer::of(system.post(register, &user)).await.status, 201);
    let other = json!({ "username": "ada", "email": "x@example.org", "firstName": "Ada", "lastName": "Lovelace" });
    assert_eq!(told(&Answer::of(system.post(register, &other)).await), real(example(register, "409")));
    let faulty = json!({ "username": "bob", "email": "bob@localhost", "firstName": "Bob" });
    assert_eq!(told(&Answer::of(system.post(register, &faulty)).await), real(example(register, "422")));
    let keyed = system.post(register, &user).header("idempotency-key", "");
    assert_eq!(told(&Answer::of(keyed).await), real(example(register, "400")));
    let nobody = Answer::of(system.post("/users/send-password-setup-email", &json!({}))).await;
    assert_eq!(told(&nobody), real(example("/users/send-password-setup-email", "422")));
}

//! The door itself: what is refused before anybody looks at what it says, and what browsers are told.

use reqwest::{
    Method,
    header::{self, HeaderName},
};
use serde_json::{Value, json};

use crate::harness::{
    auth::Answer,
    fake_keycloak::FakeKeycloak,
    http,
    process::Binary,
    reserved_port::ReservedPort,
    system::{Plan, System},
};

async fn api_with(settings: &[(&str, &str)]) -> System {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).workers(0);
    settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value)).start().await
}

async fn get(system: &System, path: &str) -> Answer {
    Answer::of(http::client().get(format!("{}{path}", system.api_url()))).await
}

#[tokio::test]
async fn whatever_is_wrong_with_a_request_is_told_as_a_problem() {
    let system = api_with(&[]).await;
    // A process of its own has trace ids.
    let api = Binary::api().envs(system.settings()).env("LOG_FORMAT", "json").start();
    let system = system.by_way_of(&api).await;
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
        assert_eq!(answer.json()["traceId"].as_str().map(str::len), Some(32), "{method} {path}: {answer:?}");
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

/// As a script of this page would call, and as its browser would ask beforehand.
async fn called_from(system: &System, origin: &str) -> [Answer; 2] {
    let request = |method, path: &str| {
        let request = http::client().request(method, format!("{}{path}", system.api_url()));
        request.header(header::ORIGIN, origin)
    };
    let call = Answer::of(request(Method::GET, "/version")).await;
    let asked = request(Method::OPTIONS, "/users/register").header(header::ACCESS_CONTROL_REQUEST_METHOD, "POST");
    let asked = asked.header(header::ACCESS_CONTROL_REQUEST_HEADERS, "content-type,idempotency-key");
    [call, Answer::of(asked).await]
}

const ALLOWED: HeaderName = header::ACCESS_CONTROL_ALLOW_ORIGIN;

#[tokio::test]
async fn no_page_may_call_unless_it_is_named() {
    let system = api_with(&[]).await;
    let [call, asked] = called_from(&system, "https://app.example.org").await;
    assert_eq!((call.status, asked.status), (200, 405));
    for answer in [call, asked] {
        assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control-")), "{answer:?}");
    }
}

#[tokio::test]
async fn a_named_page_may_call_and_no_other() {
    let system = api_with(&[("CORS_ORIGINS", "https://app.example.org,https://example.org")]).await;
    for named in ["https://app.example.org", "https://example.org"] {
        let [call, asked] = called_from(&system, named).await;
        assert_eq!((call.header(ALLOWED.as_str()), asked.header(ALLOWED.as_str())), (named, named));
        assert!(call.header("access-control-expose-headers").contains("retry-after"), "{call:?}");
        assert_eq!(asked.status, 200);
        assert_eq!(asked.header("access-control-allow-methods"), "GET,POST");
        assert!(asked.header("access-control-allow-headers").contains("idempotency-key"), "{asked:?}");
        // Credentials are sent by hand, in a header, or not at all.
        assert_eq!(call.header("access-control-allow-credentials"), "");
    }
    for other in ["https://evil.example.org", "http://app.example.org", "https://app.example.org:8443", "null"] {
        let answers = called_from(&system, other).await;
        assert!(answers.iter().all(|answer| !answer.headers.contains_key(ALLOWED)), "{other}: {answers:?}");
    }
}

#[tokio::test]
async fn health_has_a_port_of_its_own_and_nothing_else_is_there() {
    let system = api_with(&[]).await;
    let ops = ReservedPort::new();
    let settings = [("API_OPS_LISTEN", ops.address().to_string()), ("LOG_FORMAT", "json".to_owned())];
    let api = Binary::api().envs(system.settings()).envs(settings).start();
    let system = system.by_way_of(&api).await;
    for path in ["/health/live", "/health/ready"] {
        let answer = Answer::of(http::client().get(format!("http://{}{path}", ops.address()))).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        get(&system, path).await.is_problem(404, "not_found");
    }
    for path in ["/users/register", "/auth/token", "/docs/", "/openapi.json"] {
        let answer = Answer::of(http::client().get(format!("http://{}{path}", ops.address()))).await;
        assert_eq!(answer.status, 404, "{path}");
    }
}

#[tokio::test]
async fn the_version_says_what_runs() {
    let system = api_with(&[]).await;
    let version = get(&system, "/version").await.json();
    assert_eq!(version["name"], "usher-api");
    assert!(version["version"].is_string(), "{version}");
    assert!(version.as_object().expect("an object").contains_key("commit"), "{version}");
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

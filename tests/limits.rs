//! Limits: nobody takes everything, and nobody is limited for what somebody else did.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use crate::harness::{
    auth::Answer,
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak},
    http,
    process::Binary,
    reserved_port::ReservedPort,
    stack::Stack,
    system::{PATIENCE, Plan, System},
};

async fn limited(settings: &[(&str, &str)]) -> (FakeKeycloak, System) {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).workers(0);
    let system = settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value)).start().await;
    (keycloak, system)
}

/// Another replica's, on a database of Redis' own.
async fn replicas(redis: &str) -> [(FakeKeycloak, System); 2] {
    let settings = [("LIMIT_REGISTER", "3/h"), ("REDIS_URL", redis)];
    [limited(&settings).await, limited(&settings).await]
}

fn somebody(number: usize) -> Value {
    json!({
        "username": format!("ada{number}"), "email": format!("ada{number}@example.org"),
        "firstName": "Ada", "lastName": "Lovelace"
    })
}

/// What a client at `address` is answered, if the proxy before us is believed.
async fn from(system: &System, address: &str, path: &str, body: &Value) -> Answer {
    Answer::of(system.post(path, body).header("x-forwarded-for", address)).await
}

/// To Keycloak, which the fake one does not let go on: it knows the worker's client alone.
fn is_let_through(answer: &Answer) {
    answer.is_problem(503, "upstream_misconfigured");
}

fn retry_after(headers: &HeaderMap) -> u64 {
    headers["retry-after"].to_str().expect("ASCII").parse().expect("seconds")
}

#[tokio::test]
async fn one_client_registers_so_often_and_is_told_when_to_come_back() {
    let (_keycloak, system) = limited(&[("LIMIT_REGISTER", "3/h"), ("LIMIT_MAIL_REQUEST", "1/h")]).await;
    for number in 0..3 {
        assert_eq!(from(&system, "198.51.100.7", "/users/register", &somebody(number)).await.status, 201);
    }
    // A header from a stranger changes nothing.
    let refused = from(&system, "198.51.100.8", "/users/register", &somebody(3)).await;
    refused.is_problem(429, "too_many_requests");
    assert!((1..=1201).contains(&retry_after(&refused.headers)), "{refused:?}");
    let users: i64 = sqlx::query_scalar("SELECT count(*) FROM users").fetch_one(system.pool()).await.expect("a count");
    assert_eq!(users, 3);

    // Each route counts for itself, and what is refused by its shape counts too.
    let path = "/users/send-password-setup-email";
    assert_eq!(from(&system, "", path, &json!({})).await.status, 422);
    from(&system, "", path, &json!({ "username": "ada0" })).await.is_problem(429, "too_many_requests");
}

#[tokio::test]
async fn one_client_has_tokens_checked_so_often() {
    let (_keycloak, system) = limited(&[("LIMIT_VALIDATE_TOKEN", "2/h")]).await;
    for _ in 0..2 {
        system.validate("no.jwt.atall").await.is_problem(401, "invalid_token");
    }
    let refused = system.validate("no.jwt.atall").await;
    refused.is_problem(429, "too_many_requests");
    assert!(retry_after(&refused.headers) > 60, "{refused:?}");
}

#[tokio::test]
async fn clients_behind_a_proxy_of_ours_are_counted_one_by_one() {
    let (_keycloak, system) = limited(&[("LIMIT_REGISTER", "1/h"), ("TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1")]).await;
    for (number, (address, status)) in [
        ("198.51.100.7", 201),
        ("198.51.100.7", 429),
        // What the client wrote itself stands to the left.
        ("203.0.113.9, 198.51.100.7", 429),
        ("198.51.100.8, 10.1.2.3", 201),
        ("2001:db8:1:2::1", 201),
        ("2001:db8:1:2:ffff::1", 429),
        ("2001:db8:1:3::1", 201),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(from(&system, address, "/users/register", &somebody(number)).await.status, status, "{address}");
    }
}

#[tokio::test]
async fn one_account_is_guessed_at_so_often_wherever_the_guesses_come_from() {
    let (_keycloak, system) = limited(&[("LIMIT_TOKEN_ACCOUNT", "2/h"), ("TRUSTED_PROXIES", "127.0.0.1")]).await;
    let guess = async |number: usize, username: &str| {
        let body = json!({ "username": username, "password": format!("Guess-{number}") });
        from(&system, &format!("198.51.100.{number}"), "/auth/token", &body).await
    };
    for (number, name) in ["ada", "ADA "].into_iter().enumerate() {
        is_let_through(&guess(number, name).await);
    }
    guess(2, "ada").await.is_problem(429, "too_many_requests");
    is_let_through(&guess(3, "bob").await);
}

/// With the limits that hold when nobody sets any.
#[tokio::test]
async fn one_address_does_not_keep_the_owner_of_an_account_out() {
    let defaults = [("LIMIT_TOKEN", ""), ("LIMIT_TOKEN_ACCOUNT", ""), ("TRUSTED_PROXIES", "127.0.0.1")];
    let (_keycloak, system) = limited(&defaults).await;
    let body = json!({ "username": "ada", "password": "Guess-1" });
    let guess = async || from(&system, "198.51.100.1", "/auth/token", &body).await;
    let refused = loop {
        let answer = guess().await;
        if answer.status == 429 {
            break answer;
        }
        is_let_through(&answer);
    };
    refused.is_problem(429, "too_many_requests");
    is_let_through(&from(&system, "198.51.100.2", "/auth/token", &body).await);
}

#[tokio::test]
async fn what_is_too_much_at_once_is_refused_at_once() {
    let (keycloak, system) = limited(&[("LIMIT_CONCURRENCY", "1")]).await;
    // The one place is taken by a registration that waits for another transaction.
    let mut other = system.pool().begin().await.expect("a transaction");
    let lock = "INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at)
                VALUES (gen_random_uuid(), 'ada0', 'x@example.org', 'A', 'B', now())";
    sqlx::query(lock).execute(&mut *other).await.expect("a row");
    let first = async { system.post("/users/register", &somebody(0)).send().await.expect("the api answers").status() };
    let second = async {
        let refused = eventually("the place is taken", PATIENCE, async || {
            let answer = Answer::of(system.post("/users/register", &json!({}))).await;
            if answer.status == 503 { Ok(answer) } else { Err(answer) }
        })
        .await;
        refused.is_problem(503, "overloaded");
        assert_eq!(retry_after(&refused.headers), 1);
        // Who waits for Keycloak has a place of its own, and the other way round.
        let credentials = json!({ "username": "ada", "password": "Guess-1" });
        is_let_through(&Answer::of(system.post("/auth/token", &credentials)).await);
        other.rollback().await.expect("the other gives up");
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!(first, 201);

    let mut held = keycloak.hold(Endpoint::Token);
    let credentials = json!({ "username": "ada", "password": "Guess-1" });
    let login = Answer::of(system.post("/auth/token", &credentials));
    let registration = async {
        held.reached().await;
        Answer::of(system.post("/auth/token", &credentials)).await.is_problem(503, "overloaded");
        assert_eq!(Answer::of(system.post("/users/register", &somebody(1))).await.status, 201);
        held.release();
    };
    let (login, ()) = tokio::join!(login, registration);
    is_let_through(&login);
}

#[tokio::test]
async fn with_redis_a_limit_holds_for_all_replicas() {
    let address = format!("{}4", Stack::get().redis_url);
    let client = redis::Client::open(address.as_str()).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    redis::cmd("FLUSHDB").exec_async(&mut connection).await.expect("a database can be emptied");
    let [(_one, one), (_other, other)] = replicas(&address).await;
    for (number, system) in [&one, &other, &one].into_iter().enumerate() {
        assert_eq!(from(system, "", "/users/register", &somebody(number)).await.status, 201);
    }
    for system in [&one, &other] {
        let refused = from(system, "", "/users/register", &somebody(3)).await;
        refused.is_problem(429, "too_many_requests");
        assert!((1..=1201).contains(&retry_after(&refused.headers)), "{refused:?}");
    }
}

#[tokio::test]
async fn without_redis_each_replica_counts_for_itself() {
    let nobody = ReservedPort::new();
    let [(_one, one), (_other, other)] = replicas(&format!("redis://127.0.0.1:{}/", nobody.number())).await;
    for system in [&one, &other] {
        for number in 0..3 {
            assert_eq!(from(system, "", "/users/register", &somebody(number)).await.status, 201);
        }
        from(system, "", "/users/register", &somebody(3)).await.is_problem(429, "too_many_requests");
    }
}

#[tokio::test]
async fn who_cannot_be_counted_for_all_replicas_is_counted_as_such() {
    let (nobody, ops) = (ReservedPort::new(), ReservedPort::new());
    let (_keycloak, system) = limited(&[("REDIS_URL", &format!("redis://127.0.0.1:{}/", nobody.number()))]).await;
    let api = Binary::api().envs(system.settings()).env("API_OPS_LISTEN", ops.address().to_string());
    let api = api.env("LOG_FORMAT", "json").start();
    let system = system.by_way_of(&api).await;
    for number in 0..2 {
        assert_eq!(from(&system, "", "/users/register", &somebody(number)).await.status, 201);
    }
    let metrics = http::client().get(format!("http://{}/metrics", ops.address())).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    let failed_open = metrics.lines().find(|line| line.starts_with("usher_limits_failed_open_total"));
    assert!(failed_open.is_some_and(|line| line.ends_with(" 2")), "{metrics}");
}

//! Usher itself, as a test wants it: an api and workers on a database, a vhost and a Keycloak of the test's own.
//!
//! They run inside the test's process, by the same libraries that the binaries are made of. A test that kills or
//! freezes runs the binaries instead, with [`System::settings`] as their environment.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use api::{App, config::ApiConfig};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::{config::Environment, lifecycle::Lifecycle};
use sqlx::PgPool;
use uuid::Uuid;
use worker::{Worker, config::WorkerConfig};

use super::{
    database::Database,
    eventually::eventually,
    http,
    keycloak_access::KeycloakAccess,
    own_name::own_name,
    process::{Binary, Process},
    rabbit::Vhost,
    stack::Stack,
};

/// Long enough for two noisy cores and a Keycloak that others use too.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Short times, so that what takes a while in production takes moments here. They keep the rules that the worker
/// checks. Calls of Keycloak may take long: the real one is shared by all tests.
const TIMES: [(&str, &str); 23] = [
    ("SWEEP_INTERVAL", "500ms"),
    ("AMQP_HEARTBEAT", "2s"),
    ("AMQP_CONFIRM_TIMEOUT", "3s"),
    ("AMQP_RECONNECT_BASE", "50ms"),
    ("AMQP_RECONNECT_MAX", "500ms"),
    ("RELAY_POLL_INTERVAL", "200ms"),
    ("RELAY_RETRY_BASE", "200ms"),
    ("RELAY_RETRY_MAX", "2s"),
    ("PROVISION_LEASE", "25s"),
    ("PROVISION_LEASE_MARGIN", "10s"),
    ("PROVISION_RETRY_BASE", "200ms"),
    ("PROVISION_RETRY_MAX", "1s"),
    ("PROVISION_SNOOZE", "300ms"),
    ("PROVISION_CONCURRENCY", "4"),
    ("BREAKER_OPEN_BASE", "200ms"),
    ("BREAKER_OPEN_MAX", "1s"),
    ("KEYCLOAK_TIMEOUT", "5s"),
    ("KEYCLOAK_DEADLINE", "15s"),
    ("KEYCLOAK_BLIP", "200ms"),
    ("MAIL_REALM_TIMEOUT", "13s"),
    ("MAIL_DEADLINE", "15s"),
    ("DATABASE_MAX_CONNECTIONS", "5"),
    ("CLEANUP_INTERVAL", "200ms"),
];

/// Every request of a test comes from one address. What limits do, tests with limits of their own say.
const UNLIMITED: [(&str, &str); 5] = [
    ("LIMIT_REGISTER", "1000000/m"),
    ("LIMIT_MAIL_REQUEST", "1000000/m"),
    ("LIMIT_TOKEN", "1000000/m"),
    ("LIMIT_TOKEN_ACCOUNT", "1000000/m"),
    ("LIMIT_VALIDATE_TOKEN", "1000000/m"),
];

/// For tests that wait for a lease to end: nothing may take longer than two seconds.
const HASTY: [(&str, &str); 6] = [
    ("PROVISION_LEASE", "2s"),
    ("PROVISION_LEASE_MARGIN", "500ms"),
    ("KEYCLOAK_TIMEOUT", "1s"),
    ("KEYCLOAK_DEADLINE", "1500ms"),
    ("MAIL_REALM_TIMEOUT", "1s"),
    ("MAIL_DEADLINE", "1500ms"),
];

/// What is about to be started.
#[must_use]
pub struct Plan {
    settings: BTreeMap<String, String>,
    workers: usize,
}

pub struct System {
    pub database: Database,
    pub vhost: Vhost,
    settings: BTreeMap<String, String>,
    api: SocketAddr,
    api_lifecycle: Lifecycle,
    workers: Vec<Lifecycle>,
}

/// Somebody who was registered.
#[derive(Debug, Clone)]
pub struct Registered {
    pub id: Uuid,
    pub username: String,
    pub email: String,
}

/// The facts of a row.
#[derive(Debug, Clone, PartialEq, sqlx::FromRow)]
pub struct Row {
    pub created_at: DateTime<Utc>,
    pub claim_no: i64,
    pub leased_until: Option<DateTime<Utc>>,
    pub attempts: i32,
    pub last_error: Option<String>,
    pub parked_at: Option<DateTime<Utc>>,
    pub parked_reason: Option<String>,
    pub keycloak_id: Option<Uuid>,
    pub synced_at: Option<DateTime<Utc>>,
    pub mail_wanted: i32,
    pub mail_served: i32,
    pub mail_attempts: i32,
    pub mail_sent_at: Option<DateTime<Utc>>,
    pub next_attempt_at: DateTime<Utc>,
}

impl Row {
    pub fn is_complete(&self) -> bool {
        self.synced_at.is_some() && self.mail_served == self.mail_wanted && self.parked_at.is_none()
    }
}

impl Plan {
    /// An api and one worker, on this Keycloak.
    pub fn on(keycloak: &KeycloakAccess) -> Self {
        let issuer = keycloak.issuer();
        let settings = TIMES.into_iter().chain(UNLIMITED).chain([
            ("USHER_ENV", "development"),
            ("API_LISTEN", "127.0.0.1:0"),
            ("API_OPS_LISTEN", "127.0.0.1:0"),
            ("WORKER_OPS_LISTEN", "127.0.0.1:0"),
            ("KEYCLOAK_URL", &keycloak.url),
            ("KEYCLOAK_REALM", &keycloak.realm),
            // Stays what it is when KEYCLOAK_URL leads through a proxy.
            ("KEYCLOAK_ISSUER", &issuer),
            ("KEYCLOAK_CLIENT_ID", &keycloak.client_id),
            ("KEYCLOAK_CLIENT_SECRET", &keycloak.client_secret),
            ("KEYCLOAK_ADMIN_CLIENT_ID", &keycloak.admin_client_id),
            ("KEYCLOAK_ADMIN_CLIENT_SECRET", &keycloak.admin_client_secret),
            ("MAIL_REDIRECT_URI", &keycloak.redirect_uri),
        ]);
        Self { settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(), workers: 1 }
    }

    /// For a test that reads the configuration by itself.
    pub fn into_settings(self) -> BTreeMap<String, String> {
        self.settings
    }

    /// How many workers run inside the test's process; 0 for a test that starts its own.
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.settings.insert(name.to_owned(), value.to_owned());
        self
    }

    /// With a lease of two seconds, and no step longer than that.
    pub fn hasty(self) -> Self {
        HASTY.into_iter().fold(self, |plan, (name, value)| plan.set(name, value))
    }

    /// The worker sends the mails itself, to a mail server on this port of loopback.
    pub fn by_smtp(self, port: u16) -> Self {
        let port = port.to_string();
        let settings = [
            ("MAIL_VIA", "smtp"),
            ("MAIL_FROM", "Usher <no-reply@usher.test>"),
            ("SMTP_HOST", "127.0.0.1"),
            ("SMTP_PORT", &port),
            ("SMTP_TLS", "none"),
            ("SMTP_TIMEOUT", "5s"),
        ];
        settings.into_iter().fold(self, |plan, (name, value)| plan.set(name, value))
    }

    /// A password may be given at the registration.
    pub fn takes_passwords(self) -> Self {
        let stack = Stack::get();
        self.set("REDIS_URL", &stack.redis_url).set("PASSWORD_KEYS", &stack.password_keys)
    }

    /// What is set in the plan wins: `AMQP_URL` may be a proxy's, for one, when the test has made the vhost.
    pub async fn start(self) -> System {
        let vhost = Vhost::create().await;
        self.start_on(vhost).await
    }

    pub async fn start_on(self, vhost: Vhost) -> System {
        self.start_with(Database::create().await, vhost).await
    }

    pub async fn start_with(mut self, database: Database, vhost: Vhost) -> System {
        self.settings.entry("DATABASE_URL".to_owned()).or_insert_with(|| database.url());
        self.settings.entry("AMQP_URL".to_owned()).or_insert_with(|| vhost.amqp_url());
        let api_lifecycle = Lifecycle::default();
        let config = ApiConfig::read(environment(&self.settings)).unwrap_or_else(|faults| panic!("{faults}"));
        let app = App::build(config).await.expect("the api can be built");
        let api = app.local_addr();
        app.spawn(&api_lifecycle);
        let mut system = System { database, vhost, settings: self.settings, api, api_lifecycle, workers: Vec::new() };
        for _ in 0..self.workers {
            system.start_worker().await;
        }
        system
    }
}

impl System {
    /// One more worker inside the test's process. Returns what to stop it by.
    pub async fn start_worker(&mut self) -> Lifecycle {
        let config = WorkerConfig::read(environment(&self.settings)).unwrap_or_else(|faults| panic!("{faults}"));
        let lifecycle = Lifecycle::default();
        let worker = Worker::build(config).await.expect("the worker can be built");
        worker.start(&lifecycle).expect("the worker starts");
        self.workers.push(lifecycle.clone());
        lifecycle
    }

    /// Ends the workers, as a SIGTERM would.
    pub async fn stop_workers(&mut self) {
        for lifecycle in self.workers.drain(..) {
            assert!(lifecycle.stop().await, "a task ended that must not");
        }
    }

    /// Runs a worker's process until it dies at this crash point, `name:passing`.
    pub async fn worker_dies_at(&self, point: &str) {
        let mut victim = Binary::worker().envs(&self.settings).env("CRASH_AT", point).start();
        assert!(!victim.exit().await.success(), "{}", victim.output());
    }

    /// The environment of a binary that belongs to this system.
    pub fn settings(&self) -> &BTreeMap<String, String> {
        &self.settings
    }

    pub fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }

    /// Registers by way of an api process from now on.
    pub async fn by_way_of(mut self, api: &Process) -> Self {
        self.api = eventually("the api says where it listens", PATIENCE, async || {
            let output = api.output();
            let line = output.lines().find(|line| line.contains("accepting registrations"))?;
            serde_json::from_str::<Value>(line).ok()?["listen"].as_str()?.parse().ok()
        })
        .await;
        self
    }

    pub fn pool(&self) -> &PgPool {
        self.database.pool()
    }

    /// Registers somebody whom nobody else has registered.
    pub async fn register(&self) -> Registered {
        self.register_as(&own_name().replace('_', "-")).await
    }

    /// Registers somebody of whom no event will tell. Only without a worker, which would be quicker.
    pub async fn register_without_event(&self) -> Registered {
        let user = self.register().await;
        let lost = sqlx::query("DELETE FROM outbox WHERE user_id = $1").bind(user.id).execute(self.pool()).await;
        assert_eq!(lost.expect("an event can be lost").rows_affected(), 1);
        user
    }

    pub async fn register_as(&self, username: &str) -> Registered {
        let email = format!("{username}@example.org");
        let answer = self.registration(username, &email).send().await.expect("the api answers");
        read_registered(answer, username.to_owned(), email).await
    }

    /// Registers somebody in a request that belongs to the trace with this id.
    pub async fn register_in_trace(&self, trace: &str) -> Registered {
        let username = own_name().replace('_', "-");
        let email = format!("{username}@example.org");
        let request =
            self.registration(&username, &email).header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
        let answer = request.send().await.expect("the api answers");
        read_registered(answer, username, email).await
    }

    /// Tries to register somebody; says with which status it was answered.
    pub async fn try_register(&self, username: &str, email: &str) -> u16 {
        self.registration(username, email).send().await.expect("the api answers").status().as_u16()
    }

    pub fn registration(&self, username: &str, email: &str) -> reqwest::RequestBuilder {
        let body = json!({ "username": username, "email": email, "firstName": "Ada", "lastName": "Lovelace" });
        http::client().post(format!("{}/users/register", self.api_url())).json(&body)
    }

    /// Sends a JSON body. `path` begins with a slash.
    pub fn post(&self, path: &str, body: &Value) -> reqwest::RequestBuilder {
        http::client().post(format!("{}{path}", self.api_url())).json(body)
    }

    /// Asks for another mail; the body names somebody.
    pub async fn request_mail(&self, body: &Value) -> reqwest::Response {
        self.post("/users/send-password-setup-email", body).send().await.expect("the api answers")
    }

    pub async fn row(&self, user: &Registered) -> Row {
        sqlx::query_as(
            "SELECT created_at, claim_no, leased_until, attempts, last_error, parked_at, parked_reason, keycloak_id,
                    synced_at, mail_wanted, mail_served, mail_attempts, mail_sent_at, next_attempt_at
               FROM users WHERE id = $1",
        )
        .bind(user.id)
        .fetch_one(self.pool())
        .await
        .expect("the row can be read")
    }

    /// Waits until the row satisfies a condition; `what` says which.
    pub async fn until(&self, user: &Registered, what: &str, condition: impl Fn(&Row) -> bool) -> Row {
        eventually(what, PATIENCE, async || {
            let row = self.row(user).await;
            if condition(&row) { Ok(row) } else { Err(row) }
        })
        .await
    }

    /// Waits until the account exists and the mail was accepted.
    pub async fn until_complete(&self, user: &Registered) -> Row {
        self.until(user, "the user is complete", Row::is_complete).await
    }

    pub async fn until_parked(&self, user: &Registered) -> Row {
        self.until(user, "the user is parked", |row| row.parked_at.is_some()).await
    }

    /// How many events wait for the relay.
    pub async fn outbox_depth(&self) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM outbox")
            .fetch_one(self.pool())
            .await
            .expect("the outbox can be counted")
    }

    /// Ends everything as a SIGTERM would, and checks that no task had failed.
    pub async fn stop(self) {
        for lifecycle in self.workers.iter().chain([&self.api_lifecycle]) {
            assert!(lifecycle.stop().await, "a task ended that must not");
        }
    }
}

async fn read_registered(answer: reqwest::Response, username: String, email: String) -> Registered {
    let status = answer.status();
    let answer: Value = answer.json().await.expect("the api answers in JSON");
    assert_eq!(status, 201, "{answer}");
    let id = answer["id"].as_str().and_then(|id| id.parse().ok()).expect("the answer has an id");
    Registered { id, username, email }
}

fn environment(settings: &BTreeMap<String, String>) -> Environment {
    Environment::of(settings.clone())
}

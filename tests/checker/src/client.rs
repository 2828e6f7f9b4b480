//! A client as it should be: it tries with one key until it is answered, and notes what it was told.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backoff::{ExponentialBackoffBuilder, backoff::Backoff as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::time::sleep;
use uuid::Uuid;

use crate::history::Attempt;

/// Between two tries: longer each time, up to what the api asks for in `Retry-After`. Thousands who come back at once
/// would be a fault of their own.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Registers and keeps the log.
pub struct Client {
    http: reqwest::Client,
    log: Mutex<Vec<Attempt>>,
}

/// Why a registration was given up.
#[derive(Debug)]
pub enum GivenUp {
    /// An answer that another try would not change.
    Refused(StatusCode, String),
    /// Nobody answered in time, or only with 503.
    TooLate,
}

impl Client {
    pub fn new() -> reqwest::Result<Self> {
        // A connection for each try: one that was cut is not tried again behind our back.
        let http = reqwest::Client::builder().timeout(Duration::from_secs(10)).pool_max_idle_per_host(0).build()?;
        Ok(Self { http, log: Mutex::default() })
    }

    /// Everything that was attempted so far.
    pub fn attempts(&self) -> Vec<Attempt> {
        self.log().clone()
    }

    /// Notes what was attempted by another way than [`Client::register`].
    pub fn note(&self, attempt: Attempt) {
        self.log().push(attempt);
    }

    /// Registers `username`, trying again for `patience` while there is no answer or a 503. `api` says where the api
    /// is: after a crash it may be somewhere else.
    pub async fn register(
        &self,
        api: impl Fn() -> String,
        username: &str,
        patience: Duration,
    ) -> Result<Uuid, GivenUp> {
        let email = format!("{username}@example.org");
        let number = {
            let mut log = self.log();
            log.push(Attempt { username: username.to_owned(), email: email.clone(), acknowledged: None });
            log.len() - 1
        };
        let body = json!({ "username": username, "email": email, "firstName": "Ada", "lastName": "Lovelace" });
        let key = Uuid::now_v7().to_string();
        let mut pauses = ExponentialBackoffBuilder::new()
            .with_initial_interval(FIRST_PAUSE)
            .with_max_interval(LONGEST_PAUSE)
            .with_max_elapsed_time(Some(patience))
            .build();
        loop {
            if let Some(answer) = self.try_once(&api(), &key, &body).await {
                let id = answer?;
                self.log()[number].acknowledged = Some(id);
                return Ok(id);
            }
            let Some(pause) = pauses.next_backoff() else { return Err(GivenUp::TooLate) };
            sleep(pause).await;
        }
    }

    /// `None` when it is worth another try.
    async fn try_once(&self, api: &str, key: &str, body: &Value) -> Option<Result<Uuid, GivenUp>> {
        let request = self.http.post(format!("{api}/users/register")).header("idempotency-key", key).json(body);
        let answer = request.send().await.ok()?;
        let status = answer.status();
        // Cut off in the middle of its body: not an answer.
        let text = answer.text().await.ok()?;
        if status.is_success() {
            let id = serde_json::from_str::<Value>(&text).ok()?["id"].as_str()?.parse().ok()?;
            return Some(Ok(id));
        }
        let try_again = status == StatusCode::SERVICE_UNAVAILABLE || status == StatusCode::TOO_MANY_REQUESTS;
        (!try_again).then_some(Err(GivenUp::Refused(status, text)))
    }

    fn log(&self) -> MutexGuard<'_, Vec<Attempt>> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! The service account's access token: fetched once, shared by all, renewed before it ends.

use std::time::Duration;

use reqwest::{Client, StatusCode};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use shared::call;
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::error::KeycloakError;
use crate::metrics;

const DOING: &str = "log the service account in";

pub(super) struct TokenSource {
    url: Url,
    client_id: String,
    client_secret: SecretString,
    /// Held while a token is fetched, so that many who need one cause one request.
    cached: Mutex<Option<Cached>>,
}

struct Cached {
    token: SecretString,
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Answer {
    access_token: SecretString,
    expires_in: u64,
}

impl TokenSource {
    pub(super) fn new(url: Url, client_id: &str, client_secret: &SecretString) -> Self {
        Self { url, client_id: client_id.to_owned(), client_secret: client_secret.clone(), cached: Mutex::new(None) }
    }

    /// A token that is good for a while.
    pub(super) async fn get(&self, http: &Client) -> Result<SecretString, KeycloakError> {
        let mut cached = self.cached.lock().await;
        if let Some(Cached { token, renew_at }) = &*cached
            && Instant::now() < *renew_at
        {
            return Ok(token.clone());
        }
        let answer = self.fetch(http).await;
        metrics::token_refreshed(answer.is_ok());
        let answer = answer?;
        // At 80 % of its life: time enough to use it, and to fetch the next one without haste.
        let renew_at = Instant::now() + Duration::from_secs(answer.expires_in).mul_f64(0.8);
        *cached = Some(Cached { token: answer.access_token.clone(), renew_at });
        Ok(answer.access_token)
    }

    /// Keycloak refused `token`: the next one who needs a token fetches a new one.
    pub(super) async fn forget(&self, token: &SecretString) {
        let mut cached = self.cached.lock().await;
        if cached.as_ref().is_some_and(|known| known.token.expose_secret() == token.expose_secret()) {
            *cached = None;
        }
    }

    async fn fetch(&self, http: &Client) -> Result<Answer, KeycloakError> {
        // In the form, where every character of a secret is escaped; a Basic header would need it escaped twice
        // (RFC 6749, section 2.3.1).
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &self.client_id),
            ("client_secret", self.client_secret.expose_secret()),
        ];
        let answer = call::send(DOING, http.post(self.url.clone()).form(&form)).await;
        let answer =
            answer.map_err(|source| KeycloakError::Unreachable { doing: DOING, source: source.without_url() })?;
        match answer.status() {
            status if status.is_success() => {
                answer.json().await.map_err(|_| KeycloakError::Unreadable { doing: DOING })
            }
            // A wrong client or secret is answered with either (RFC 6749, section 5.2).
            status @ (StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED) => {
                Err(KeycloakError::Denied { doing: DOING, status })
            }
            _ => Err(KeycloakError::from_answer(DOING, answer).await),
        }
    }
}

//! How a question is put to Keycloak: with a token, a deadline, the trace, and some patience.

use std::time::Duration;

use backoff::{ExponentialBackoff, ExponentialBackoffBuilder};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, redirect::Policy};
use secrecy::{ExposeSecret as _, SecretString};
use shared::{address::beneath, call};
use url::Url;

use super::{error::KeycloakError, token::TokenSource};
use crate::config::keycloak::KeycloakConfig;

/// Asks one realm of one Keycloak.
pub struct KeycloakClient {
    http: Client,
    admin: Url,
    /// What everybody may see of the realm.
    public: Url,
    token: TokenSource,
    blips: ExponentialBackoff,
    realm: String,
}

/// Whether a question is put again, for a moment, when there is no good answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Always: asking twice is as good as asking once.
    Always,
    /// Only when Keycloak has surely not heard it: a second time could have a second effect.
    UnlessHeard,
}

/// A question, still without a token.
pub(super) struct Question<'a> {
    pub(super) doing: &'static str,
    pub(super) method: Method,
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) body: Option<serde_json::Value>,
    /// Other than the client's own.
    pub(super) timeout: Option<Duration>,
    pub(super) patience: Patience,
}

impl KeycloakClient {
    /// Connects to nothing yet.
    pub fn new(config: &KeycloakConfig) -> Result<Self, reqwest::Error> {
        // A redirect would carry the token elsewhere; Keycloak's API has none.
        let http = Client::builder().timeout(config.timeout).redirect(Policy::none()).build()?;
        let token_url = beneath(&config.url, &["realms", &config.realm, "protocol", "openid-connect", "token"]);
        let blips = ExponentialBackoffBuilder::new()
            .with_initial_interval(Duration::from_millis(100))
            .with_max_elapsed_time(Some(config.blip))
            .build();
        Ok(Self {
            http,
            admin: beneath(&config.url, &["admin", "realms", &config.realm]),
            public: beneath(&config.url, &["realms", &config.realm]),
            token: TokenSource::new(token_url, &config.client_id, &config.client_secret),
            blips,
            realm: config.realm.clone(),
        })
    }

    pub fn realm(&self) -> &str {
        &self.realm
    }

    /// The token that questions are put with.
    pub(super) async fn token(&self) -> Result<SecretString, KeycloakError> {
        self.token.get(&self.http).await
    }

    /// A question about what everybody may see.
    pub(super) fn public(&self, path: &[&str]) -> RequestBuilder {
        self.http.get(beneath(&self.public, path))
    }

    /// Puts a question; the answer is a success.
    pub(super) async fn ask(&self, question: &Question<'_>) -> Result<Response, KeycloakError> {
        backoff::future::retry(self.blips.clone(), || async {
            self.ask_once(question).await.map_err(|error| {
                let again = match question.patience {
                    // A wait that Keycloak names is longer than a blip.
                    Patience::Always => error.is_transient() && error.retry_after().is_none(),
                    Patience::UnlessHeard => error.was_not_heard(),
                };
                if again { backoff::Error::transient(error) } else { backoff::Error::permanent(error) }
            })
        })
        .await
    }

    async fn ask_once(&self, question: &Question<'_>) -> Result<Response, KeycloakError> {
        let token = self.token.get(&self.http).await?;
        let answer = self.send(question, &token).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return read(question.doing, answer).await;
        }
        // Revoked before its time: once with a new one, and if that is refused too, an operator must look.
        self.token.forget(&token).await;
        let token = self.token.get(&self.http).await?;
        read(question.doing, self.send(question, &token).await?).await
    }

    async fn send(&self, question: &Question<'_>, token: &SecretString) -> Result<Response, KeycloakError> {
        let url = beneath(&self.admin, question.path);
        let mut request = self.http.request(question.method.clone(), url).bearer_auth(token.expose_secret());
        if let Some(body) = &question.body {
            request = request.json(body);
        }
        if let Some(timeout) = question.timeout {
            request = request.timeout(timeout);
        }
        let answer = call::send(question.doing, request.query(question.query)).await;
        // The address of a search holds a name or an e-mail address.
        answer.map_err(|source| KeycloakError::Unreachable { doing: question.doing, source: source.without_url() })
    }
}

async fn read(doing: &'static str, answer: Response) -> Result<Response, KeycloakError> {
    if answer.status().is_success() { Ok(answer) } else { Err(KeycloakError::from_answer(doing, answer).await) }
}

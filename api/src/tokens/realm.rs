//! How the realm is asked: as the login client, with a deadline, the trace, and a limit on what comes back.

use reqwest::{Client, RequestBuilder, StatusCode, redirect::Policy};
use secrecy::{ExposeSecret as _, SecretString};
use serde::de::DeserializeOwned;
use shared::{address::beneath, call};
use url::Url;

use super::error::UpstreamError;
use crate::config::keycloak::KeycloakConfig;

/// Tokens with many roles and sets of several keys have some ten kilobytes.
const LONGEST_ANSWER: usize = 256 * 1024;

/// One realm of one Keycloak.
#[derive(Debug)]
pub struct Realm {
    http: Client,
    token_url: Url,
    keys_url: Url,
    introspection_url: Url,
    client_id: String,
    client_secret: SecretString,
}

/// What Keycloak said: a success, or a refusal that is about the question.
#[derive(Debug)]
pub(super) struct Answer {
    doing: &'static str,
    status: StatusCode,
    /// May hold tokens, and what Keycloak thinks of a person.
    body: SecretString,
}

impl Realm {
    /// Connects to nothing yet.
    pub fn new(config: &KeycloakConfig) -> Result<Self, reqwest::Error> {
        // A redirect would carry credentials elsewhere; these addresses have none.
        let http = Client::builder().timeout(config.timeout).redirect(Policy::none()).build()?;
        let realm = beneath(&config.url, &["realms", &config.realm, "protocol", "openid-connect"]);
        Ok(Self {
            http,
            token_url: beneath(&realm, &["token"]),
            keys_url: beneath(&realm, &["certs"]),
            introspection_url: beneath(&realm, &["token", "introspect"]),
            client_id: config.client_id.clone(),
            client_secret: config.client_secret.clone(),
        })
    }

    pub(super) fn client_id(&self) -> &str {
        &self.client_id
    }

    /// RFC 6749, section 3.2.
    pub(super) async fn token(&self, form: &[(&str, &str)]) -> Result<Answer, UpstreamError> {
        self.ask("issue a token", self.post(&self.token_url, form)).await
    }

    /// RFC 7662, section 2.1.
    pub(super) async fn introspect(&self, token: &SecretString) -> Result<Answer, UpstreamError> {
        let form = [("token", token.expose_secret()), ("token_type_hint", "access_token")];
        self.ask("introspect a token", self.post(&self.introspection_url, &form)).await
    }

    /// RFC 7517, section 5.
    pub(super) async fn keys(&self) -> Result<Answer, UpstreamError> {
        self.ask("show its keys", self.http.get(self.keys_url.clone())).await
    }

    /// The client's own login goes into the form too. In a header it would have to be escaped first (RFC 6749, section
    /// 2.3.1), which few do: Keycloak then refuses a secret with a plus, a percent or a colon in it.
    fn post(&self, url: &Url, form: &[(&str, &str)]) -> RequestBuilder {
        let login = [("client_id", self.client_id.as_str()), ("client_secret", self.client_secret.expose_secret())];
        self.http.post(url.clone()).form(&[form, &login].concat())
    }

    async fn ask(&self, doing: &'static str, request: RequestBuilder) -> Result<Answer, UpstreamError> {
        let unreachable = |source: reqwest::Error| UpstreamError::Unreachable { doing, source: source.without_url() };
        let mut response = call::send(doing, request).await.map_err(unreachable)?;
        let status = response.status();
        if is_passing(status) {
            return Err(UpstreamError::Unavailable { doing, status });
        }
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(unreachable)? {
            body.extend_from_slice(&piece);
            if body.len() > LONGEST_ANSWER {
                return Err(UpstreamError::Unreadable { doing });
            }
        }
        let body = String::from_utf8(body).map_err(|_| UpstreamError::Unreadable { doing })?;
        Ok(Answer { doing, status, body: body.into() })
    }
}

/// Statuses that say nothing about the question: it may be answered well a moment later.
fn is_passing(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

impl Answer {
    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, UpstreamError> {
        serde_json::from_str(self.body.expose_secret()).map_err(|_| UpstreamError::Unreadable { doing: self.doing })
    }

    pub(super) fn into_body(self) -> SecretString {
        self.body
    }

    /// It cannot be the caller's fault: the client, its secret, its rights or the realm are not what they should be.
    pub(super) fn misconfigured(&self) -> UpstreamError {
        UpstreamError::Misconfigured { doing: self.doing, status: self.status, code: self.error_code() }
    }

    /// `error` of RFC 6749, section 5.2: a word for programs, unlike `error_description`, which may be about a person.
    fn error_code(&self) -> String {
        #[derive(serde::Deserialize)]
        struct Refusal {
            error: String,
        }
        let is_code = |code: &String| code.len() <= 40 && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        let code = self.read::<Refusal>().ok().map(|refusal| refusal.error).filter(is_code);
        code.unwrap_or_else(|| "no error code".to_owned())
    }
}

//! What is asked of Keycloak to find out whether it is set up as we need it. Nothing is changed there.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use reqwest::{Method, header};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::Value;
use shared::call;
use uuid::Uuid;

use super::{
    client::{KeycloakClient, Patience, Question},
    error::KeycloakError,
};

/// What a token of ours says.
#[derive(Debug, Deserialize)]
pub struct OwnToken {
    /// Our account, where the token names it.
    #[serde(default)]
    pub sub: Option<Uuid>,
    /// When it was handed out by Keycloak's clock, to the second.
    #[serde(with = "chrono::serde::ts_seconds")]
    pub iat: DateTime<Utc>,
}

/// What may be done to an account, by roles that Keycloak tells nobody who has them.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Access {
    pub manage: bool,
    pub impersonate: bool,
}

/// What the realm asks of its users.
#[derive(Deserialize)]
pub struct UserProfile {
    pub attributes: Vec<Attribute>,
}

#[derive(Deserialize)]
pub struct Attribute {
    pub name: String,
    /// Nothing where it may be left out.
    #[serde(default)]
    pub required: Option<Value>,
}

/// What became of a login that a browser would begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Login {
    /// The person would be led back to where we said.
    LedBack,
    /// Keycloak knows the client, or the address for it, not.
    Refused,
}

impl KeycloakClient {
    /// Lets us in, and says as whom.
    pub async fn log_in(&self) -> Result<OwnToken, KeycloakError> {
        let token = self.token().await?;
        claims(&token).ok_or(KeycloakError::Unreadable { doing: "log the service account in" })
    }

    /// What our account may do to an account: to its own, as to everybody's.
    pub async fn access_to(&self, account: Uuid) -> Result<Access, KeycloakError> {
        #[derive(Deserialize)]
        struct Seen {
            #[serde(default)]
            access: Access,
        }
        let seen: Seen = self.read_json("read the service account", &["users", &account.to_string()]).await?;
        Ok(seen.access)
    }

    /// Whether our account may look at something, such as `clients`.
    pub async fn may_read(&self, path: &[&str]) -> Result<bool, KeycloakError> {
        match self.read_json::<IgnoredAny>("look at what is not ours", path).await {
            Ok(_) => Ok(true),
            Err(KeycloakError::Denied { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// As much of the realm as our account may see.
    pub async fn realm_settings(&self) -> Result<Value, KeycloakError> {
        self.read_json("read the realm", &[]).await
    }

    pub async fn user_profile(&self) -> Result<UserProfile, KeycloakError> {
        self.read_json("read the user profile", &["users", "profile"]).await
    }

    /// Begins a login as the link of a mail ends in one, and without a page for anybody to see.
    pub async fn begin_login(&self, client_id: &str, redirect_uri: &str) -> Result<Login, KeycloakError> {
        let query = [
            ("client_id", client_id),
            ("redirect_uri", redirect_uri),
            ("response_type", "code"),
            ("scope", "openid"),
            ("prompt", "none"),
        ];
        let answer = self.ask_publicly("begin a login", &["protocol", "openid-connect", "auth"], &query).await?;
        let location = answer.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        let is_led_back = location.is_some_and(|location| location.starts_with(redirect_uri));
        Ok(if is_led_back { Login::LedBack } else { Login::Refused })
    }

    async fn read_json<T: serde::de::DeserializeOwned>(
        &self,
        doing: &'static str,
        path: &[&str],
    ) -> Result<T, KeycloakError> {
        let question = Question {
            doing,
            method: Method::GET,
            path,
            query: &[],
            body: None,
            timeout: None,
            patience: Patience::Always,
        };
        self.ask(&question).await?.json().await.map_err(|_| KeycloakError::Unreadable { doing })
    }

    /// Without a token, of what everybody may see.
    async fn ask_publicly(
        &self,
        doing: &'static str,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<reqwest::Response, KeycloakError> {
        let answer = call::send(doing, self.public(path).query(query)).await;
        answer.map_err(|source| KeycloakError::Unreachable { doing, source: source.without_url() })
    }
}

/// It is Keycloak's own word, so nobody has to check the signature.
fn claims(token: &SecretString) -> Option<OwnToken> {
    let payload = token.expose_secret().split('.').nth(1)?;
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload).ok()?;
    serde_json::from_slice(&payload).ok()
}

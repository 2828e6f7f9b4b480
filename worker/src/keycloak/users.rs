//! What is asked of Keycloak about users.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{Method, header::LOCATION};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use shared::store::provisioning::ClaimedUser;
use uuid::Uuid;

use super::{
    client::{KeycloakClient, Patience, Question},
    error::KeycloakError,
    unset_password,
};

/// An account, as far as it proves whose it is.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FoundAccount {
    pub id: Uuid,
    pub username: String,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub email_verified: bool,
    #[serde(default)]
    created_timestamp: Option<i64>,
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    required_actions: Vec<String>,
}

impl FoundAccount {
    /// Whether we made it: same username, same address, and created with the very millisecond of our row, which
    /// Keycloak keeps on create and never changes.
    pub fn is_of(&self, user: &ClaimedUser) -> bool {
        self.username == user.username && self.has_email(&user.email) && self.was_made_with(user.created_at)
    }

    pub fn has_email(&self, email: &str) -> bool {
        self.email.as_deref() == Some(&email.to_ascii_lowercase())
    }

    /// Whether it bears the millisecond of this registration.
    pub fn was_made_with(&self, registered_at: DateTime<Utc>) -> bool {
        self.created_timestamp == Some(registered_at.timestamp_millis())
    }

    /// Whether it is still as it was made: nobody has confirmed the address since, and nobody disabled it.
    pub fn is_untouched(&self) -> bool {
        let asks_for_the_address = self.required_actions.iter().any(|action| action == VERIFY_EMAIL);
        self.enabled && !self.email_verified && asks_for_the_address
    }

    /// Whether it was made with a password: it asks for none.
    pub fn has_password(&self) -> bool {
        !self.required_actions.iter().any(|action| action == UPDATE_PASSWORD)
    }
}

/// What a mail's link is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To prove the address and set a password. What password the account had before does not count any more.
    PasswordSetup,
    /// To prove the address, for whoever chose a password at the registration.
    EmailVerification,
}

pub(super) const VERIFY_EMAIL: &str = "VERIFY_EMAIL";
pub(super) const UPDATE_PASSWORD: &str = "UPDATE_PASSWORD";

impl Purpose {
    /// Keycloak's names of what a person is led through.
    pub(super) fn actions(self) -> &'static [&'static str] {
        match self {
            Self::PasswordSetup => &[VERIFY_EMAIL, UPDATE_PASSWORD],
            Self::EmailVerification => &[VERIFY_EMAIL],
        }
    }
}

/// The link of a mail, which leads a person through Keycloak's pages.
pub struct ActionLink<'a> {
    pub account: Uuid,
    pub purpose: Purpose,
    pub client_id: &'a str,
    pub redirect_uri: &'a str,
    pub lifespan: Duration,
}

impl KeycloakClient {
    /// Creates the account; its id stands in the Location of the answer. With a `password` only the address is left to
    /// be confirmed, before which nobody is let in. Without one it gets one that [matches nothing](unset_password).
    pub async fn create(&self, user: &ClaimedUser, password: Option<&SecretString>) -> Result<Uuid, KeycloakError> {
        let doing = "create the user";
        let mut body = json!({
            "username": user.username,
            "email": user.email,
            "firstName": user.first_name,
            "lastName": user.last_name,
            "enabled": true,
            "emailVerified": false,
            "requiredActions": [VERIFY_EMAIL, UPDATE_PASSWORD],
            "credentials": [unset_password::credential()],
            "createdTimestamp": user.created_at.timestamp_millis(),
        });
        if let Some(password) = password {
            body["requiredActions"] = json!([VERIFY_EMAIL]);
            body["credentials"] =
                json!([{ "type": "password", "value": password.expose_secret(), "temporary": false }]);
        }
        let question = Question {
            doing,
            method: Method::POST,
            path: &["users"],
            query: &[],
            body: Some(body),
            timeout: None,
            patience: Patience::UnlessHeard,
        };
        let answer = self.ask(&question).await?;
        let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        location
            .and_then(|url| url.rsplit('/').next())
            .and_then(|id| Uuid::parse_str(id).ok())
            .ok_or(KeycloakError::Unreadable { doing })
    }

    pub async fn find_by_username(&self, username: &str) -> Result<Option<FoundAccount>, KeycloakError> {
        self.find("look the username up", "username", username).await
    }

    pub async fn find_by_email(&self, email: &str) -> Result<Option<FoundAccount>, KeycloakError> {
        self.find("look the e-mail address up", "email", email).await
    }

    async fn find(&self, doing: &'static str, by: &str, text: &str) -> Result<Option<FoundAccount>, KeycloakError> {
        let question = Question {
            doing,
            method: Method::GET,
            path: &["users"],
            // Without `exact` Keycloak searches for names that contain the text. The brief representation lacks the
            // required actions.
            query: &[(by, text), ("exact", "true"), ("briefRepresentation", "false"), ("max", "2")],
            body: None,
            timeout: None,
            patience: Patience::Always,
        };
        let found: Vec<FoundAccount> =
            self.ask(&question).await?.json().await.map_err(|_| KeycloakError::Unreadable { doing })?;
        Ok(found.into_iter().next())
    }

    /// Has Keycloak send the mail while we wait; success says that its mail server took it.
    pub async fn send_mail(&self, mail: &ActionLink<'_>, deadline: Duration) -> Result<(), KeycloakError> {
        let (doing, path, body) = match mail.purpose {
            Purpose::PasswordSetup => {
                ("send the set-up mail", "execute-actions-email", Some(json!(mail.purpose.actions())))
            }
            Purpose::EmailVerification => ("send the mail that confirms the address", "send-verify-email", None),
        };
        let question = Question {
            doing,
            method: Method::PUT,
            path: &["users", &mail.account.to_string(), path],
            query: &[
                ("client_id", mail.client_id),
                ("redirect_uri", mail.redirect_uri),
                ("lifespan", &mail.lifespan.as_secs().to_string()),
            ],
            body,
            timeout: Some(deadline),
            patience: Patience::UnlessHeard,
        };
        self.ask(&question).await.map(drop)
    }
}

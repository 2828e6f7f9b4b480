//! The link that leads a person through Keycloak's set-up pages, for a mail of our own.

use std::time::Duration;

use reqwest::Method;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    client::{KeycloakClient, Patience, Question},
    error::KeycloakError,
    users::{ActionLink, Purpose},
};

/// What the provider hands out.
#[derive(Debug, Deserialize)]
pub struct HandedOut {
    pub link: SecretString,
    /// Where it may be sent: the account's address in Keycloak, which its owner may have changed since the registration.
    pub email: String,
}

impl KeycloakClient {
    /// Asks our own provider (`deploy/keycloak/action-link`): stock Keycloak mails such links and hands none out.
    pub async fn action_link(&self, link: &ActionLink<'_>) -> Result<HandedOut, KeycloakError> {
        let doing = "hand out the link of a set-up mail";
        let body = json!({
            "userId": link.account,
            "actions": link.purpose.actions(),
            "clientId": link.client_id,
            "redirectUri": link.redirect_uri,
            "lifespan": link.lifespan.as_secs(),
        });
        let question = Question {
            doing,
            method: Method::POST,
            path: &["usher-action-link"],
            query: &[],
            body: Some(body),
            timeout: None,
            // Each answer is another link, and all are good: a second question does no harm.
            patience: Patience::Always,
        };
        let answer = self.ask(&question).await.map_err(provider_missing)?;
        answer.json().await.map_err(|_| KeycloakError::Unreadable { doing })
    }

    /// Whether the provider is there: it does not know this user, and says so.
    pub async fn hands_out_links(&self) -> Result<(), KeycloakError> {
        let nobody = ActionLink {
            account: Uuid::nil(),
            purpose: Purpose::PasswordSetup,
            client_id: "",
            redirect_uri: "",
            lifespan: Duration::ZERO,
        };
        match self.action_link(&nobody).await {
            Ok(_) | Err(KeycloakError::UserMissing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// The realm is there, or there would have been no token.
fn provider_missing(error: KeycloakError) -> KeycloakError {
    match error {
        KeycloakError::RealmMissing { doing } => KeycloakError::ProviderMissing { doing },
        other => other,
    }
}

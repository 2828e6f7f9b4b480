//! Keycloak, and the service account that the worker is there.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use shared::config::Environment;
use url::Url;

use super::seconds;

#[derive(Debug, Clone)]
pub struct KeycloakConfig {
    pub url: Url,
    pub realm: String,
    pub client_id: String,
    pub client_secret: SecretString,
    /// For one call.
    pub timeout: Duration,
    /// For all calls that make sure of one account.
    pub deadline: Duration,
    /// How long short faults are ridden out in place.
    pub blip: Duration,
}

/// `KEYCLOAK_*`. `KEYCLOAK_CLIENT_ID` is the login client, which the links in mails name unless another is given.
#[derive(Debug, Default, Deserialize)]
pub struct KeycloakSection {
    url: Option<String>,
    realm: Option<String>,
    admin_client_id: Option<String>,
    admin_client_secret: Option<String>,
    timeout: Option<String>,
    deadline: Option<String>,
    blip: Option<String>,
    client_id: Option<String>,
    mail_client_id: Option<String>,
}

impl KeycloakSection {
    pub const PREFIX: &'static str = "KEYCLOAK_";

    pub(super) fn read(environment: &mut Environment) -> Option<KeycloakConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let url = environment.required("KEYCLOAK_URL", raw.url);
        let realm = environment.required("KEYCLOAK_REALM", raw.realm);
        let client_id = environment.required("KEYCLOAK_ADMIN_CLIENT_ID", raw.admin_client_id);
        let client_secret = environment.secret("KEYCLOAK_ADMIN_CLIENT_SECRET", "a text", raw.admin_client_secret);
        let timeout = environment.or("KEYCLOAK_TIMEOUT", raw.timeout, seconds(5));
        let deadline = environment.or("KEYCLOAK_DEADLINE", raw.deadline, seconds(15));
        let blip = environment.or("KEYCLOAK_BLIP", raw.blip, seconds(2));
        Some(KeycloakConfig {
            url: url?,
            realm: realm?,
            client_id: client_id?,
            client_secret: client_secret?,
            timeout: timeout?,
            deadline: deadline?,
            blip: blip?,
        })
    }

    /// Links name the login client unless another is given.
    pub(super) fn mail_client_id(self, environment: &mut Environment) -> Option<String> {
        let login: Option<Option<String>> = environment.if_set("KEYCLOAK_CLIENT_ID", self.client_id);
        match login? {
            Some(login) => {
                environment.or_derived("KEYCLOAK_MAIL_CLIENT_ID", self.mail_client_id, login, "KEYCLOAK_CLIENT_ID")
            }
            None if self.mail_client_id.is_none() => {
                environment.fault("KEYCLOAK_CLIENT_ID is not set, and neither is KEYCLOAK_MAIL_CLIENT_ID")
            }
            None => environment.if_set("KEYCLOAK_MAIL_CLIENT_ID", self.mail_client_id)?,
        }
    }
}

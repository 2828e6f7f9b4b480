//! The environment, as `cargo dev` gives it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use serde::Deserialize;

/// Where the services of the stack are, and the logins of its realm.
#[derive(Clone, Deserialize)]
pub(crate) struct Settings {
    pub(crate) database_url: String,
    pub(crate) amqp_url: String,
    pub(crate) rabbitmq_management_url: String,
    pub(crate) keycloak_url: String,
    keycloak_realm: String,
    pub(crate) keycloak_client_id: String,
    pub(crate) keycloak_client_secret: String,
    pub(crate) keycloak_admin_client_id: String,
    pub(crate) keycloak_admin_client_secret: String,
    /// Of the realm `master`.
    pub(crate) keycloak_admin: String,
    pub(crate) keycloak_admin_password: String,
    mail_redirect_uri: String,
}

/// Everybody here comes from one address.
const UNLIMITED: [(&str, &str); 2] = [("LIMIT_REGISTER", "1000000000/h"), ("LIMIT_CONCURRENCY", "10000")];

impl Settings {
    pub(crate) fn from_environment() -> Result<Self> {
        envy::from_env().context("run it by cargo dev bench, which says where the services are")
    }

    /// What api and worker are told. All else is their default, as it is in production.
    pub(crate) fn of_usher(&self, database_url: &str, amqp_url: &str) -> BTreeMap<String, String> {
        let own = [
            ("USHER_ENV", "development"),
            ("DATABASE_URL", database_url),
            ("AMQP_URL", amqp_url),
            ("KEYCLOAK_URL", &self.keycloak_url),
            ("KEYCLOAK_REALM", &self.keycloak_realm),
            ("KEYCLOAK_CLIENT_ID", &self.keycloak_client_id),
            ("KEYCLOAK_CLIENT_SECRET", &self.keycloak_client_secret),
            ("KEYCLOAK_ADMIN_CLIENT_ID", &self.keycloak_admin_client_id),
            ("KEYCLOAK_ADMIN_CLIENT_SECRET", &self.keycloak_admin_client_secret),
            ("MAIL_REDIRECT_URI", &self.mail_redirect_uri),
            ("LOG_FORMAT", "json"),
        ];
        own.into_iter().chain(UNLIMITED).map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

//! Where the services of the development stack are, as `cargo dev test` says it.

use std::sync::OnceLock;

pub struct Stack {
    /// As the owner of everything: the tests make databases.
    pub database_url: String,
    pub amqp_url: String,
    /// With the login in it.
    pub rabbitmq_management_url: String,
    pub keycloak_url: String,
    pub keycloak_realm: String,
    pub keycloak_client_id: String,
    pub keycloak_client_secret: String,
    pub keycloak_admin_client_id: String,
    pub keycloak_admin_client_secret: String,
    /// The administrator of realm `master`: the tests make realms.
    pub keycloak_admin: String,
    pub keycloak_admin_password: String,
    pub redis_url: String,
    pub password_keys: String,
    pub mail_url: String,
    pub smtp_host: String,
    pub smtp_port: u16,
}

impl Stack {
    /// Read once; a test that needs no service never asks.
    pub fn get() -> &'static Self {
        // Not a LazyLock: after a panic it would tell every later test that it is poisoned, instead of what to do.
        static STACK: OnceLock<Stack> = OnceLock::new();
        STACK.get_or_init(Self::from_environment)
    }

    fn from_environment() -> Self {
        Self {
            database_url: required("DATABASE_URL"),
            amqp_url: required("AMQP_URL"),
            rabbitmq_management_url: required("RABBITMQ_MANAGEMENT_URL"),
            keycloak_url: required("KEYCLOAK_URL"),
            keycloak_realm: required("KEYCLOAK_REALM"),
            keycloak_client_id: required("KEYCLOAK_CLIENT_ID"),
            keycloak_client_secret: required("KEYCLOAK_CLIENT_SECRET"),
            keycloak_admin_client_id: required("KEYCLOAK_ADMIN_CLIENT_ID"),
            keycloak_admin_client_secret: required("KEYCLOAK_ADMIN_CLIENT_SECRET"),
            keycloak_admin: required("KEYCLOAK_ADMIN"),
            keycloak_admin_password: required("KEYCLOAK_ADMIN_PASSWORD"),
            redis_url: required("REDIS_URL"),
            password_keys: required("PASSWORD_KEYS"),
            mail_url: required("MAIL_URL"),
            smtp_host: required("SMTP_HOST"),
            smtp_port: required("SMTP_PORT").parse().expect("SMTP_PORT is not a port"),
        }
    }
}

pub fn required(name: &str) -> String {
    variable(name).unwrap_or_else(|| panic!("{name} is not set: run `cargo dev test`"))
}

/// A variable that only the stack knows the name of: the placeholders of the realm file.
#[expect(clippy::disallowed_methods, reason = "the tests read their environment here, and nowhere else")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

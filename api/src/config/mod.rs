//! What the api reads from the environment, a file for each subject.

pub mod callers;
pub mod keycloak;
pub mod limits;
pub mod repeats;
pub mod server;
pub mod tokens;

use std::time::Duration;

use shared::{
    config::{ConfigError, DatabaseConfig, DatabaseSection, Environment, Stage, SweepSection, UsherSection},
    passwords::config::{PasswordConfig, PasswordSection},
    redis::{RedisAddress, RedisSection},
    store::mail_requests::Allowance,
    telemetry::{LogSection, TelemetryConfig},
};

use self::{
    callers::{CorsSection, Origins, TrustedSection},
    keycloak::{KeycloakConfig, KeycloakSection},
    limits::{LimitConfig, LimitSection},
    repeats::{CleanupSection, IdempotencySection, MailRequestSection},
    server::{ApiSection, ServerConfig},
    tokens::{TokenConfig, TokenSection},
};
use crate::limits::address::TrustedProxies;

/// Everything the api wants to know before it binds or connects.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    pub stage: Stage,
    pub server: ServerConfig,
    pub database: DatabaseConfig,
    /// How long the sweep leaves a new user to the event.
    pub event_grace: Duration,
    /// For how long the answer to a registration can be asked for again.
    pub idempotency_ttl: Duration,
    /// Where they are taken at the registration.
    pub passwords: Option<PasswordConfig>,
    /// Where limits are counted for all replicas.
    pub redis: Option<RedisAddress>,
    pub mail_requests: Allowance,
    pub cleanup_interval: Duration,
    pub limits: LimitConfig,
    pub proxies: TrustedProxies,
    pub origins: Origins,
    pub keycloak: KeycloakConfig,
    pub tokens: TokenConfig,
    pub telemetry: TelemetryConfig,
}

impl ApiConfig {
    /// Reads every section before it gives up on any, so that all faults are listed at once.
    pub fn read(mut environment: Environment) -> Result<Self, ConfigError> {
        let config = Self::parse(&mut environment);
        environment.finish(config)
    }

    /// What is wrong is noted in the environment.
    pub fn parse(environment: &mut Environment) -> Option<Self> {
        let stage = UsherSection::read(environment);
        let server = ApiSection::read(environment);
        let database = DatabaseSection::read(environment);
        let event_grace = SweepSection::read(environment);
        let idempotency_ttl = IdempotencySection::read(environment);
        let redis = RedisSection::read(environment);
        let passwords = PasswordSection::read(environment, redis.as_ref().and_then(Option::as_ref));
        let mail_requests = MailRequestSection::read(environment);
        let cleanup_interval = CleanupSection::read(environment);
        let limits = LimitSection::read(environment);
        let proxies = TrustedSection::read(environment);
        let origins = CorsSection::read(environment);
        let keycloak = KeycloakSection::read(environment);
        let client = keycloak.as_ref().map(|keycloak| keycloak.client_id.as_str());
        let tokens = TokenSection::read(environment, client);
        let telemetry = LogSection::read(environment);
        Some(Self {
            stage: stage?,
            server: server?,
            database: database?,
            event_grace: event_grace?,
            idempotency_ttl: idempotency_ttl?,
            passwords: passwords?,
            redis: redis?,
            mail_requests: mail_requests?,
            cleanup_interval: cleanup_interval?,
            limits: limits?,
            proxies: proxies?,
            origins: origins?,
            tokens: tokens?,
            keycloak: keycloak?,
            telemetry: telemetry?,
        })
    }
}

/// What bringing the database up to date takes.
#[derive(Debug, Clone)]
pub struct MigrationConfig {
    pub database: DatabaseConfig,
    pub telemetry: TelemetryConfig,
}

impl MigrationConfig {
    pub fn read(mut environment: Environment) -> Result<Self, ConfigError> {
        let database = DatabaseSection::read(&mut environment);
        let telemetry = LogSection::read(&mut environment);
        let config = database.zip(telemetry).map(|(database, telemetry)| Self { database, telemetry });
        environment.finish(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: [(&str, &str); 5] = [
        ("DATABASE_URL", "postgres://usher@localhost/usher"),
        ("KEYCLOAK_URL", "http://localhost:8080"),
        ("KEYCLOAK_REALM", "usher"),
        ("KEYCLOAK_CLIENT_ID", "usher-app"),
        ("KEYCLOAK_CLIENT_SECRET", "s3cret"),
    ];

    fn read(variables: &[(&str, &str)]) -> Result<ApiConfig, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ApiConfig::read(Environment::of(variables))
    }

    #[test]
    fn a_database_and_a_realm_are_enough() {
        let config = read(&NEEDED).unwrap();
        assert_eq!(config.stage, Stage::Production);
        assert_eq!(config.server.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(config.server.ops_listen.to_string(), "0.0.0.0:8081");
        assert_eq!(config.server.drain_timeout, Duration::from_secs(20));
        assert_eq!(config.event_grace, Duration::from_secs(15));
    }

    #[test]
    fn a_migration_takes_a_database_only() {
        let variables = [("DATABASE_URL".to_owned(), "postgres://usher@localhost/usher".to_owned())];
        assert!(MigrationConfig::read(Environment::of(variables)).is_ok());
        assert!(MigrationConfig::read(Environment::of([])).is_err());
    }

    #[test]
    fn a_drain_must_outlast_who_stalls() {
        let times = [("API_DRAIN_TIMEOUT", "5s"), ("API_STALL_TIMEOUT", "5s")];
        let error = read(&[&NEEDED[..], &times].concat());
        assert!(error.unwrap_err().to_string().contains("API_STALL_TIMEOUT must be shorter"));
    }

    #[test]
    fn the_faults_of_all_sections_are_listed_at_once() {
        let error = read(&[
            ("USHER_ENV", "staging"),
            ("API_LISTEN", "8080"),
            ("API_OPS_LISTEN", "localhost"),
            ("API_DRAIN_TIMEOUT", "0s"),
            ("API_STALL_TIMEOUT", "never"),
            ("SWEEP_INTERVAL", "soon"),
            ("IDEMPOTENCY_TTL", "a day"),
            ("MAIL_REQUEST_DAILY", "0"),
            ("CLEANUP_INTERVAL", "daily"),
            ("LIMIT_REGISTER", "10"),
            ("TRUSTED_PROXIES", "nginx"),
            ("CORS_ORIGINS", "*"),
            ("KEYCLOAK_URL", "keycloak:8080"),
            ("KEYCLOAK_ISSUER", "keycloak"),
            ("KEYCLOAK_TIMEOUT", "5"),
            ("TOKEN_LEEWAY", "1h"),
            ("TOKEN_KEYS_REFRESH", "0s"),
            ("TOKEN_KEYS_COOLDOWN", "never"),
            ("LOG_FORMAT", "xml"),
        ])
        .unwrap_err()
        .to_string();
        for name in [
            "USHER_ENV",
            "API_LISTEN",
            "API_OPS_LISTEN",
            "API_DRAIN_TIMEOUT",
            "DATABASE_URL",
            "API_STALL_TIMEOUT",
            "SWEEP_INTERVAL",
            "IDEMPOTENCY_TTL",
            "MAIL_REQUEST_DAILY",
            "CLEANUP_INTERVAL",
            "LIMIT_REGISTER",
            "TRUSTED_PROXIES",
            "CORS_ORIGINS",
            "KEYCLOAK_URL",
            "KEYCLOAK_REALM",
            "KEYCLOAK_CLIENT_ID",
            "KEYCLOAK_CLIENT_SECRET",
            "KEYCLOAK_ISSUER",
            "KEYCLOAK_TIMEOUT",
            "TOKEN_LEEWAY",
            "TOKEN_KEYS_REFRESH",
            "TOKEN_KEYS_COOLDOWN",
            "LOG_FORMAT",
        ] {
            assert!(error.contains(name), "{name} is missing in: {error}");
        }
    }
}

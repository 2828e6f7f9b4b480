//! What the api reads from the environment.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;
use shared::{
    config::{ConfigError, DatabaseConfig, DatabaseSection, Environment, Stage, SweepSection, UsherSection},
    telemetry::{LogSection, TelemetryConfig},
};

/// `API_*`
#[derive(Debug, Default, Deserialize)]
pub struct ApiSection {
    listen: Option<String>,
    ops_listen: Option<String>,
    drain_timeout: Option<String>,
}

/// Where the api listens, and how long it finishes.
#[derive(Debug, Clone)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    /// Health, on a port that is not published.
    pub ops_listen: SocketAddr,
    /// How long requests in flight may take after a SIGTERM.
    pub drain_timeout: Duration,
}

/// Everything the api wants to know before it binds or connects.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    pub stage: Stage,
    pub server: ServerConfig,
    pub database: DatabaseConfig,
    /// How long the sweep leaves a new user to the event.
    pub event_grace: Duration,
    pub telemetry: TelemetryConfig,
}

impl ApiSection {
    pub const PREFIX: &'static str = "API_";

    pub fn read(environment: &mut Environment) -> Option<ServerConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let listen = environment.or("API_LISTEN", raw.listen, SocketAddr::from(([0, 0, 0, 0], 8080)));
        let ops_listen = environment.or("API_OPS_LISTEN", raw.ops_listen, SocketAddr::from(([0, 0, 0, 0], 8081)));
        let drain_timeout = environment.or("API_DRAIN_TIMEOUT", raw.drain_timeout, Duration::from_secs(20));
        Some(ServerConfig { listen: listen?, ops_listen: ops_listen?, drain_timeout: drain_timeout? })
    }
}

impl ApiConfig {
    /// Reads every section before it gives up on any, so that all faults are listed at once.
    pub fn read(mut environment: Environment) -> Result<Self, ConfigError> {
        let config = Self::sections(&mut environment);
        environment.finish(config)
    }

    fn sections(environment: &mut Environment) -> Option<Self> {
        let stage = UsherSection::read(environment);
        let server = ApiSection::read(environment);
        let database = DatabaseSection::read(environment);
        let event_grace = SweepSection::read(environment);
        let telemetry = LogSection::read(environment);
        Some(Self {
            stage: stage?,
            server: server?,
            database: database?,
            event_grace: event_grace?,
            telemetry: telemetry?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ApiConfig, ConfigError> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        ApiConfig::read(Environment::of(variables))
    }

    #[test]
    fn a_database_is_enough() {
        let config = read(&[("DATABASE_URL", "postgres://usher@localhost/usher")]).unwrap();
        assert_eq!(config.stage, Stage::Production);
        assert_eq!(config.server.listen.to_string(), "0.0.0.0:8080");
        assert_eq!(config.server.ops_listen.to_string(), "0.0.0.0:8081");
        assert_eq!(config.server.drain_timeout, Duration::from_secs(20));
        assert_eq!(config.event_grace, Duration::from_secs(15));
    }

    #[test]
    fn the_faults_of_all_sections_are_listed_at_once() {
        let error = read(&[
            ("USHER_ENV", "staging"),
            ("API_LISTEN", "8080"),
            ("API_OPS_LISTEN", "localhost"),
            ("API_DRAIN_TIMEOUT", "0s"),
            ("SWEEP_INTERVAL", "soon"),
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
            "SWEEP_INTERVAL",
            "LOG_FORMAT",
        ] {
            assert!(error.contains(name), "{name} is missing in: {error}");
        }
    }
}

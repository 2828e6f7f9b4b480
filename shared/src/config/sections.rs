//! The sections that both binaries read: where they run, the database, the rhythm of the sweep.

use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use sqlx::postgres::PgConnectOptions;

use super::{Environment, setting::Setting};

/// Where this runs. Production refuses what would break the promise; development makes do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Production,
    Development,
}

impl Setting for Stage {
    const EXPECTED: &'static str = "production or development";
    fn parse(raw: &str) -> Option<Self> {
        match raw {
            "production" => Some(Self::Production),
            "development" => Some(Self::Development),
            _ => None,
        }
    }

    fn written(&self) -> String {
        match self {
            Self::Production => "production".to_owned(),
            Self::Development => "development".to_owned(),
        }
    }
}

/// `USHER_*`
#[derive(Debug, Default, Deserialize)]
pub struct UsherSection {
    env: Option<String>,
}

impl UsherSection {
    pub const PREFIX: &'static str = "USHER_";

    pub fn read(environment: &mut Environment) -> Option<Stage> {
        let raw: Self = environment.section(Self::PREFIX);
        let stage = environment.or("USHER_ENV", raw.env, Stage::Production);
        environment.stage = stage;
        stage
    }
}

/// `DATABASE_*`
#[derive(Debug, Default, Deserialize)]
pub struct DatabaseSection {
    url: Option<String>,
    max_connections: Option<String>,
}

#[derive(Debug, Clone)]
pub struct DatabaseConfig {
    pub url: SecretString,
    pub max_connections: u32,
}

impl DatabaseSection {
    pub const PREFIX: &'static str = "DATABASE_";

    pub fn read(environment: &mut Environment) -> Option<DatabaseConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let url = environment.secret("DATABASE_URL", "a postgres:// address", raw.url).and_then(|url| {
            if is_postgres_address(url.expose_secret()) {
                return Some(url);
            }
            environment.fault("DATABASE_URL is not a postgres:// address")
        });
        let max_connections = environment.or("DATABASE_MAX_CONNECTIONS", raw.max_connections, 10);
        Some(DatabaseConfig { url: url?, max_connections: max_connections? })
    }
}

fn is_postgres_address(url: &str) -> bool {
    ["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme))
        && url.parse::<PgConnectOptions>().is_ok()
}

/// `SWEEP_*`: the worker's rhythm, and the head start that the api gives to a new user's event.
#[derive(Debug, Default, Deserialize)]
pub struct SweepSection {
    interval: Option<String>,
}

impl SweepSection {
    pub const PREFIX: &'static str = "SWEEP_";

    pub fn read(environment: &mut Environment) -> Option<Duration> {
        let raw: Self = environment.section(Self::PREFIX);
        environment.or("SWEEP_INTERVAL", raw.interval, Duration::from_secs(15))
    }
}

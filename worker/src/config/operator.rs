//! What a command of the operator's needs of the worker's environment: some of its sections, and no others.

use shared::{
    config::{ConfigError, DatabaseConfig, DatabaseSection, Environment, UsherSection},
    passwords::config::{PasswordConfig, PasswordSection},
    redis::RedisSection,
    telemetry::{LogSection, TelemetryConfig},
};

use super::{
    broker::{AmqpSection, BrokerConfig},
    keycloak::{KeycloakConfig, KeycloakSection},
};

/// For a command that looks at rows.
pub struct DatabaseAccess {
    pub telemetry: TelemetryConfig,
    pub database: DatabaseConfig,
}

/// For a command that looks at queues.
pub struct BrokerAccess {
    pub telemetry: TelemetryConfig,
    pub broker: BrokerConfig,
}

/// For a command that changes rows, and what queues say of them.
pub struct Access {
    pub telemetry: TelemetryConfig,
    pub database: DatabaseConfig,
    pub broker: BrokerConfig,
}

/// For a command that changes a person everywhere.
pub struct FullAccess {
    pub telemetry: TelemetryConfig,
    pub database: DatabaseConfig,
    pub broker: BrokerConfig,
    pub keycloak: KeycloakConfig,
    pub passwords: Option<PasswordConfig>,
}

impl FullAccess {
    pub fn read(mut environment: Environment) -> Result<Self, ConfigError> {
        UsherSection::read(&mut environment);
        let telemetry = LogSection::read(&mut environment);
        let database = DatabaseSection::read(&mut environment);
        let broker = AmqpSection::read(&mut environment);
        let keycloak = KeycloakSection::read(&mut environment);
        let redis = RedisSection::read(&mut environment);
        let passwords = PasswordSection::read(&mut environment, redis.as_ref().and_then(Option::as_ref));
        let parts = telemetry.zip(database).zip(broker).zip(keycloak).zip(passwords);
        environment.finish(parts.map(|((((telemetry, database), broker), keycloak), passwords)| Self {
            telemetry,
            database,
            broker,
            keycloak,
            passwords,
        }))
    }
}

impl DatabaseAccess {
    pub fn read(mut environment: Environment) -> Result<Self, ConfigError> {
        UsherSection::read(&mut environment);
        let (telemetry, database) = (LogSection::read(&mut environment), DatabaseSection::read(&mut environment));
        environment.finish(telemetry.zip(database).map(|(telemetry, database)| Self { telemetry, database }))
    }
}

impl BrokerAccess {
    pub fn read(mut environment: Environment) -> Result<Self, ConfigError> {
        UsherSection::read(&mut environment);
        let (telemetry, broker) = (LogSection::read(&mut environment), AmqpSection::read(&mut environment));
        environment.finish(telemetry.zip(broker).map(|(telemetry, broker)| Self { telemetry, broker }))
    }
}

impl Access {
    pub fn read(mut environment: Environment) -> Result<Self, ConfigError> {
        UsherSection::read(&mut environment);
        let telemetry = LogSection::read(&mut environment);
        let database = DatabaseSection::read(&mut environment);
        let broker = AmqpSection::read(&mut environment);
        let parts = telemetry.zip(database).zip(broker);
        environment.finish(parts.map(|((telemetry, database), broker)| Self { telemetry, database, broker }))
    }
}

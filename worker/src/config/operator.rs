//! What a command of the operator's needs of the worker's environment: some of its sections, and no others.

use shared::{
    config::{ConfigError, DatabaseConfig, DatabaseSection, Environment, UsherSection},
    telemetry::{LogSection, TelemetryConfig},
};

use super::broker::{AmqpSection, BrokerConfig};

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

//! RabbitMQ.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use shared::{backoff::Backoff, config::Environment};

use super::{backoff, seconds};

#[derive(Debug, Clone)]
pub struct BrokerConfig {
    pub url: SecretString,
    pub heartbeat: Duration,
    pub confirm_timeout: Duration,
    /// Between two tries to connect.
    pub reconnect: Backoff,
}

/// `AMQP_*`
#[derive(Debug, Default, Deserialize)]
pub struct AmqpSection {
    url: Option<String>,
    heartbeat: Option<String>,
    confirm_timeout: Option<String>,
    reconnect_base: Option<String>,
    reconnect_max: Option<String>,
}

impl AmqpSection {
    pub const PREFIX: &'static str = "AMQP_";

    pub(super) fn read(environment: &mut Environment) -> Option<BrokerConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let url = environment.secret("AMQP_URL", raw.url);
        let heartbeat = environment.or("AMQP_HEARTBEAT", raw.heartbeat, seconds(10));
        let confirm_timeout = environment.or("AMQP_CONFIRM_TIMEOUT", raw.confirm_timeout, seconds(20));
        let base = environment.or("AMQP_RECONNECT_BASE", raw.reconnect_base, Duration::from_millis(200));
        let max = environment.or("AMQP_RECONNECT_MAX", raw.reconnect_max, seconds(10));
        let reconnect = backoff(environment, "AMQP_RECONNECT", base, max);
        Some(BrokerConfig {
            url: url?,
            heartbeat: heartbeat?,
            confirm_timeout: confirm_timeout?,
            reconnect: reconnect?,
        })
    }
}

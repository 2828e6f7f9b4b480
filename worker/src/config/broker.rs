//! RabbitMQ.

use std::{fmt, time::Duration};

use lapin::uri::AMQPUri;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use shared::{backoff::Backoff, config::Environment};

use super::{backoff, seconds};

#[derive(Debug, Clone)]
pub struct BrokerConfig {
    pub address: BrokerAddress,
    pub confirm_timeout: Duration,
    /// Between two tries to connect.
    pub reconnect: Backoff,
}

/// Where the broker is, the login and the heartbeat included.
#[derive(Clone)]
pub struct BrokerAddress(AMQPUri);

impl BrokerAddress {
    fn parse(url: &SecretString, heartbeat: Duration) -> Option<Self> {
        let mut uri: AMQPUri = url.expose_secret().parse().ok()?;
        uri.query.heartbeat = Some(u16::try_from(heartbeat.as_secs().max(1)).unwrap_or(u16::MAX));
        Some(Self(uri))
    }

    pub fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

/// Redacted: it holds the login.
impl fmt::Debug for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BrokerAddress(…)")
    }
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
        let address = address(environment, &url?, heartbeat?);
        Some(BrokerConfig { address: address?, confirm_timeout: confirm_timeout?, reconnect: reconnect? })
    }
}

fn address(environment: &mut Environment, url: &SecretString, heartbeat: Duration) -> Option<BrokerAddress> {
    BrokerAddress::parse(url, heartbeat).or_else(|| environment.fault("AMQP_URL is not an amqp:// or amqps:// address"))
}

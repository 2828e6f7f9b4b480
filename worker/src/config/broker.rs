//! RabbitMQ.

use std::{fmt, time::Duration};

use lapin::uri::AMQPUri;
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use shared::{backoff::Backoff, config::Environment, store::SessionLimits};

use super::{backoff, seconds};

/// For a call that the broker answers at once when it is well.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct BrokerConfig {
    pub addresses: BrokerAddresses,
    pub confirm_timeout: Duration,
    /// Between two tries to connect.
    pub reconnect: Backoff,
}

impl BrokerConfig {
    /// The relay must be answered while it still holds its claim; publishing, before it waits, takes its time too.
    pub(super) fn check(&self, environment: &mut Environment) {
        let claim = SessionLimits::WORKER.idle_in_transaction;
        let longest = claim.saturating_sub(CALL_TIMEOUT);
        if self.confirm_timeout >= longest {
            environment.fault::<()>(format!(
                "AMQP_CONFIRM_TIMEOUT must be shorter than {longest:?}: PostgreSQL takes a claim away after {claim:?}"
            ));
        }
    }
}

/// The nodes of one broker, in the order in which they are tried; at least one.
#[derive(Debug, Clone)]
pub struct BrokerAddresses(Vec<BrokerAddress>);

impl BrokerAddresses {
    pub fn all(&self) -> &[BrokerAddress] {
        &self.0
    }

    /// The one whose turn it is: after the last comes the first again.
    pub fn in_turn(&self, turn: usize) -> &BrokerAddress {
        &self.0[turn % self.0.len()]
    }

    /// Separated by commas. Notes a fault for each that is none.
    fn parse(urls: &str, heartbeat: Duration, environment: &mut Environment) -> Option<Self> {
        let urls: Vec<&str> = urls.split(',').map(str::trim).collect();
        let parsed: Vec<_> = urls.iter().map(|url| BrokerAddress::parse(url, heartbeat)).collect();
        for (number, _) in (1..).zip(&parsed).filter(|(_, address)| address.is_none()) {
            let which = if urls.len() > 1 { format!(": number {number} of {}", urls.len()) } else { String::new() };
            environment.fault::<()>(format!("AMQP_URL is not an amqp:// or amqps:// address{which}"));
        }
        let addresses: Vec<_> = parsed.into_iter().collect::<Option<_>>()?;
        if addresses.array_windows().any(|[one, other]| one.0.vhost != other.0.vhost) {
            return environment
                .fault("AMQP_URL names several virtual hosts; its addresses must be nodes of one cluster");
        }
        Some(Self(addresses))
    }
}

/// Where one node is, the login and the heartbeat included.
#[derive(Clone)]
pub struct BrokerAddress(AMQPUri);

impl BrokerAddress {
    fn parse(url: &str, heartbeat: Duration) -> Option<Self> {
        let mut uri: AMQPUri = url.parse().ok()?;
        uri.query.heartbeat = Some(u16::try_from(heartbeat.as_secs().max(1)).unwrap_or(u16::MAX));
        Some(Self(uri))
    }

    pub fn uri(&self) -> AMQPUri {
        self.0.clone()
    }
}

/// Without the login.
impl fmt::Display for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.0.authority.host, self.0.authority.port)
    }
}

/// Redacted: it holds the login.
impl fmt::Debug for BrokerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BrokerAddress({self}, …)")
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
        let url = environment.secret(
            "AMQP_URL",
            "amqp:// or amqps:// addresses of one cluster, separated by commas",
            raw.url,
        );
        let heartbeat = environment.or("AMQP_HEARTBEAT", raw.heartbeat, seconds(10));
        let confirm_timeout = environment.or("AMQP_CONFIRM_TIMEOUT", raw.confirm_timeout, seconds(20));
        let base = environment.or("AMQP_RECONNECT_BASE", raw.reconnect_base, Duration::from_millis(200));
        let max = environment.or("AMQP_RECONNECT_MAX", raw.reconnect_max, seconds(10));
        let reconnect = backoff(environment, "AMQP_RECONNECT", base, max);
        let addresses =
            url.and_then(|url| BrokerAddresses::parse(url.expose_secret(), heartbeat.unwrap_or_default(), environment));
        Some(BrokerConfig { addresses: addresses?, confirm_timeout: confirm_timeout?, reconnect: reconnect? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Result<BrokerConfig, String> {
        let mut environment = Environment::of([("AMQP_URL".to_owned(), url.to_owned())]);
        let config = AmqpSection::read(&mut environment);
        environment.finish(config).map_err(|faults| faults.to_string())
    }

    #[test]
    fn several_nodes_take_turns_and_no_login_is_shown() {
        let config = read("amqp://u:s3cret@one/v, amqps://u:s3cret@two:5670/v,amqp://u:s3cret@three/v").unwrap();
        let turns: Vec<_> = (0..4).map(|turn| config.addresses.in_turn(turn).to_string()).collect();
        assert_eq!(turns, ["one:5672", "two:5670", "three:5672", "one:5672"]);
        assert!(!format!("{config:?}").contains("s3cret"), "{config:?}");
    }

    #[test]
    fn each_address_that_is_none_is_a_fault_of_its_own() {
        let faults = read("amqp://one/v,http://u:s3cret@two/v,amqp://three/v,").unwrap_err();
        for number in ["number 2 of 4", "number 4 of 4"] {
            assert!(faults.contains(number), "{number} is missing in:\n{faults}");
        }
        assert!(!faults.contains("number 1") && !faults.contains("s3cret"), "{faults}");
        assert!(read("nonsense").unwrap_err().contains("AMQP_URL is not an amqp:// or amqps:// address\n"));
    }

    #[test]
    fn the_nodes_of_one_cluster_have_one_virtual_host() {
        assert!(read("amqp://one/usher,amqp://two/other").unwrap_err().contains("several virtual hosts"));
    }
}

//! What the worker reads from the environment, and the rules that its times must keep.

use std::{net::SocketAddr, time::Duration};

use secrecy::SecretString;
use serde::Deserialize;
use shared::{
    backoff::Backoff,
    config::{ConfigError, DatabaseConfig, DatabaseSection, Environment, Stage, SweepSection, UsherSection},
    telemetry::{LogSection, TelemetryConfig},
};
use url::Url;

/// Everything, parsed.
#[derive(Debug, Clone)]
pub struct WorkerConfig {
    pub stage: Stage,
    pub database: DatabaseConfig,
    pub telemetry: TelemetryConfig,
    pub process: ProcessConfig,
    pub broker: BrokerConfig,
    pub relay: RelayConfig,
    pub provision: ProvisionConfig,
    pub sweep_interval: Duration,
    pub breaker: BreakerConfig,
    pub keycloak: KeycloakConfig,
    pub mail: MailConfig,
}

#[derive(Debug, Clone)]
pub struct ProcessConfig {
    pub ops_listen: SocketAddr,
    /// How long a SIGTERM waits for what is in flight.
    pub drain_timeout: Duration,
    /// How long whoever sent it waits before SIGKILL.
    termination_grace: Duration,
}

#[derive(Debug, Clone)]
pub struct BrokerConfig {
    pub url: SecretString,
    pub heartbeat: Duration,
    pub confirm_timeout: Duration,
    /// Between two tries to connect.
    pub reconnect: Backoff,
}

#[derive(Debug, Clone)]
pub struct RelayConfig {
    pub batch: u32,
    pub poll_interval: Duration,
    /// For events that the broker did not take.
    pub retry: Backoff,
}

#[derive(Debug, Clone)]
pub struct ProvisionConfig {
    pub concurrency: u16,
    pub lease: Duration,
    /// What is left of the lease after the longest step.
    lease_margin: Duration,
    pub max_attempts: u32,
    pub retry: Backoff,
    /// How long a user is left alone when the fault is not the user's.
    pub snooze: Duration,
}

#[derive(Debug, Clone, Copy)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open; doubles with every probe that fails.
    pub open: Backoff,
}

#[derive(Debug, Clone)]
pub struct KeycloakConfig {
    pub url: Url,
    pub realm: String,
    pub client_id: String,
    pub client_secret: SecretString,
    /// For one call.
    pub timeout: Duration,
    /// For all calls that make sure of one account.
    pub deadline: Duration,
    /// How long short faults are ridden out in place.
    pub blip: Duration,
}

#[derive(Debug, Clone)]
pub struct MailConfig {
    /// The client that stands in the link.
    pub client_id: String,
    /// Where the person is led afterwards.
    pub redirect_uri: Url,
    pub link_lifespan: Duration,
    pub deadline: Duration,
    /// What the timeouts of the realm's SMTP settings add up to.
    realm_timeout: Duration,
}

impl WorkerConfig {
    pub fn read(mut environment: Environment) -> Result<Self, ConfigError> {
        let config = Self::parse(&mut environment);
        if let Some(config) = &config {
            config.check(&mut environment);
        }
        environment.finish(config)
    }

    fn parse(environment: &mut Environment) -> Option<Self> {
        // Every section is read before the first `?`, so that all faults are found.
        let stage = UsherSection::read(environment);
        let database = DatabaseSection::read(environment);
        let telemetry = LogSection::read(environment);
        let process = WorkerSection::read(environment);
        let broker = AmqpSection::read(environment);
        let relay = RelaySection::read(environment);
        let provision = ProvisionSection::read(environment);
        let sweep_interval = SweepSection::read(environment);
        let breaker = BreakerSection::read(environment);
        let keycloak = KeycloakSection::read(environment);
        let mail = MailSection::read(environment);
        Some(Self {
            stage: stage?,
            database: database?,
            telemetry: telemetry?,
            process: process?,
            broker: broker?,
            relay: relay?,
            provision: provision?,
            sweep_interval: sweep_interval?,
            breaker: breaker?,
            keycloak: keycloak?,
            mail: mail?,
        })
    }

    /// Each time must outlast the one before it, or a slow step would be cut off in a place where nobody knows its end.
    fn check(&self, environment: &mut Environment) {
        let chain = [
            ("the realm's SMTP timeouts (MAIL_REALM_TIMEOUT)", self.mail.realm_timeout),
            ("MAIL_DEADLINE", self.mail.deadline),
            ("WORKER_DRAIN_TIMEOUT", self.process.drain_timeout),
            ("WORKER_TERMINATION_GRACE", self.process.termination_grace),
        ];
        for [(shorter, one), (longer, other)] in chain.array_windows() {
            if one >= other {
                environment.fault::<()>(format!("{longer} must be longer than {shorter}"));
            }
        }
        let longest = self.mail.deadline.max(self.keycloak.deadline);
        if self.provision.lease < longest + self.provision.lease_margin {
            environment.fault::<()>(
                "PROVISION_LEASE must be longer than MAIL_DEADLINE and KEYCLOAK_DEADLINE, by PROVISION_LEASE_MARGIN",
            );
        }
        if self.keycloak.timeout > self.keycloak.deadline {
            environment.fault::<()>("KEYCLOAK_DEADLINE must not be shorter than KEYCLOAK_TIMEOUT");
        }
    }
}

/// `WORKER_*`
#[derive(Debug, Default, Deserialize)]
pub struct WorkerSection {
    ops_listen: Option<String>,
    drain_timeout: Option<String>,
    termination_grace: Option<String>,
}

impl WorkerSection {
    pub const PREFIX: &'static str = "WORKER_";

    fn read(environment: &mut Environment) -> Option<ProcessConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let ops_listen = environment.or("WORKER_OPS_LISTEN", raw.ops_listen, SocketAddr::from(([0, 0, 0, 0], 8082)));
        let drain_timeout = environment.or("WORKER_DRAIN_TIMEOUT", raw.drain_timeout, seconds(20));
        let termination_grace = environment.or("WORKER_TERMINATION_GRACE", raw.termination_grace, seconds(30));
        Some(ProcessConfig {
            ops_listen: ops_listen?,
            drain_timeout: drain_timeout?,
            termination_grace: termination_grace?,
        })
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

    fn read(environment: &mut Environment) -> Option<BrokerConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let url = environment.secret("AMQP_URL", raw.url);
        let heartbeat = environment.or("AMQP_HEARTBEAT", raw.heartbeat, seconds(10));
        let confirm_timeout = environment.or("AMQP_CONFIRM_TIMEOUT", raw.confirm_timeout, seconds(20));
        let base = environment.or("AMQP_RECONNECT_BASE", raw.reconnect_base, Duration::from_millis(200));
        let max = environment.or("AMQP_RECONNECT_MAX", raw.reconnect_max, seconds(10));
        Some(BrokerConfig {
            url: url?,
            heartbeat: heartbeat?,
            confirm_timeout: confirm_timeout?,
            reconnect: backoff(environment, "AMQP_RECONNECT", base?, max?)?,
        })
    }
}

/// `RELAY_*`
#[derive(Debug, Default, Deserialize)]
pub struct RelaySection {
    batch: Option<String>,
    poll_interval: Option<String>,
    retry_base: Option<String>,
    retry_max: Option<String>,
}

impl RelaySection {
    pub const PREFIX: &'static str = "RELAY_";

    fn read(environment: &mut Environment) -> Option<RelayConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let batch = environment.or("RELAY_BATCH", raw.batch, 256);
        let poll_interval = environment.or("RELAY_POLL_INTERVAL", raw.poll_interval, seconds(1));
        let base = environment.or("RELAY_RETRY_BASE", raw.retry_base, seconds(1));
        let max = environment.or("RELAY_RETRY_MAX", raw.retry_max, seconds(300));
        Some(RelayConfig {
            batch: batch?,
            poll_interval: poll_interval?,
            retry: backoff(environment, "RELAY_RETRY", base?, max?)?,
        })
    }
}

/// `PROVISION_*`
#[derive(Debug, Default, Deserialize)]
pub struct ProvisionSection {
    concurrency: Option<String>,
    lease: Option<String>,
    lease_margin: Option<String>,
    max_attempts: Option<String>,
    retry_base: Option<String>,
    retry_max: Option<String>,
    snooze: Option<String>,
}

impl ProvisionSection {
    pub const PREFIX: &'static str = "PROVISION_";

    fn read(environment: &mut Environment) -> Option<ProvisionConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let concurrency = environment.or("PROVISION_CONCURRENCY", raw.concurrency, 16);
        let lease = environment.or("PROVISION_LEASE", raw.lease, seconds(30));
        let lease_margin = environment.or("PROVISION_LEASE_MARGIN", raw.lease_margin, seconds(10));
        let max_attempts = environment.or("PROVISION_MAX_ATTEMPTS", raw.max_attempts, 10);
        let base = environment.or("PROVISION_RETRY_BASE", raw.retry_base, seconds(5));
        let max = environment.or("PROVISION_RETRY_MAX", raw.retry_max, seconds(3600));
        let snooze = environment.or("PROVISION_SNOOZE", raw.snooze, seconds(10));
        Some(ProvisionConfig {
            concurrency: concurrency?,
            lease: lease?,
            lease_margin: lease_margin?,
            max_attempts: max_attempts?,
            retry: backoff(environment, "PROVISION_RETRY", base?, max?)?,
            snooze: snooze?,
        })
    }
}

/// `BREAKER_*`
#[derive(Debug, Default, Deserialize)]
pub struct BreakerSection {
    failures: Option<String>,
    open_base: Option<String>,
    open_max: Option<String>,
}

impl BreakerSection {
    pub const PREFIX: &'static str = "BREAKER_";

    fn read(environment: &mut Environment) -> Option<BreakerConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let failures = environment.or("BREAKER_FAILURES", raw.failures, 5);
        let base = environment.or("BREAKER_OPEN_BASE", raw.open_base, seconds(5));
        let max = environment.or("BREAKER_OPEN_MAX", raw.open_max, seconds(60));
        Some(BreakerConfig { failures: failures?, open: backoff(environment, "BREAKER_OPEN", base?, max?)? })
    }
}

/// `KEYCLOAK_*`. `KEYCLOAK_CLIENT_ID` is the login client, which the links in mails name unless another is given.
#[derive(Debug, Default, Deserialize)]
pub struct KeycloakSection {
    url: Option<String>,
    realm: Option<String>,
    admin_client_id: Option<String>,
    admin_client_secret: Option<String>,
    timeout: Option<String>,
    deadline: Option<String>,
    blip: Option<String>,
    client_id: Option<String>,
    mail_client_id: Option<String>,
}

impl KeycloakSection {
    pub const PREFIX: &'static str = "KEYCLOAK_";

    fn read(environment: &mut Environment) -> Option<KeycloakConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let url = environment.required("KEYCLOAK_URL", raw.url);
        let realm = environment.required("KEYCLOAK_REALM", raw.realm);
        let client_id = environment.required("KEYCLOAK_ADMIN_CLIENT_ID", raw.admin_client_id);
        let client_secret = environment.secret("KEYCLOAK_ADMIN_CLIENT_SECRET", raw.admin_client_secret);
        let timeout = environment.or("KEYCLOAK_TIMEOUT", raw.timeout, seconds(5));
        let deadline = environment.or("KEYCLOAK_DEADLINE", raw.deadline, seconds(15));
        let blip = environment.or("KEYCLOAK_BLIP", raw.blip, seconds(2));
        Some(KeycloakConfig {
            url: url?,
            realm: realm?,
            client_id: client_id?,
            client_secret: client_secret?,
            timeout: timeout?,
            deadline: deadline?,
            blip: blip?,
        })
    }
}

/// `MAIL_*`
#[derive(Debug, Default, Deserialize)]
pub struct MailSection {
    redirect_uri: Option<String>,
    link_lifespan: Option<String>,
    deadline: Option<String>,
    realm_timeout: Option<String>,
}

impl MailSection {
    pub const PREFIX: &'static str = "MAIL_";

    fn read(environment: &mut Environment) -> Option<MailConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let keycloak: KeycloakSection = environment.section(KeycloakSection::PREFIX);
        let client_id = environment.required(
            "KEYCLOAK_MAIL_CLIENT_ID (or KEYCLOAK_CLIENT_ID)",
            keycloak.mail_client_id.or(keycloak.client_id),
        );
        let redirect_uri = environment.required("MAIL_REDIRECT_URI", raw.redirect_uri);
        let link_lifespan = environment.or("MAIL_LINK_LIFESPAN", raw.link_lifespan, seconds(12 * 3600));
        let deadline = environment.or("MAIL_DEADLINE", raw.deadline, seconds(15));
        let realm_timeout = environment.or("MAIL_REALM_TIMEOUT", raw.realm_timeout, seconds(13));
        Some(MailConfig {
            client_id: client_id?,
            redirect_uri: redirect_uri?,
            link_lifespan: link_lifespan?,
            deadline: deadline?,
            realm_timeout: realm_timeout?,
        })
    }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

fn backoff(environment: &mut Environment, name: &str, base: Duration, max: Duration) -> Option<Backoff> {
    Backoff::try_new(base, max).map_err(|error| environment.fault::<()>(format!("{name}_BASE and _MAX: {error}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: [(&str, &str); 8] = [
        ("DATABASE_URL", "postgres://localhost/usher"),
        ("AMQP_URL", "amqp://localhost"),
        ("KEYCLOAK_URL", "http://localhost:8080"),
        ("KEYCLOAK_REALM", "usher"),
        ("KEYCLOAK_CLIENT_ID", "usher-app"),
        ("KEYCLOAK_ADMIN_CLIENT_ID", "usher-provisioner"),
        ("KEYCLOAK_ADMIN_CLIENT_SECRET", "secret"),
        ("MAIL_REDIRECT_URI", "https://app.example.org/"),
    ];

    fn read(more: &[(&str, &str)]) -> Result<WorkerConfig, ConfigError> {
        let variables = NEEDED.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        WorkerConfig::read(Environment::of(variables))
    }

    #[test]
    fn the_defaults_keep_the_rules() {
        let config = read(&[]).unwrap();
        assert_eq!(config.mail.client_id, "usher-app");
        assert_eq!(config.provision.concurrency, 16);
    }

    #[test]
    fn every_missing_variable_is_named_at_once() {
        let error = WorkerConfig::read(Environment::of([])).unwrap_err().to_string();
        for (name, _) in NEEDED {
            assert!(error.contains(name), "{name} is missing in:\n{error}");
        }
    }

    #[test]
    fn times_that_cut_each_other_off_are_refused() {
        for (name, value) in [
            ("MAIL_DEADLINE", "13s"),
            ("WORKER_DRAIN_TIMEOUT", "15s"),
            ("WORKER_TERMINATION_GRACE", "20s"),
            ("PROVISION_LEASE", "24s"),
            ("KEYCLOAK_TIMEOUT", "16s"),
            ("RELAY_RETRY_MAX", "1ms"),
        ] {
            assert!(read(&[(name, value)]).is_err(), "{name}={value}");
        }
    }
}

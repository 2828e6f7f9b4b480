//! What the worker reads from the environment, a file for each section, and the rules that its times must keep.

pub mod breaker;
pub mod broker;
pub mod keycloak;
pub mod mail;
pub mod operator;
pub mod process;
pub mod provision;
pub mod registration;
pub mod relay;
pub mod smtp;

use std::time::Duration;

use shared::{
    backoff::Backoff,
    config::{ConfigError, DatabaseConfig, DatabaseSection, Environment, Stage, SweepSection, UsherSection},
    passwords::config::{PasswordConfig, PasswordSection},
    redis::RedisSection,
    telemetry::{LogSection, TelemetryConfig},
};

use self::{
    breaker::{BreakerConfig, BreakerSection},
    broker::{AmqpSection, BrokerConfig},
    keycloak::{KeycloakConfig, KeycloakSection},
    mail::{MailConfig, MailSection},
    process::{ProcessConfig, WorkerSection},
    provision::{ProvisionConfig, ProvisionSection},
    registration::RegistrationSection,
    relay::{RelayConfig, RelaySection},
};

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
    /// How long after the last mail a registration that nobody confirmed is erased.
    pub registration_expires: Option<Duration>,
    /// Where passwords that were chosen at the registration wait.
    pub passwords: Option<PasswordConfig>,
}

impl WorkerConfig {
    pub fn read(mut environment: Environment) -> Result<Self, ConfigError> {
        let config = Self::parse(&mut environment);
        environment.finish(config)
    }

    /// What is wrong is noted in the environment.
    pub fn parse(environment: &mut Environment) -> Option<Self> {
        let config = Self::sections(environment)?;
        config.check(environment);
        Some(config)
    }

    fn sections(environment: &mut Environment) -> Option<Self> {
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
        let registration_expires = RegistrationSection::read(environment);
        let redis = RedisSection::read(environment);
        let passwords = PasswordSection::read(environment, redis.as_ref().and_then(Option::as_ref));
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
            registration_expires: registration_expires?,
            passwords: passwords?,
        })
    }

    /// Each time must outlast the one before it, or a slow step would be cut off in a place where nobody knows its end.
    fn check(&self, environment: &mut Environment) {
        self.mail.check(self.keycloak.timeout, environment);
        self.broker.check(environment);
        let chain = [
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
        if self.registration_expires.is_some_and(|expires| expires <= self.mail.link_lifespan) {
            environment.fault::<()>("REGISTRATION_EXPIRES must be longer than MAIL_LINK_LIFESPAN");
        }
        if self.keycloak.timeout > self.keycloak.deadline {
            environment.fault::<()>("KEYCLOAK_DEADLINE must not be shorter than KEYCLOAK_TIMEOUT");
        }
    }
}

fn seconds(number: u64) -> Duration {
    Duration::from_secs(number)
}

/// The delays `{name}_BASE` to `{name}_MAX`.
fn backoff(
    environment: &mut Environment,
    name: &str,
    base: Option<Duration>,
    max: Option<Duration>,
) -> Option<Backoff> {
    Backoff::try_new(base?, max?).map_or_else(|error| environment.fault(format!("{name}_BASE and _MAX: {error}")), Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEEDED: [(&str, &str); 8] = [
        ("DATABASE_URL", "postgres://localhost/usher"),
        ("AMQP_URL", "amqp://usher:s3cret@localhost/usher"),
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
            ("AMQP_CONFIRM_TIMEOUT", "25s"),
            ("REGISTRATION_EXPIRES", "12h"),
        ] {
            assert!(read(&[(name, value)]).is_err(), "{name}={value}");
        }
    }

    const SMTP: [(&str, &str); 3] =
        [("MAIL_VIA", "smtp"), ("MAIL_FROM", "Usher <no-reply@example.org>"), ("SMTP_HOST", "mail.example.org")];

    fn read_smtp(more: &[(&str, &str)]) -> Result<WorkerConfig, String> {
        read(&[&SMTP, more].concat()).map_err(|faults| faults.to_string())
    }

    #[test]
    fn a_mail_of_our_own_needs_a_server_and_a_sender() {
        assert!(read_smtp(&[]).is_ok());
        let faults = read(&[("MAIL_VIA", "smtp")]).unwrap_err().to_string();
        for name in ["MAIL_FROM", "SMTP_HOST"] {
            assert!(faults.contains(name), "{name} is missing in:\n{faults}");
        }
        for (name, value) in [
            ("MAIL_FROM", "Usher"),
            ("MAIL_FROM", "Usher\r\nBcc: x@example.org <no-reply@example.org>"),
            ("MAIL_REPLY_TO", "nobody"),
            ("MAIL_RATE", "0"),
            ("SMTP_TLS", "opportunistic"),
            ("SMTP_EHLO_NAME", "worker.example.org\r\nMAIL"),
            ("SMTP_CA_FILE", "Cargo.toml"),
            ("EMAIL_USER", "usher"),
            ("EMAIL_PASSWORD", "s3cret"),
            ("SMTP_TIMEOUT", "10s"),
            ("MAIL_LINK_LIFESPAN", "31d"),
        ] {
            let faults = read_smtp(&[(name, value)]).unwrap_err();
            assert!(faults.contains(name) && !faults.contains("s3cret"), "{name}={value}:\n{faults}");
        }
        assert!(read_smtp(&[("EMAIL_USER", "usher"), ("EMAIL_PASSWORD", "s3cret")]).is_ok());
    }

    #[test]
    fn links_leave_this_machine_in_the_clear_only_when_that_is_said() {
        assert!(read_smtp(&[("SMTP_TLS", "none")]).is_err());
        assert!(read_smtp(&[("SMTP_TLS", "none-beyond-loopback")]).is_ok());
        for host in ["localhost", "127.0.0.1", "::1"] {
            assert!(read_smtp(&[("SMTP_TLS", "none"), ("SMTP_HOST", host)]).is_ok(), "{host}");
        }
    }
}

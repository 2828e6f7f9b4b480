//! What is asked for more than once: the same registration by its key, another mail for the same user.

use std::time::Duration;

use serde::Deserialize;
use shared::{config::Environment, store::mail_requests::Allowance};

/// `IDEMPOTENCY_*`
#[derive(Debug, Default, Deserialize)]
pub struct IdempotencySection {
    ttl: Option<String>,
}

impl IdempotencySection {
    pub const PREFIX: &'static str = "IDEMPOTENCY_";

    /// For how long the answer to a registration can be asked for again.
    pub(super) fn read(environment: &mut Environment) -> Option<Duration> {
        let raw: Self = environment.section(Self::PREFIX);
        environment.or("IDEMPOTENCY_TTL", raw.ttl, Duration::from_hours(24))
    }
}

/// `MAIL_REQUEST_*`
#[derive(Debug, Default, Deserialize)]
pub struct MailRequestSection {
    cooldown: Option<String>,
    daily: Option<String>,
}

impl MailRequestSection {
    pub const PREFIX: &'static str = "MAIL_REQUEST_";

    pub(super) fn read(environment: &mut Environment) -> Option<Allowance> {
        let raw: Self = environment.section(Self::PREFIX);
        let cooldown = environment.or("MAIL_REQUEST_COOLDOWN", raw.cooldown, Duration::from_mins(1));
        let daily = environment.or("MAIL_REQUEST_DAILY", raw.daily, 10);
        Some(Allowance { cooldown: cooldown?, daily: daily? })
    }
}

/// `CLEANUP_*`
#[derive(Debug, Default, Deserialize)]
pub struct CleanupSection {
    interval: Option<String>,
}

impl CleanupSection {
    pub const PREFIX: &'static str = "CLEANUP_";

    /// How often rows that are worth nothing any more are deleted.
    pub(super) fn read(environment: &mut Environment) -> Option<Duration> {
        let raw: Self = environment.section(Self::PREFIX);
        environment.or("CLEANUP_INTERVAL", raw.interval, Duration::from_mins(10))
    }
}

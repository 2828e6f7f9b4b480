//! Provisioning: how many at once, how long, how often.

use std::time::Duration;

use serde::Deserialize;
use shared::{backoff::Backoff, config::Environment};

use super::{backoff, seconds};

#[derive(Debug, Clone)]
pub struct ProvisionConfig {
    pub concurrency: u16,
    pub lease: Duration,
    /// What is left of the lease after the longest step.
    pub lease_margin: Duration,
    pub max_attempts: u32,
    pub retry: Backoff,
    /// How long a user is left alone when the fault is not the user's.
    pub snooze: Duration,
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

    pub(super) fn read(environment: &mut Environment) -> Option<ProvisionConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let concurrency = environment.or("PROVISION_CONCURRENCY", raw.concurrency, 16);
        let lease = environment.or("PROVISION_LEASE", raw.lease, seconds(30));
        let lease_margin = environment.or("PROVISION_LEASE_MARGIN", raw.lease_margin, seconds(10));
        let max_attempts = environment.or("PROVISION_MAX_ATTEMPTS", raw.max_attempts, 10);
        let base = environment.or("PROVISION_RETRY_BASE", raw.retry_base, seconds(5));
        let max = environment.or("PROVISION_RETRY_MAX", raw.retry_max, seconds(3600));
        let snooze = environment.or("PROVISION_SNOOZE", raw.snooze, seconds(10));
        let retry = backoff(environment, "PROVISION_RETRY", base, max);
        Some(ProvisionConfig {
            concurrency: concurrency?,
            lease: lease?,
            lease_margin: lease_margin?,
            max_attempts: max_attempts?,
            retry: retry?,
            snooze: snooze?,
        })
    }
}

//! The relay.

use std::time::Duration;

use serde::Deserialize;
use shared::{backoff::Backoff, config::Environment};

use super::{backoff, seconds};

#[derive(Debug, Clone)]
pub struct RelayConfig {
    pub batch: u32,
    pub poll_interval: Duration,
    /// For events that the broker did not take.
    pub retry: Backoff,
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

    pub(super) fn read(environment: &mut Environment) -> Option<RelayConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let batch = environment.or("RELAY_BATCH", raw.batch, 512);
        let poll_interval = environment.or("RELAY_POLL_INTERVAL", raw.poll_interval, seconds(1));
        let base = environment.or("RELAY_RETRY_BASE", raw.retry_base, seconds(1));
        let max = environment.or("RELAY_RETRY_MAX", raw.retry_max, seconds(300));
        let retry = backoff(environment, "RELAY_RETRY", base, max);
        Some(RelayConfig { batch: batch?, poll_interval: poll_interval?, retry: retry? })
    }
}

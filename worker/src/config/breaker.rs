//! The circuit breakers.

use serde::Deserialize;
use shared::{backoff::Backoff, config::Environment};

use super::{backoff, seconds};

#[derive(Debug, Clone, Copy)]
pub struct BreakerConfig {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long it stays open; doubles with every probe that fails.
    pub open: Backoff,
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

    pub(super) fn read(environment: &mut Environment) -> Option<BreakerConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let failures = environment.or("BREAKER_FAILURES", raw.failures, 5);
        let base = environment.or("BREAKER_OPEN_BASE", raw.open_base, seconds(5));
        let max = environment.or("BREAKER_OPEN_MAX", raw.open_max, seconds(60));
        let open = backoff(environment, "BREAKER_OPEN", base, max);
        Some(BreakerConfig { failures: failures?, open: open? })
    }
}

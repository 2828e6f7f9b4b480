//! The process itself: its ops port and how it ends.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;
use shared::config::{ConfigError, Environment};

use super::seconds;

#[derive(Debug, Clone)]
pub struct ProcessConfig {
    pub ops_listen: SocketAddr,
    /// How long a SIGTERM waits for what is in flight.
    pub drain_timeout: Duration,
    /// How long whoever sent it waits before SIGKILL.
    pub(super) termination_grace: Duration,
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

    pub(super) fn read(environment: &mut Environment) -> Option<ProcessConfig> {
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

/// Where health is answered, for who only wants to ask.
pub fn ops_listen(mut environment: Environment) -> Result<SocketAddr, ConfigError> {
    let config = WorkerSection::read(&mut environment);
    environment.finish(config.map(|config| config.ops_listen))
}

//! Where the api listens, and how patient it is.

use std::{net::SocketAddr, time::Duration};

use serde::Deserialize;
use shared::config::{ConfigError, Environment};

use crate::listener::Patience;

/// `API_*`
#[derive(Debug, Default, Deserialize)]
pub struct ApiSection {
    listen: Option<String>,
    ops_listen: Option<String>,
    drain_timeout: Option<String>,
    stall_timeout: Option<String>,
    idle_timeout: Option<String>,
    max_connections: Option<String>,
    max_connections_per_client: Option<String>,
    register_writers: Option<String>,
}

#[derive(Debug, Clone)]
pub struct ServerConfig {
    pub listen: SocketAddr,
    /// Health, on a port that is not published.
    pub ops_listen: SocketAddr,
    /// How long requests in flight may take after a SIGTERM.
    pub drain_timeout: Duration,
    pub patience: Patience,
    /// Connections from one address.
    pub connections_per_client: u32,
    /// How many registrations, or groups of them, are written at once.
    pub register_writers: u16,
}

impl ApiSection {
    pub const PREFIX: &'static str = "API_";

    pub(super) fn read(environment: &mut Environment) -> Option<ServerConfig> {
        let seconds = Duration::from_secs;
        let raw: Self = environment.section(Self::PREFIX);
        let listen = environment.or("API_LISTEN", raw.listen, SocketAddr::from(([0, 0, 0, 0], 8080)));
        let ops_listen = environment.or("API_OPS_LISTEN", raw.ops_listen, SocketAddr::from(([0, 0, 0, 0], 8081)));
        let drain_timeout = environment.or("API_DRAIN_TIMEOUT", raw.drain_timeout, seconds(20));
        let stall = environment.or("API_STALL_TIMEOUT", raw.stall_timeout, seconds(10));
        let idle = environment.or("API_IDLE_TIMEOUT", raw.idle_timeout, seconds(75));
        let connections = environment.or("API_MAX_CONNECTIONS", raw.max_connections, 4096);
        let per_client = environment.or("API_MAX_CONNECTIONS_PER_CLIENT", raw.max_connections_per_client, 256);
        let writers = environment.or("API_REGISTER_WRITERS", raw.register_writers, 1);
        if let (Some(stall), Some(drain)) = (stall, drain_timeout)
            && stall >= drain
        {
            environment.fault::<()>("API_STALL_TIMEOUT must be shorter than API_DRAIN_TIMEOUT");
        }
        let patience = Patience { stall: stall?, idle: idle?, connections: connections? };
        Some(ServerConfig {
            listen: listen?,
            ops_listen: ops_listen?,
            drain_timeout: drain_timeout?,
            patience,
            connections_per_client: per_client?,
            register_writers: writers?,
        })
    }
}

/// Where health is answered, for who only wants to ask.
pub fn ops_listen(mut environment: Environment) -> Result<SocketAddr, ConfigError> {
    let config = ApiSection::read(&mut environment);
    environment.finish(config.map(|config| config.ops_listen))
}

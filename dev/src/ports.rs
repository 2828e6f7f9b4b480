//! The ports of the stack, all on loopback and all derived from `DEV_PORT_BASE`, so that they meet neither the
//! standard ports of a system service nor those of a second checkout.

use std::{
    fs,
    net::TcpListener,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};

/// A process that was killed gives its ports back a little after it is gone.
const GIVEN_BACK_WITHIN: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(50);
/// The stack of `cargo dev chaos` lies so far above the one of its checkout: not at all where somebody would put the
/// next one.
const CHAOS: u16 = 730;
/// From 32768 on the kernel takes ports for outgoing connections, whoever planned to listen there.
const HIGHEST_BASE: u16 = 31_000;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    pub(crate) api: u16,
    pub(crate) api_ops: u16,
    pub(crate) api_2: u16,
    pub(crate) api_2_ops: u16,
    pub(crate) worker_1_ops: u16,
    pub(crate) worker_2_ops: u16,
    pub(crate) worker_3_ops: u16,
    pub(crate) smtp: u16,
    pub(crate) mail: u16,
    pub(crate) keycloak: u16,
    pub(crate) keycloak_management: u16,
    pub(crate) redis: u16,
    pub(crate) postgres: u16,
    pub(crate) epmd: u16,
    /// The second and the third only in the chaos of a cluster.
    pub(crate) brokers: [BrokerPorts; 3],
}

/// Of one node of RabbitMQ.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BrokerPorts {
    pub(crate) amqp: u16,
    pub(crate) management: u16,
    pub(crate) distribution: u16,
    pub(crate) metrics: u16,
}

impl Ports {
    pub(crate) fn from_base(base: u16) -> Result<Self> {
        ensure!(
            (1024..=HIGHEST_BASE).contains(&base),
            "DEV_PORT_BASE={base}: take a number from 1024 to {HIGHEST_BASE}"
        );
        Ok(Self::above(base))
    }

    pub(crate) fn of_chaos(self) -> Self {
        Self::above(self.api + CHAOS)
    }

    fn above(base: u16) -> Self {
        Self {
            api: base,
            api_ops: base + 1,
            api_2: base + 2,
            api_2_ops: base + 3,
            worker_1_ops: base + 11,
            worker_2_ops: base + 12,
            worker_3_ops: base + 13,
            smtp: base + 25,
            mail: base + 26,
            keycloak: base + 80,
            keycloak_management: base + 81,
            redis: base + 379,
            postgres: base + 432,
            epmd: base + 671,
            brokers: [BrokerPorts::from(base + 672), BrokerPorts::from(base + 676), BrokerPorts::from(base + 680)],
        }
    }
}

impl BrokerPorts {
    fn from(first: u16) -> Self {
        Self { amqp: first, management: first + 1, distribution: first + 2, metrics: first + 3 }
    }
}

/// Says who sits on a port before a service fails over it with words of its own.
pub(crate) async fn ensure_free(service: &str, port: u16) -> Result<()> {
    let asked = Instant::now();
    while TcpListener::bind(("127.0.0.1", port)).is_err() {
        if asked.elapsed() > GIVEN_BACK_WITHIN {
            return taken(service, port);
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

fn taken(service: &str, port: u16) -> Result<()> {
    let holder = holder(port).unwrap_or_else(|| "another process".to_owned());
    let elsewhere = if port < 20_000 { 25_000 } else { 15_000 };
    bail!(
        "{service} needs port {port}, which {holder} holds; stop it, or choose other ports, \
         for example DEV_PORT_BASE={elsewhere} cargo dev up"
    )
}

/// The process that listens on `port`, as far as this user may look.
fn holder(port: u16) -> Option<String> {
    let socket = ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().find_map(|table| listening_socket(table, port))?;
    let link = format!("socket:[{socket}]");
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid: u32 = process.file_name().to_str()?.parse().ok()?;
        let mut files = fs::read_dir(process.path().join("fd")).ok()?.flatten();
        files.find(|file| fs::read_link(file.path()).is_ok_and(|target| target.as_os_str() == link.as_str()))?;
        let name = fs::read_to_string(process.path().join("comm")).ok()?;
        Some(format!("process {pid} ({})", name.trim()))
    })
}

/// The inode in a line of the kernel's table: `sl local_address rem_address st … inode`, state 0A being LISTEN.
fn listening_socket(table: &str, port: u16) -> Option<String> {
    let local_end = format!(":{port:04X}");
    fs::read_to_string(table).ok()?.lines().find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        (fields.get(1)?.ends_with(&local_end) && *fields.get(3)? == "0A")
            .then(|| fields.get(9).map(ToString::to_string))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_names_its_holder_and_the_way_out() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = taken.local_addr().unwrap().port();
        let error = ensure_free("postgres", port).await.unwrap_err().to_string();
        assert!(error.contains(&format!("process {}", std::process::id())), "{error}");
        assert!(error.contains("DEV_PORT_BASE"), "{error}");
    }

    #[test]
    fn a_base_without_room_for_all_ports_is_refused() {
        assert!(Ports::from_base(35_000).is_err());
        let ports = Ports::from_base(25_000).unwrap();
        assert_eq!((ports.epmd, ports.brokers[2].metrics), (25_671, 25_683));
        assert!(ports.of_chaos().api > ports.brokers[2].metrics);
        let highest = Ports::from_base(HIGHEST_BASE).unwrap().of_chaos();
        assert!(highest.brokers[2].metrics < 32_768);
    }
}

//! `healthcheck`: asks the process beside it how it is. For containers, whose image has no other program that could.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use anyhow::{Context as _, bail};
use clap::Args;

use super::answer;

/// Longer than the process waits for its database before it says that it is not ready.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Debug, Args)]
pub struct Healthcheck {
    /// Whether it lives, instead of whether it is ready
    #[arg(long)]
    live: bool,
}

impl Healthcheck {
    /// `listen` is where the process listens for operations. Prints its answer, which is a fault unless it is well.
    #[tokio::main(flavor = "current_thread")]
    pub async fn run(self, listen: SocketAddr) -> anyhow::Result<()> {
        let path = if self.live { "live" } else { "ready" };
        // By no proxy, whatever the environment says: it is this machine that is asked.
        let http = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        let url = format!("http://{}/health/{path}", reachable(listen));
        let answer = http.get(url).send().await.with_context(|| format!("nobody answers at {listen}"))?;
        let (status, body) = (answer.status(), answer.text().await.unwrap_or_default());
        if !status.is_success() {
            bail!("not {path}: {body}");
        }
        answer::write(&format!("{body}\n")).map(drop)
    }
}

/// Whoever listens everywhere listens on loopback too.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_listens_everywhere_is_asked_on_loopback() {
        for (listen, asked) in
            [("0.0.0.0:8081", "127.0.0.1:8081"), ("[::]:8082", "[::1]:8082"), ("10.0.0.7:8081", "10.0.0.7:8081")]
        {
            assert_eq!(reachable(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}

//! What it takes to call a service ready: an answer that only a working one gives.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use sqlx::{Connection as _, PgConnection};
use tokio::{net::TcpStream, time::timeout};

const ANSWER_WITHIN: Duration = Duration::from_secs(3);

pub(crate) enum Probe {
    /// GET answers 200.
    Http(String),
    /// It accepts our login.
    Postgres(String),
    /// It accepts connections; for programs that have nothing to say.
    Tcp(u16),
}

impl Probe {
    pub(crate) async fn ask(&self) -> Result<()> {
        timeout(ANSWER_WITHIN, self.ask_patiently()).await.context("no answer")?
    }

    async fn ask_patiently(&self) -> Result<()> {
        match self {
            Self::Http(url) => {
                let status = reqwest::get(url).await?.status();
                if !status.is_success() {
                    bail!("HTTP {status}");
                }
            }
            Self::Postgres(url) => PgConnection::connect(url).await?.close().await?,
            Self::Tcp(port) => drop(TcpStream::connect(("127.0.0.1", *port)).await?),
        }
        Ok(())
    }
}

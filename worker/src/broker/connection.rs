//! Connections that are named, watched and made again.
//!
//! lapin's own recovery is not used: measured, it leaves outstanding confirms hanging for the whole outage and gives
//! up after 16 tries. Here a lost connection is an error at once, and the loop of its owner asks for the next one.

use std::{
    future::Future,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use lapin::{Channel, Connection, options::ConfirmSelectOptions};
use shared::telemetry::chain;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::dial::connect;
use crate::config::broker::{BrokerAddress, BrokerConfig, CALL_TIMEOUT};

/// A connection that held this long was good: the next try comes soon again.
const GOOD_FOR: Duration = Duration::from_secs(30);

/// What went wrong with the broker, by what was being done.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    #[error("could not {doing}")]
    Call {
        doing: &'static str,
        #[source]
        source: lapin::Error,
    },
    #[error("the broker did not answer in time to: {doing}")]
    Timeout { doing: &'static str },
    #[error("the connection was lost")]
    Lost,
    #[error("the broker takes no messages at the moment (memory or disk alarm)")]
    Blocked,
    #[error("the broker did not take a message for {queue}")]
    NotTaken { queue: &'static str },
    #[error("the broker ended the consumer; was its queue deleted?")]
    ConsumerEnded,
}

/// Waits for a call, but not for ever: lapin hangs while the broker blocks a connection.
pub async fn within<T>(doing: &'static str, call: impl Future<Output = lapin::Result<T>>) -> Result<T, BrokerError> {
    match timeout(CALL_TIMEOUT, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(source)) => Err(BrokerError::Call { doing, source }),
        Err(_) => Err(BrokerError::Timeout { doing }),
    }
}

/// Connects one role (`relay` or `consumer`) again and again, to one node of the broker after another.
pub struct Link {
    role: &'static str,
    config: BrokerConfig,
    shutdown: CancellationToken,
    up: Arc<AtomicBool>,
    /// Whose turn it is among the nodes: the next one's after each failure.
    turn: usize,
    failures: u32,
    since: Instant,
}

/// Whether a role is connected, for the health endpoint.
#[derive(Debug, Clone)]
pub struct LinkState {
    pub role: &'static str,
    up: Arc<AtomicBool>,
}

impl LinkState {
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }
}

impl Link {
    pub fn new(role: &'static str, config: &BrokerConfig, shutdown: CancellationToken) -> Self {
        let up = Arc::default();
        Self { role, config: config.clone(), shutdown, up, turn: 0, failures: 0, since: Instant::now() }
    }

    pub fn state(&self) -> LinkState {
        LinkState { role: self.role, up: Arc::clone(&self.up) }
    }

    /// The next connection, however long it takes; `None` when the process is ending.
    pub async fn connect(&mut self) -> Option<Connection> {
        loop {
            if let Some(pause) = self.pause() {
                self.shutdown.run_until_cancelled(sleep(pause)).await?;
            }
            match self.shutdown.run_until_cancelled(connect(self.role, self.node())).await? {
                Ok(connection) => {
                    tracing::info!(role = self.role, node = %self.node(), "connected to the broker");
                    self.up.store(true, Ordering::Relaxed);
                    self.since = Instant::now();
                    return Some(connection);
                }
                Err(error) => self.failed(&error),
            }
        }
    }

    /// The connection is of no use any more: after a fault, or because its owner is done.
    pub fn ended(&mut self, ended: Result<(), BrokerError>) {
        self.up.store(false, Ordering::Relaxed);
        if self.since.elapsed() >= GOOD_FOR {
            self.failures = 0;
        }
        if let Err(error) = ended {
            self.failed(&error);
        }
    }

    fn node(&self) -> &BrokerAddress {
        self.config.addresses.in_turn(self.turn)
    }

    /// Another node is tried at once; only when all have failed, a while passes.
    fn pause(&self) -> Option<Duration> {
        let nodes = u32::try_from(self.config.addresses.all().len()).unwrap_or(u32::MAX);
        let all_failed = self.failures > 0 && self.failures.is_multiple_of(nodes);
        all_failed.then(|| self.config.reconnect.delay(self.failures / nodes))
    }

    fn failed(&mut self, error: &BrokerError) {
        self.failures = self.failures.saturating_add(1);
        let (role, node, failures) = (self.role, self.node(), self.failures);
        tracing::warn!(role, %node, failures, error = chain(error), "no connection to the broker");
        self.turn = self.turn.wrapping_add(1);
    }
}

/// It may be broken already; then there is nothing to close.
pub async fn close(connection: Connection) {
    timeout(Duration::from_secs(2), connection.close(200, "bye".into())).await.ok();
}

/// A channel on which every message is confirmed.
pub async fn confirming_channel(connection: &Connection) -> Result<Channel, BrokerError> {
    let channel = within("open a channel", connection.create_channel()).await?;
    within("ask for confirms", channel.confirm_select(ConfirmSelectOptions::default())).await?;
    Ok(channel)
}

/// This process among all workers: `host#pid`.
pub fn instance() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|error: io::Error| {
        tracing::debug!(%error, "the host has no name to read");
        Ok::<_, io::Error>("localhost".to_owned())
    });
    format!("{}#{}", host.unwrap_or_default().trim(), std::process::id())
}

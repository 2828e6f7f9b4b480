//! Kills by the schedule, and starts again whoever is not there: what systemd or Kubernetes does for a deployment.

use std::time::Duration;

use anyhow::Result;
use tokio::time::{sleep, timeout_at};

use super::{
    losses::Losses,
    record::{Fault, Record},
    schedule::Strike,
    victim::Victim,
};
use crate::stack::Stack;

const POLL: Duration = Duration::from_millis(100);
/// Before a start is tried again: Keycloak, say, ends when its database is away.
const PAUSE: Duration = Duration::from_secs(1);

/// The life of one process.
pub(super) struct Supervisor<'a> {
    pub(super) stack: &'a Stack,
    pub(super) victim: Victim,
    pub(super) record: &'a Record,
    pub(super) losses: &'a Losses,
}

impl Supervisor<'_> {
    /// Ends when no more deaths are planned and it is of use again.
    pub(super) async fn run(&self, strikes: impl Iterator<Item = Strike>) -> Result<()> {
        for strike in strikes {
            let at = self.record.began + strike.at;
            // Ends by the time alone.
            timeout_at(at, self.keep_alive()).await.unwrap_or(());
            self.strike().await?;
            sleep(strike.down_for).await;
        }
        self.start().await;
        Ok(())
    }

    async fn strike(&self) -> Result<()> {
        if self.victim.kind.cuts_sends() {
            self.losses.a_kill_begins().await;
        }
        let killed = self.record.now();
        let was_there = self.victim.kill(self.stack).await?;
        if self.victim.kind.cuts_sends() {
            self.losses.a_kill_is_done().await;
        }
        if was_there {
            self.record.noted().faults.push(Fault { victim: self.victim, killed, ready: None });
        }
        Ok(())
    }

    /// For ever.
    async fn keep_alive(&self) {
        loop {
            self.start().await;
            while self.victim.is_running(self.stack) {
                sleep(POLL).await;
            }
            self.record.ended(self.victim);
        }
    }

    /// Until it is of use.
    async fn start(&self) {
        while self.victim.start(self.stack).await.is_err() {
            sleep(PAUSE).await;
        }
        let now = self.record.now();
        self.record.noted().is_back(self.victim, now);
    }

    /// From the moment when all are healed, nobody has a reason to end.
    pub(super) fn must_run(&self) {
        if !self.victim.is_running(self.stack) {
            self.record.ended(self.victim);
        }
    }
}

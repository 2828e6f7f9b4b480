//! Those who register: evenly over the time of the run, at either api, most of them until they are answered.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result};
use checker::{Client, client::GivenUp, history::Attempt};
use tokio::{
    task::JoinSet,
    time::{sleep_until, timeout},
};

use super::record::Record;

/// Everybody's username begins with it.
pub(super) const PREFIX: &str = "chaos-";
/// One in so many gives up after one try, so that some are attempted and, for all they know, not registered.
const IMPATIENT: u32 = 10;
/// As good as for ever: the run ends sooner.
const PATIENCE: Duration = Duration::from_hours(12);
/// After everything is healed.
const ANSWERED_WITHIN: Duration = Duration::from_mins(2);

pub(super) struct Crowd {
    client: Client,
    apis: Vec<String>,
    /// As a load balancer without health checks does: each try goes to the next one.
    turn: AtomicUsize,
    record: Record,
    users: u32,
    length: Duration,
}

impl Crowd {
    pub(super) fn new(users: u32, length: Duration, apis: Vec<String>, record: Record) -> Result<Arc<Self>> {
        let client = Client::new().context("cannot make a client")?;
        Ok(Arc::new(Self { client, apis, turn: AtomicUsize::new(0), record, users, length }))
    }

    /// Ends when the last one has come, and gives those who are not answered yet.
    pub(super) async fn come(self: Arc<Self>) -> JoinSet<()> {
        let mut waiting = JoinSet::new();
        for number in 0..self.users {
            sleep_until(self.record.began + self.length * number / self.users).await;
            waiting.spawn(Arc::clone(&self).register(number));
            while waiting.try_join_next().is_some() {}
        }
        waiting
    }

    async fn register(self: Arc<Self>, number: u32) {
        let username = format!("{PREFIX}{number}");
        let patience = if number % IMPATIENT == IMPATIENT - 1 { Duration::ZERO } else { PATIENCE };
        let now = self.record.now();
        self.record.noted().attempted.push(now);
        let answer = self.client.register(|| self.next_api(), &username, patience).await;
        let now = self.record.now();
        let mut noted = self.record.noted();
        match answer {
            Ok(_) => noted.acknowledged.push(now),
            Err(GivenUp::TooLate) => {}
            Err(GivenUp::Refused(status, text)) => noted.refused.push(format!("{username}: {status} {text}")),
        }
    }

    fn next_api(&self) -> String {
        self.apis[self.turn.fetch_add(1, Ordering::Relaxed) % self.apis.len()].clone()
    }

    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.client.attempts()
    }
}

/// Everything is healed: nobody has a reason to wait any longer.
pub(super) async fn all_answered(mut waiting: JoinSet<()>) -> Result<()> {
    timeout(ANSWERED_WITHIN, async { while waiting.join_next().await.is_some() {} })
        .await
        .with_context(|| format!("{} registrations are not answered, and everything is up", waiting.len()))
}

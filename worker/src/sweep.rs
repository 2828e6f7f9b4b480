//! The fallback: every user who is due, whatever became of the events.
//!
//! Sleeps until somebody is due, at most one interval. Any number of workers may sweep: the claim decides who works.

use std::{collections::HashMap, sync::Arc, time::Duration};

use shared::{
    crash_point::CrashPoint::SweepFound,
    domain::user::UserId,
    store::{StoreError, provisioning},
    telemetry::chain,
};
use sqlx::PgPool;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::{metrics, provisioner::Provisioner};

pub struct Sweep {
    pub pool: PgPool,
    pub provisioner: Arc<Provisioner>,
    pub interval: Duration,
    /// How many users it works on at once.
    pub width: usize,
}

/// Between two looks, even when somebody is due: whom we just took is still to be claimed.
const SHORTEST_SLEEP: Duration = Duration::from_millis(100);

impl Sweep {
    /// Sweeps for the life of the process.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), StoreError> {
        let mut jobs = Jobs::default();
        while !shutdown.is_cancelled() {
            let sleep = self.look(&mut jobs).await.unwrap_or_else(|error| {
                tracing::warn!(error = chain(&error), "cannot look for who is due");
                Duration::from_secs(1)
            });
            tokio::select! {
                () = tokio::time::sleep(sleep.clamp(SHORTEST_SLEEP, self.interval)) => {}
                () = self.provisioner.due_changed.notified() => {}
                () = jobs.one_ends(), if jobs.any() => {}
                () = shutdown.cancelled() => {}
            }
        }
        while jobs.any() {
            jobs.one_ends().await;
        }
        Ok(())
    }

    /// Takes on who is due. Says how long there is nothing more to do.
    async fn look(&self, jobs: &mut Jobs) -> Result<Duration, StoreError> {
        let breakers = &self.provisioner.breakers;
        let closed_for = breakers.keycloak.reopens_in().unwrap_or_default();
        let room = self.width.saturating_sub(jobs.running.len());
        if !closed_for.is_zero() || room == 0 {
            return Ok(closed_for.max(SHORTEST_SLEEP));
        }
        let with_mail = self.provisioner.may_mail();
        // An open breaker gets one probe.
        let probing = breakers.keycloak.is_open() || breakers.mail.is_open();
        let limit = if probing { 1 } else { room + jobs.running.len() };
        let due = provisioning::due(&self.pool, i64::try_from(limit).unwrap_or(i64::MAX), with_mail).await?;
        for user in &due {
            jobs.take_on(*user, &self.provisioner);
        }
        if !due.is_empty() {
            return Ok(SHORTEST_SLEEP);
        }
        let next = provisioning::next_due(&self.pool, with_mail).await?.unwrap_or(self.interval);
        Ok(breakers.mail.reopens_in().map_or(next, |reopens| next.min(reopens)))
    }
}

#[derive(Default)]
struct Jobs {
    set: JoinSet<()>,
    running: HashMap<Id, UserId>,
}

impl Jobs {
    fn any(&self) -> bool {
        !self.set.is_empty()
    }

    fn take_on(&mut self, user: UserId, provisioner: &Arc<Provisioner>) {
        if self.running.values().any(|running| *running == user) {
            return;
        }
        let provisioner = Arc::clone(provisioner);
        // No event led here, so it is a trace of its own; the run links to the registration's.
        let span = tracing::info_span!(parent: None, "sweep", user.id = %user);
        let found = async move {
            SweepFound.pass();
            metrics::sweep_found();
            tracing::info!(user.id = %user, "the sweep found a user who is due");
            if let Err(error) = provisioner.provision(user).await {
                tracing::warn!(user.id = %user, error = chain(&error), "the database does not answer");
            }
        };
        let task = self.set.spawn(found.instrument(span));
        self.running.insert(task.id(), user);
    }

    async fn one_ends(&mut self) {
        let id = match self.set.join_next_with_id().await {
            Some(Ok((id, ()))) => id,
            Some(Err(panic)) => log_panic(&panic),
            None => return,
        };
        self.running.remove(&id);
    }
}

fn log_panic(panic: &JoinError) -> Id {
    tracing::error!(%panic, "a job panicked; the others go on");
    panic.id()
}

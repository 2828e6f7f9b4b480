//! Where a fault strikes: an api, a worker process, a client who keeps what it was told, and an operator who looks on.

use std::{cell::Cell, time::Duration};

use checker::Report;
use serde_json::{Value, json};

use crate::harness::{
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    metrics::metric,
    process::{Binary, Process},
    proxy::Proxy,
    rabbit::{Probe, Vhost},
    readiness,
    reserved_port::ReservedPort,
    system::{PATIENCE, Plan, Registered, System},
    witness::{Beyond, Witness},
};

pub(super) const QUEUE: &str = "usher.user-created";

pub(super) struct Scene {
    pub(super) keycloak: FakeKeycloak,
    pub(super) system: System,
    pub(super) worker: Process,
    pub(super) witness: Witness,
    ops: ReservedPort,
    registered: Cell<usize>,
}

/// Only events lead to Keycloak: no sweep makes up for one that is lost. So on a busy machine nobody may lose a lease or
/// wait in vain for a connection.
pub(super) fn by_events_alone(keycloak: &FakeKeycloak) -> Plan {
    let plan = Plan::on(keycloak.access()).set("SWEEP_INTERVAL", "1h");
    plan.set("PROVISION_LEASE", "1m").set("PROVISION_CONCURRENCY", "2")
}

/// How many rows of `users` satisfy the condition.
pub(super) async fn count(system: &System, condition: &'static str) -> i64 {
    let mut count = sqlx::QueryBuilder::new("SELECT count(*) FROM users WHERE ");
    count.push(condition);
    count.build_query_scalar().fetch_one(system.pool()).await.expect("the rows can be counted")
}

impl Scene {
    pub(super) async fn set(plan: Plan, vhost: Vhost, keycloak: FakeKeycloak) -> Self {
        let system = plan.workers(0).start_on(vhost).await;
        let worker = Binary::worker().envs(system.settings());
        Self::with_worker(worker, system, keycloak)
    }

    pub(super) fn with_worker(worker: Binary, system: System, keycloak: FakeKeycloak) -> Self {
        let (witness, ops) = (Witness::of(&system), ReservedPort::new());
        let worker = worker.env("WORKER_OPS_LISTEN", ops.address().to_string()).start();
        Self { keycloak, system, worker, witness, ops, registered: Cell::new(0) }
    }

    /// So many more, each of whom is told that it is done.
    pub(super) async fn register(&self, number: usize) -> Vec<Registered> {
        let before = self.registered.replace(self.registered.get() + number);
        let usernames = self.witness.usernames(before + number).split_off(before);
        self.witness.register(&self.system.api_url(), &usernames).await
    }

    /// So many more, all in a moment.
    pub(super) async fn write(&self, number: usize) {
        let before = self.registered.replace(self.registered.get() + number);
        self.witness.write(&self.witness.usernames(before + number)[before..]).await;
    }

    /// What is slow is not taken for away: people are served, and no worker says `complaint`.
    pub(super) async fn goes_on_slowly(self, line: &Proxy, delay: Duration, complaint: &str) -> Report {
        line.delay(delay);
        self.serve(5).await;
        self.until_degraded(&[]).await;
        assert!(!self.worker.output().contains(complaint));

        line.restore().await;
        self.serve(3).await;
        self.all_is_well().await
    }

    /// So many who are complete: everything is connected and has worked.
    pub(super) async fn serve(&self, number: usize) {
        let users = self.register(number).await;
        self.until_complete(&users).await;
    }

    pub(super) async fn until_complete(&self, users: &[Registered]) {
        for user in users {
            self.system.until_complete(user).await;
        }
    }

    pub(super) async fn until_published(&self) {
        eventually("every event is published", PATIENCE, async || match self.system.outbox_depth().await {
            0 => Ok(()),
            depth => Err(depth),
        })
        .await;
    }

    /// Of the worker.
    pub(super) async fn metric(&self, name: &str, labels: &[&str]) -> u64 {
        metric(&self.ops, name, labels).await
    }

    pub(super) async fn probe(&self) -> Probe {
        self.system.vhost.probe().await
    }

    /// Waits until the worker is ready and says that it does without these, and no others.
    pub(super) async fn until_degraded(&self, parts: &[&str]) {
        let wanted = (200, json!({ "status": "ready", "degraded": parts }));
        self.until_readiness(wanted).await;
    }

    pub(super) async fn until_readiness(&self, wanted: (u16, Value)) {
        readiness::until_readiness(self.ops.address(), wanted, PATIENCE).await;
    }

    /// Healed, by itself: nobody is lost, doubled, hijacked, parked or stuck, and nothing was done twice.
    pub(super) async fn all_is_well(mut self) -> Report {
        self.until_degraded(&[]).await;
        let report = self.witness.all_is_well(Beyond::Fake(&self.keycloak)).await;
        assert_eq!(report.acknowledged, self.registered.get(), "{report}");
        assert_eq!((report.parked, report.duplicate_mails), (0, 0), "{report}");
        let probe = self.probe().await;
        assert!(self.worker.is_running() && self.worker.stop().await.success());
        assert_eq!(probe.depth(QUEUE).await, Some(0), "the worker gave back what it had not acknowledged");
        report
    }
}

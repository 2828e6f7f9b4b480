//! What a worker measures.

use std::{sync::LazyLock, time::Duration};

use chrono::Utc;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Gauge, Histogram},
};
use shared::{
    metrics::{ALONE, by, counter, duration, meter, tell_build, watch_pool},
    store::{StoreError, census::Census, provisioning::ClaimedUser},
};
use sqlx::PgPool;

use crate::{
    broker::topology::WORK_QUEUES,
    outcome::{Step, Verdict},
    provisioner::Provisioned,
    settle::Settlement,
};

static RUNS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let outcomes =
        ["done", "postponed", "parked", "not_ours", "unknown", "overtaken", "paused", "panicked", "database_away"];
    counter("usher.provisioning.runs", "Runs of the provisioner", by("outcome", outcomes))
});

static FAILURES: LazyLock<Counter<u64>> = LazyLock::new(|| {
    counter("usher.provisioning.failures", "Runs that met a failure", by("verdict", ["retry", "snooze", "park"]))
});

static STEPS: LazyLock<Histogram<f64>> =
    LazyLock::new(|| duration("usher.provisioning.step.duration", "One step that leaves the house"));

static COMPLETION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    duration("usher.registration.completion.duration", "From the commit to the first mail's acceptance")
});

static CONSUMED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let outcomes = ["ack", "requeue", "dead"];
    let series = WORK_QUEUES.into_iter().flat_map(|queue| outcomes.map(|outcome| of_queue(outcome, queue.name)));
    counter("messaging.client.consumed.messages", "Messages that were settled", series)
});

static REDELIVERED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("usher.consumer.redeliveries", "Messages that came again", ALONE));

static SENT: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let outcomes = ["confirmed", "returned", "nacked", "silence"];
    counter("messaging.client.sent.messages", "Events that were sent to the broker", by("outcome", outcomes))
});

static SWEEP_FINDS: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("usher.sweep.finds", "Users whom no event had led to a worker in time", ALONE));

static OUTBOX_PENDING: LazyLock<Gauge<u64>> =
    LazyLock::new(|| gauge("usher.outbox.pending", "Events that are not published, up to 10,000"));
static OUTBOX_AGE: LazyLock<Gauge<f64>> = LazyLock::new(|| {
    let description = "Age of the event that waits longest";
    meter().f64_gauge("usher.outbox.oldest.age").with_unit("s").with_description(description).build()
});
static WAITING: LazyLock<Gauge<u64>> =
    LazyLock::new(|| gauge("usher.users.waiting", "Users who are not complete and not parked, up to 10,000"));
static PARKED: LazyLock<Gauge<u64>> =
    LazyLock::new(|| gauge("usher.users.parked", "Users who wait for an operator, up to 10,000"));

fn gauge(name: &'static str, description: &'static str) -> Gauge<u64> {
    meter().u64_gauge(name).with_description(description).build()
}

/// Its name, and whether it is up.
pub type Part = (&'static str, Box<dyn Fn() -> bool + Send + Sync>);

/// Lets everything be there before something happens.
pub fn begin(pool: &PgPool, parts: Vec<Part>) {
    tell_build(env!("CARGO_PKG_VERSION"), option_env!("USHER_COMMIT"));
    watch_pool(pool.clone(), "worker");
    for counter in [&RUNS, &FAILURES, &CONSUMED, &REDELIVERED, &SENT, &SWEEP_FINDS] {
        LazyLock::force(counter);
    }
    let meter = meter();
    let up = meter.u64_observable_gauge("usher.downstream.up").with_description("1: it is asked; 0: it is given time");
    up.with_callback(move |observer| {
        for (name, is_up) in &parts {
            observer.observe(is_up().into(), &[KeyValue::new("downstream", *name)]);
        }
    })
    .build();
}

pub fn run_ended(result: &Result<Provisioned, StoreError>) {
    let outcome = match result {
        Ok(Provisioned::Done) => "done",
        Ok(Provisioned::Postponed) => "postponed",
        Ok(Provisioned::Parked) => "parked",
        Ok(Provisioned::NotOurs) => "not_ours",
        Ok(Provisioned::Unknown) => "unknown",
        Ok(Provisioned::Overtaken) => "overtaken",
        Ok(Provisioned::Paused) => "paused",
        Ok(Provisioned::Panicked) => "panicked",
        Err(_) => "database_away",
    };
    RUNS.add(1, &[KeyValue::new("outcome", outcome)]);
}

pub fn failed(verdict: Verdict) {
    let verdict = match verdict {
        Verdict::Retry => "retry",
        Verdict::Snooze { .. } => "snooze",
        Verdict::Park { .. } => "park",
    };
    FAILURES.add(1, &[KeyValue::new("verdict", verdict)]);
}

pub fn stepped(step: Step, succeeded: bool, took: Duration) {
    let step = match step {
        Step::Account => "account",
        Step::Mail => "mail",
    };
    let labels = [KeyValue::new("step", step), KeyValue::new("succeeded", succeeded)];
    STEPS.record(took.as_secs_f64(), &labels);
}

/// A mail was accepted. Only the first one ends what a registration began.
pub fn mailed(user: &ClaimedUser) {
    if user.mail_wanted == 1 {
        let took = (Utc::now() - user.created_at).to_std().unwrap_or_default();
        COMPLETION.record(took.as_secs_f64(), &[]);
    }
}

pub fn settled(queue: &'static str, settlement: &Settlement, redelivered: bool) {
    let outcome = match settlement {
        Settlement::Ack => "ack",
        Settlement::Requeue => "requeue",
        Settlement::Dead { .. } => "dead",
    };
    CONSUMED.add(1, &of_queue(outcome, queue));
    REDELIVERED.add(redelivered.into(), &[]);
}

fn of_queue(outcome: &'static str, queue: &'static str) -> Vec<KeyValue> {
    vec![KeyValue::new("outcome", outcome), KeyValue::new("messaging.destination.name", queue)]
}

pub fn sent(outcome: &'static str) {
    SENT.add(1, &[KeyValue::new("outcome", outcome)]);
}

pub fn sweep_found() {
    SWEEP_FINDS.add(1, &[]);
}

pub fn counted(census: &Census) {
    OUTBOX_PENDING.record(census.outbox_pending, &[]);
    OUTBOX_AGE.record(census.outbox_oldest.as_secs_f64(), &[]);
    WAITING.record(census.users_waiting, &[]);
    PARKED.record(census.users_parked, &[]);
}

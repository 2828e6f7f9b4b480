//! What a worker measures.

mod waiting;

use std::{
    future::Future,
    sync::LazyLock,
    time::{Duration, Instant},
};

use chrono::Utc;
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram, UpDownCounter},
};
use shared::{
    metrics::{ALONE, by, counter, duration, duration_within, meter, tell_build, watch_pool},
    store::{StoreError, provisioning::ClaimedUser},
};
use sqlx::PgPool;
pub use waiting::{counted, database_is_up};

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
    LazyLock::new(|| duration("usher.provisioning.step.duration", "One step of a run"));

/// From what a good day takes to what an outage does.
const UP_TO_HOURS: [f64; 14] =
    [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 86400.0];

static COMPLETION: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    let description = "From the commit to the first mail's acceptance";
    duration_within("usher.registration.completion.duration", description, &UP_TO_HOURS)
});

static IN_FLIGHT: LazyLock<UpDownCounter<i64>> = LazyLock::new(|| {
    let description = "Messages that are not settled yet";
    meter().i64_up_down_counter("usher.consumer.in_flight").with_description(description).build()
});

static CLAIM: LazyLock<Histogram<f64>> =
    LazyLock::new(|| duration("usher.relay.claim.duration", "Claiming a batch of events"));

static BATCH: LazyLock<Histogram<u64>> = LazyLock::new(|| {
    let (description, boundaries) = ("Events published together", (0..=10).map(|power| 2_f64.powi(power)).collect());
    meter().u64_histogram("usher.relay.batch.size").with_description(description).with_boundaries(boundaries).build()
});

static TOKEN_REFRESHES: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let outcomes = by("outcome", ["fetched", "failed"]);
    counter("usher.keycloak.token.refreshes", "Logins of the service account", outcomes)
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

static EXPIRY_LOOKS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let outcomes = by("outcome", ["erased", "kept"]);
    counter("usher.registration.expiry.looks", "Registrations whose time was over", outcomes)
});

/// Its name, and whether it is up.
pub type Part = (&'static str, Box<dyn Fn() -> bool + Send + Sync>);

/// Lets everything be there before something happens.
pub fn begin(pool: &PgPool, parts: Vec<Part>) {
    tell_build(env!("CARGO_PKG_VERSION"), option_env!("USHER_COMMIT"));
    watch_pool(pool.clone(), "worker");
    for counter in [&RUNS, &FAILURES, &CONSUMED, &REDELIVERED, &SENT, &SWEEP_FINDS, &EXPIRY_LOOKS, &TOKEN_REFRESHES] {
        LazyLock::force(counter);
    }
    IN_FLIGHT.add(0, &[]);
    waiting::begin();
    let meter = meter();
    let up = meter
        .u64_observable_gauge("usher.downstream.up")
        .with_description("1: it is asked; 0: it does not answer, or is given time");
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
    record_step(step, succeeded, took);
}

/// Measures a step that asks the database. It succeeds when the database answers.
pub async fn timed<T>(
    step: &'static str,
    asking: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    let began = Instant::now();
    let answer = asking.await;
    record_step(step, answer.is_ok(), began.elapsed());
    answer
}

fn record_step(step: &'static str, succeeded: bool, took: Duration) {
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

/// Counts a message as long as it is not settled: until the answer is dropped.
#[must_use]
pub fn in_flight() -> impl Drop {
    struct InFlight;
    impl Drop for InFlight {
        fn drop(&mut self) {
            IN_FLIGHT.add(-1, &[]);
        }
    }
    IN_FLIGHT.add(1, &[]);
    InFlight
}

/// A batch that is not empty.
pub fn claimed(events: usize, took: Duration) {
    BATCH.record(events.try_into().unwrap_or(u64::MAX), &[]);
    CLAIM.record(took.as_secs_f64(), &[]);
}

pub fn token_refreshed(fetched: bool) {
    TOKEN_REFRESHES.add(1, &[KeyValue::new("outcome", if fetched { "fetched" } else { "failed" })]);
}

pub fn sent(outcome: &'static str) {
    SENT.add(1, &[KeyValue::new("outcome", outcome)]);
}

pub fn sweep_found() {
    SWEEP_FINDS.add(1, &[]);
}

/// Nobody confirmed it, or the account is in use.
pub fn looked_at_an_expired(erased: bool) {
    EXPIRY_LOOKS.add(1, &[KeyValue::new("outcome", if erased { "erased" } else { "kept" })]);
}

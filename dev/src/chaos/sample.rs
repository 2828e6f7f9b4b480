//! How far everything is, each second.

use std::{future::Future, time::Duration};

use anyhow::Result;
use checker::Places;
use tokio::time::{Instant, sleep_until, timeout};

use super::record::{Record, Sample};

const EVERY: Duration = Duration::from_secs(1);
/// A loaded machine takes a while to connect.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// On the screen.
const TOLD_EVERY: Duration = Duration::from_secs(10);

/// For ever.
pub(super) async fn take(record: &Record, places: &Places) {
    let mut told = Instant::now();
    loop {
        let due = Instant::now() + EVERY;
        let at = record.now();
        let (progress, queued) = tokio::join!(in_time(places.progress()), in_time(places.queued()));
        let sample = Sample {
            at,
            outbox: progress.map(|it| it.outbox.unsigned_abs()),
            provisioned: progress.map(|it| it.provisioned.unsigned_abs()),
            queued,
        };
        record.noted().samples.push(sample);
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            tell(record);
        }
        sleep_until(due).await;
    }
}

/// None while the one who is asked is down.
async fn in_time<T>(answer: impl Future<Output = Result<T>>) -> Option<T> {
    timeout(ANSWER_WITHIN, answer).await.ok()?.ok()
}

fn tell(record: &Record) {
    let now = record.now();
    let noted = record.noted();
    println!(
        "{now:>6.0} s  {:>4} kills, {:>6} attempted, {:>6} acknowledged, {:>6} provisioned, {:>5} in the outbox, {:>5} queued",
        noted.faults.len(),
        noted.attempted.len(),
        noted.acknowledged.len(),
        noted.latest(|sample| sample.provisioned),
        noted.latest(|sample| sample.outbox),
        noted.latest(|sample| sample.queued),
    );
}

//! At a given rate, whether or not what is asked keeps up.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use anyhow::Result;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Asks `count` times, `rate` times a second, with as many at once as there are `askers`. Returns how long each answer
/// took: from the time when it was due if everybody was busy then, else from when it was asked, which is up to a
/// millisecond of the timer later.
pub(crate) async fn at_rate<A, F>(rate: u32, count: u32, askers: Vec<A>) -> Result<Vec<Duration>>
where
    A: FnMut() -> F + Send + 'static,
    F: Future<Output = Result<()>> + Send,
{
    let (next, began) = (Arc::new(AtomicU32::new(0)), Instant::now());
    let mut asking = JoinSet::new();
    for mut asker in askers {
        let next = Arc::clone(&next);
        asking.spawn(async move {
            let mut times = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return anyhow::Ok(times);
                }
                let due = began + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
                let on_time = due > Instant::now();
                sleep_until(due).await;
                let from = if on_time { Instant::now() } else { due };
                asker().await?;
                times.push(from.elapsed());
            }
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = asking.join_next().await {
        times.extend(ended??);
    }
    Ok(times)
}

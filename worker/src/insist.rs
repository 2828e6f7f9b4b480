//! Writing down what has happened outside.
//!
//! What Keycloak or a mail server has done is not undone by a database that stumbles just then: unless it is written down,
//! it is done again. A write that is late harms nobody. It says whose claim it belongs to, and while the database is away
//! nobody else can claim the user either.

use std::{future::Future, time::Duration};

use shared::{backoff::jittered, store::StoreError, telemetry::chain};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(500);

/// Tries a write that may be repeated, for `patience` or until the process is about to end.
pub async fn insist<T, Answer>(
    patience: Duration,
    closing: &CancellationToken,
    write: impl Fn() -> Answer,
) -> Result<T, StoreError>
where
    Answer: Future<Output = Result<T, StoreError>>,
{
    let give_up = Instant::now() + patience;
    loop {
        let error = match write().await {
            Ok(written) => return Ok(written),
            Err(error) => error,
        };
        let goes_on = Instant::now() < give_up && closing.run_until_cancelled(sleep(jittered(PAUSE))).await.is_some();
        if !goes_on {
            return Err(error);
        }
        tracing::warn!(error = chain(&error), "not written down yet");
    }
}

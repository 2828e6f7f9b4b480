//! Counts who waits, again and again, for the [`metrics`].

use std::{convert::Infallible, time::Duration};

use shared::{store::census, telemetry::chain};
use sqlx::PgPool;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::metrics;

/// As often as Prometheus usually asks.
const INTERVAL: Duration = Duration::from_secs(15);

/// Until the process ends. Every worker counts the same: what they say is to be compared, not added up.
pub async fn run(pool: PgPool, shutdown: CancellationToken) -> Result<(), Infallible> {
    let count = async {
        loop {
            match census::take(&pool).await {
                Ok(census) => metrics::counted(census),
                Err(error) => tracing::debug!(error = chain(&error), "cannot count who waits"),
            }
            sleep(INTERVAL).await;
        }
    };
    shutdown.run_until_cancelled(count).await;
    Ok(())
}

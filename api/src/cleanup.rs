//! Deleting rows that are worth nothing any more, a few at a time, so that no registration waits for it.

use std::{convert::Infallible, time::Duration};

use shared::{
    store::{StoreError, idempotency_keys, mail_requests},
    telemetry::chain,
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

/// In one statement.
const BATCH: i64 = 500;

/// What is deleted, and how often.
#[derive(Debug, Clone)]
pub struct Cleanup {
    pub pool: PgPool,
    pub interval: Duration,
    /// Younger requests for a mail are still looked at.
    pub cooldown: Duration,
}

impl Cleanup {
    /// Cleans up for the life of the process. Any number of processes may: each passes over what another deletes.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        while shutdown.run_until_cancelled(tokio::time::sleep(self.interval)).await.is_some() {
            match self.all(&shutdown).await {
                Ok(0) => {}
                Ok(deleted) => tracing::info!(deleted, "rows were deleted that are worth nothing any more"),
                Err(error) => tracing::warn!(error = chain(&error), "could not clean up; will try again"),
            }
        }
        Ok(())
    }

    async fn all(&self, shutdown: &CancellationToken) -> Result<u64, StoreError> {
        Ok(self.delete(Rows::Keys, shutdown).await? + self.delete(Rows::MailRequests, shutdown).await?)
    }

    /// Until a batch was not full any more.
    async fn delete(&self, rows: Rows, shutdown: &CancellationToken) -> Result<u64, StoreError> {
        let mut deleted = 0;
        while !shutdown.is_cancelled() {
            let batch = match rows {
                Rows::Keys => idempotency_keys::delete_expired(&self.pool, BATCH).await?,
                Rows::MailRequests => mail_requests::delete_old(&self.pool, self.cooldown, BATCH).await?,
            };
            deleted += batch;
            if batch < BATCH.unsigned_abs() {
                break;
            }
        }
        Ok(deleted)
    }
}

#[derive(Clone, Copy)]
enum Rows {
    Keys,
    MailRequests,
}

//! Health, on the listener for operations: whether this process lives, and whether it should be sent requests.
//!
//! RabbitMQ, Keycloak and mail are not asked. Registration does without them, so their absence makes nobody unready.
//! Nor does a database that may only be read: what only reads goes on, and a registration is told more by our 503 than by
//! that of a proxy with nobody left to ask.

use std::time::Duration;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use serde::Serialize;
use shared::{store, telemetry};
use sqlx::PgPool;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::metrics::metrics;

const PATIENCE: Duration = Duration::from_secs(1);

/// What readiness depends on.
#[derive(Debug, Clone)]
pub struct Probe {
    /// Not the pool of the requests: to be busy is not to be ill.
    pub pool: PgPool,
    pub shutdown: CancellationToken,
}

/// Why this process should not be sent requests.
#[derive(Debug, thiserror::Error)]
enum Unready {
    #[error("the process is shutting down")]
    ShuttingDown,
    #[error("the database did not answer within {PATIENCE:?}")]
    Late,
    #[error("the database cannot be asked")]
    Database(#[source] store::StoreError),
    #[error("the schema is older than this binary; run `usher-api migrate`")]
    Schema,
}

#[derive(Debug, Serialize)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// What the listener for operations answers.
pub fn router(probe: Probe) -> Router {
    let health = Router::new().route("/health/live", get(live)).route("/health/ready", get(ready)).with_state(probe);
    health.route("/metrics", get(metrics))
}

async fn live() -> Json<Health> {
    Json(Health { status: "live", failed: None, detail: None })
}

async fn ready(State(probe): State<Probe>) -> (StatusCode, Json<Health>) {
    match check(&probe).await {
        Ok(()) => (StatusCode::OK, Json(Health { status: "ready", failed: None, detail: None })),
        Err(unready) => {
            tracing::warn!(error = telemetry::chain(&unready), "not ready");
            let (failed, detail) = (Some(unready.check()), Some(unready.to_string()));
            (StatusCode::SERVICE_UNAVAILABLE, Json(Health { status: "unready", failed, detail }))
        }
    }
}

async fn check(probe: &Probe) -> Result<(), Unready> {
    if probe.shutdown.is_cancelled() {
        return Err(Unready::ShuttingDown);
    }
    match timeout(PATIENCE, store::schema_is_current(&probe.pool)).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(Unready::Schema),
        Ok(Err(error)) => Err(Unready::Database(error)),
        Err(_elapsed) => Err(Unready::Late),
    }
}

impl Unready {
    /// The check that failed.
    fn check(&self) -> &'static str {
        match self {
            Self::ShuttingDown => "shutdown",
            Self::Late | Self::Database(_) => "database",
            Self::Schema => "schema",
        }
    }
}

//! What an orchestrator asks the worker, on a port of its own.
//!
//! Ready means that the worker can do its work as far as it is itself concerned: the database answers and its schema is
//! at least what this binary needs. A broker or a Keycloak that is down is no reason to restart workers, nor is a
//! database that may only be read; it is shown as degraded.

use std::{future::IntoFuture as _, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use serde_json::{Value, json};
use shared::{metrics, store};
use sqlx::PgPool;
use tokio::{
    net::TcpListener,
    sync::watch,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{broker::connection::LinkState, provisioner::Provisioner};

/// How long the database may take to answer whoever asks for readiness.
const PATIENCE: Duration = Duration::from_secs(1);
/// For the answers that are under way when all else is done: longer than the slowest takes.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

pub struct Health {
    pub pool: PgPool,
    pub links: Vec<LinkState>,
    pub provisioner: Arc<Provisioner>,
    /// Set while the consumer waits for it.
    pub database_away: watch::Receiver<bool>,
    pub shutdown: CancellationToken,
}

impl Health {
    /// Answers until everything in flight is `drained`, and then what has been asked, but not for long.
    pub async fn serve(self, listener: TcpListener, drained: CancellationToken) -> std::io::Result<()> {
        let routes = Router::new()
            .route("/health/live", get(|| async { Json(json!({ "status": "live" })) }))
            .route("/health/ready", get(ready))
            .route("/metrics", get(|| async { ([(CONTENT_TYPE, metrics::MEDIA_TYPE)], metrics::text()) }))
            .with_state(Arc::new(self));
        let stop = drained.clone().cancelled_owned();
        let served = axum::serve(listener, routes).with_graceful_shutdown(stop).into_future();
        tokio::select! {
            ended = served => ended,
            // Somebody never finishes to ask: nothing of ours is in flight, so this is no failure.
            () = overtime(&drained) => Ok(()),
        }
    }

    fn degraded(&self) -> Vec<&'static str> {
        let links = self.links.iter().filter(|link| !link.is_up()).map(|link| link.role);
        let breakers = [("keycloak", &self.provisioner.breakers.keycloak), ("mail", &self.provisioner.breakers.mail)];
        let open = breakers.into_iter().filter(|(_, breaker)| breaker.is_open()).map(|(name, _)| name);
        let database = self.database_away.borrow().then_some("database");
        let unlinked = self.provisioner.mailer().lacks_links().then_some("action link");
        links.chain(database).chain(open).chain(unlinked).collect()
    }
}

/// Ends some time after all else has.
async fn overtime(drained: &CancellationToken) {
    drained.cancelled().await;
    sleep(LAST_ANSWERS).await;
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, Json<Value>) {
    let schema = timeout(PATIENCE, store::schema_is_current(&health.pool)).await;
    let fault = match schema {
        _ if health.shutdown.is_cancelled() => "shutting down",
        Ok(Ok(true)) => return (StatusCode::OK, Json(json!({ "status": "ready", "degraded": health.degraded() }))),
        Ok(Ok(false)) => "the database schema is older than this worker; run usher-api migrate",
        Ok(Err(_)) | Err(_) => "the database does not answer",
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not ready", "fault": fault })))
}

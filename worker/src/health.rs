//! What an orchestrator asks the worker, on a port of its own.
//!
//! Ready means that the worker can do its work as far as it is itself concerned: the database answers and its schema is
//! at least what this binary needs. A broker or a Keycloak that is down is no reason to restart workers; it is shown as
//! degraded.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    routing::get,
};
use serde_json::{Value, json};
use shared::{metrics, store};
use sqlx::PgPool;
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::{broker::connection::LinkState, provisioner::Provisioner};

pub struct Health {
    pub pool: PgPool,
    pub links: Vec<LinkState>,
    pub provisioner: Arc<Provisioner>,
    pub shutdown: CancellationToken,
}

impl Health {
    /// Answers until everything in flight is `drained`.
    pub async fn serve(self, listener: TcpListener, drained: CancellationToken) -> std::io::Result<()> {
        let routes = Router::new()
            .route("/health/live", get(|| async { Json(json!({ "status": "live" })) }))
            .route("/health/ready", get(ready))
            .route("/metrics", get(|| async { ([(CONTENT_TYPE, metrics::MEDIA_TYPE)], metrics::text()) }))
            .with_state(Arc::new(self));
        axum::serve(listener, routes).with_graceful_shutdown(drained.cancelled_owned()).await
    }

    fn degraded(&self) -> Vec<&'static str> {
        let links = self.links.iter().filter(|link| !link.is_up()).map(|link| link.role);
        let breakers = [("keycloak", &self.provisioner.breakers.keycloak), ("mail", &self.provisioner.breakers.mail)];
        let open = breakers.into_iter().filter(|(_, breaker)| breaker.is_open()).map(|(name, _)| name);
        links.chain(open).chain(self.provisioner.mailer().lacks_links().then_some("action link")).collect()
    }
}

async fn ready(State(health): State<Arc<Health>>) -> (StatusCode, Json<Value>) {
    let schema = timeout(Duration::from_secs(1), store::schema_is_current(&health.pool)).await;
    let fault = match schema {
        _ if health.shutdown.is_cancelled() => "shutting down",
        Ok(Ok(true)) => return (StatusCode::OK, Json(json!({ "status": "ready", "degraded": health.degraded() }))),
        Ok(Ok(false)) => "the database schema is older than this worker; run usher-api migrate",
        Ok(Err(_)) | Err(_) => "the database does not answer",
    };
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "status": "not ready", "fault": fault })))
}

//! `/metrics`, on the listener for operations.

use axum::{http::header, response::IntoResponse};
use shared::metrics;

/// In Prometheus' text format.
pub async fn metrics() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, metrics::MEDIA_TYPE)], metrics::text())
}

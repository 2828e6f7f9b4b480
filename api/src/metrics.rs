//! What the api measures.

use std::{sync::LazyLock, time::Duration};

use axum::http::{Method, StatusCode};
use opentelemetry::{
    KeyValue,
    metrics::{Counter, Histogram},
};
use shared::metrics::{ALONE, by, counter, duration, tell_build, watch_pool};
use sqlx::PgPool;

use crate::registration::{Created, RegisterError};

static REQUESTS: LazyLock<Histogram<f64>> =
    LazyLock::new(|| duration("http.server.request.duration", "Answering a request"));

static REGISTRATIONS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    let outcomes = ["created", "replayed", "taken", "other_request", "unavailable"];
    counter("usher.registrations", "Registrations that were understood", by("outcome", outcomes))
});

static FAILED_OPEN: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("usher.limits.failed_open", "Requests that shared limits could not count", ALONE));

/// Lets everything be there before something happens.
pub fn begin(pool: &PgPool) {
    tell_build(env!("CARGO_PKG_VERSION"), option_env!("USHER_COMMIT"));
    watch_pool(pool.clone(), "requests");
    LazyLock::force(&REGISTRATIONS);
    LazyLock::force(&FAILED_OPEN);
}

/// `route` as the table of addresses has it; `None` where nothing is.
pub fn answered(method: &Method, route: Option<&str>, status: StatusCode, took: Duration) {
    let mut labels = vec![
        KeyValue::new("http.request.method", known(method)),
        KeyValue::new("http.response.status_code", i64::from(status.as_u16())),
    ];
    labels.extend(route.map(|route| KeyValue::new("http.route", route.to_owned())));
    REQUESTS.record(took.as_secs_f64(), &labels);
}

/// Anybody can make methods up.
fn known(method: &Method) -> &'static str {
    const STANDARD: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    STANDARD.into_iter().find(|known| *known == method.as_str()).unwrap_or("_OTHER")
}

/// Each replica counts for itself meanwhile.
pub fn limit_failed_open() {
    FAILED_OPEN.add(1, &[]);
}

pub fn registered(outcome: &Result<Created, RegisterError>) {
    let outcome = match outcome {
        Ok(Created { before: false, .. }) => "created",
        Ok(Created { before: true, .. }) => "replayed",
        Err(RegisterError::Taken { .. }) => "taken",
        Err(RegisterError::OtherRequest) => "other_request",
        Err(RegisterError::Commit(_) | RegisterError::Password(_)) => "unavailable",
    };
    REGISTRATIONS.add(1, &[KeyValue::new("outcome", outcome)]);
}

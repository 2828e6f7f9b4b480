//! A call of Keycloak: with the trace in its headers, a span of its own, and its time in the metrics.

use std::{sync::LazyLock, time::Instant};

use opentelemetry::{KeyValue, metrics::Histogram};
use reqwest::{
    Client, Request, RequestBuilder, Response, StatusCode,
    header::{HeaderName, HeaderValue},
};
use tracing::{Instrument as _, Span, field};

use crate::{metrics::duration, trace_context::TraceContext};

/// Puts one request; `doing` says what for. Neither span nor metrics hold the path or the query: they may name a person.
pub async fn send(doing: &'static str, request: RequestBuilder) -> reqwest::Result<Response> {
    let (http, request) = request.build_split();
    let request = request?;
    let span = span_of(doing, &request);
    execute(&http, traced(request, &span)).instrument(span).await
}

fn span_of(doing: &'static str, request: &Request) -> Span {
    tracing::info_span!(
        "keycloak",
        "otel.name" = doing,
        "otel.kind" = "client",
        "otel.status_code" = field::Empty,
        "http.request.method" = request.method().as_str(),
        "http.response.status_code" = field::Empty,
        "server.address" = request.url().host_str(),
        "server.port" = request.url().port_or_known_default(),
        "error.type" = field::Empty,
    )
}

/// So that Keycloak's own spans, where it has some, join the trace.
fn traced(mut request: Request, span: &Span) -> Request {
    for (name, value) in TraceContext::of(span).headers() {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse::<HeaderValue>()) {
            request.headers_mut().insert(name, value);
        }
    }
    request
}

async fn execute(http: &Client, request: Request) -> reqwest::Result<Response> {
    static DURATION: LazyLock<Histogram<f64>> =
        LazyLock::new(|| duration("http.client.request.duration", "Asking Keycloak"));
    let method = KeyValue::new("http.request.method", request.method().to_string());
    let began = Instant::now();
    let answer = http.execute(request).await;
    let outcome = match &answer {
        Ok(answer) => KeyValue::new("http.response.status_code", i64::from(answer.status().as_u16())),
        Err(_) => KeyValue::new("error.type", UNREACHABLE),
    };
    DURATION.record(began.elapsed().as_secs_f64(), &[method, outcome]);
    tell(&Span::current(), answer.as_ref().map(Response::status).ok());
    answer
}

const UNREACHABLE: &str = "unreachable";

/// What the span is told of the answer, if there was one.
fn tell(span: &Span, status: Option<StatusCode>) {
    if let Some(status) = status {
        span.record("http.response.status_code", status.as_u16());
    } else {
        span.record("error.type", UNREACHABLE);
    }
    if status.is_none_or(|status| status.is_server_error()) {
        span.record("otel.status_code", "ERROR");
    }
}

//! Errors as RFC 9457 problem documents.

use axum::{
    Json,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use opentelemetry::trace::TraceContextExt as _;
use serde::Serialize;
use shared::telemetry;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use utoipa::ToSchema;

use crate::{error::ApiError, fields::Fault};

/// The media type of a problem document.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// A problem document (RFC 9457).
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// Names the kind of problem; not an address to visit.
    #[schema(example = "urn:problem-type:usher:invalid_fields")]
    r#type: String,
    /// The name of the HTTP status.
    #[schema(example = "Unprocessable Entity")]
    title: &'static str,
    #[schema(example = 422)]
    status: u16,
    /// What happened, for people.
    #[schema(example = "the body has faults; errors lists all of them")]
    detail: String,
    /// What happened, for programs; stable.
    #[schema(example = "invalid_fields")]
    code: &'static str,
    /// Every fault of every field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    errors: Vec<Fault>,
    /// To be named when asking for help: our logs and traces carry it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "4bf92f3577b34da6a3ce929d0e0e4736", nullable = false)]
    trace_id: Option<String>,
}

impl Problem {
    pub fn of(error: &ApiError) -> Self {
        let (status, code) = error.kind();
        Self {
            r#type: format!("urn:problem-type:usher:{code}"),
            title: status.canonical_reason().unwrap_or("Error"),
            status: status.as_u16(),
            detail: error.to_string(),
            code,
            errors: error.faults(),
            trace_id: trace_id(&Span::current()),
        }
    }

    /// A document for the description of the interface: the real one, with the trace id of the W3C's examples.
    pub fn example(error: &ApiError) -> Self {
        Self { trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736".to_owned()), ..Self::of(error) }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (status, code) = self.kind();
        if status.is_server_error() {
            tracing::error!(code, error = telemetry::chain(&self), "a request could not be answered");
        }
        // What is wrong may be right a moment later, and is about one caller.
        let headers = [(header::CONTENT_TYPE, MEDIA_TYPE), (header::CACHE_CONTROL, "no-store")];
        let mut response = (status, headers, Json(Problem::of(&self))).into_response();
        if let Some(seconds) = self.retry_after() {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some(challenge) = self.challenge().and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// The trace that a span is in; none when nobody traces.
pub fn trace_id(span: &Span) -> Option<String> {
    let context = span.context();
    let trace = context.span().span_context().trace_id();
    (trace != opentelemetry::TraceId::INVALID).then(|| trace.to_string())
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::{Value, json};
    use shared::store::StoreError;

    use super::*;
    use crate::database::DatabaseError;

    async fn answer(error: ApiError) -> (Response<()>, Value) {
        let (parts, body) = error.into_response().into_parts();
        let body = to_bytes(body, usize::MAX).await.unwrap();
        (Response::from_parts(parts, ()), serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn a_document_is_complete() {
        let faults = vec![Fault::new("required", "must be given", "email")];
        let (response, body) = answer(ApiError::Invalid(faults)).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store");
        let expected = json!({
            "type": "urn:problem-type:usher:invalid_fields",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": "the body has faults; errors lists all of them",
            "code": "invalid_fields",
            "errors": [{ "code": "required", "detail": "must be given", "pointer": "#/email" }],
        });
        assert_eq!(body, expected);
    }

    #[tokio::test]
    async fn what_the_driver_says_stays_inside() {
        let driver = sqlx::Error::Protocol("s3cret host 10.0.0.1".to_owned());
        let away = DatabaseError::Away(StoreError::Query { doing: "register a user", source: driver });
        let (response, body) = answer(away.into()).await;
        assert_eq!(response.status(), 503);
        assert_eq!(response.headers()[header::RETRY_AFTER], "5");
        let text = body.to_string();
        assert!(!text.contains("s3cret") && !text.contains("register a user"), "{text}");
    }
}

//! A request body that is a JSON object.

use std::time::Duration;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{error::ApiError, fields::Fault};

/// A body of some kilobytes that is still not here is not coming.
const PATIENCE: Duration = Duration::from_secs(5);

/// The fields of the body, not looked at yet.
#[derive(Debug)]
pub struct JsonObject(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for JsonObject {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::MediaType);
        }
        let body =
            timeout(PATIENCE, Bytes::from_request(request, state)).await.map_err(|_elapsed| ApiError::SlowBody)?;
        object(&body.map_err(unread)?).map(Self)
    }
}

/// `application/json`, with whatever parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = media_type.split(';').next().unwrap_or_default();
    essence.trim().eq_ignore_ascii_case("application/json")
}

#[expect(clippy::needless_pass_by_value, reason = "has the shape that map_err wants")]
fn unread(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { ApiError::TooLarge } else { ApiError::BrokenBody }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body).map_err(ApiError::Syntax)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(ApiError::Invalid(vec![Fault {
            code: "type",
            detail: "must be a JSON object".to_owned(),
            pointer: "#".to_owned(),
        }])),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_json_is_json() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/problem+json", false),
            ("text/plain", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_json(&headers), json, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }

    #[test]
    fn broken_json_and_other_json_are_told_apart() {
        assert!(matches!(object(b"{\"username\":"), Err(ApiError::Syntax(_))));
        assert!(matches!(object(b""), Err(ApiError::Syntax(_))));
        assert!(matches!(object(b"[]"), Err(ApiError::Invalid(_))));
        assert!(matches!(object("[".repeat(1000).as_bytes()), Err(ApiError::Syntax(_))));
    }
}

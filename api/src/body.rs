//! A request body, and one that is a JSON object.

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
        if media_type(request.headers()) != "application/json" {
            return Err(ApiError::MediaType);
        }
        object(&read(request, state).await?).map(Self)
    }
}

/// The media type of a body in lower case, without its parameters.
pub fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// The whole body, if it comes in time.
pub async fn read<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, ApiError> {
    let body = timeout(PATIENCE, Bytes::from_request(request, state)).await.map_err(|_elapsed| ApiError::SlowBody)?;
    body.map_err(unread)
}

#[expect(clippy::needless_pass_by_value, reason = "has the shape that map_err wants")]
fn unread(rejection: BytesRejection) -> ApiError {
    if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE { ApiError::TooLarge } else { ApiError::BrokenBody }
}

fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match serde_json::from_slice(body).map_err(ApiError::Syntax)? {
        Value::Object(fields) => Ok(fields),
        _ => Err(ApiError::Invalid(vec![Fault::of_all("type", "must be a JSON object")])),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn parameters_of_a_media_type_do_not_matter() {
        for (value, expected) in [
            ("application/json", "application/json"),
            ("Application/JSON; charset=utf-8", "application/json"),
            ("application/problem+json", "application/problem+json"),
            ("", ""),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(media_type(&headers), expected, "{value}");
        }
        assert_eq!(media_type(&HeaderMap::new()), "");
    }

    #[test]
    fn broken_json_and_other_json_are_told_apart() {
        assert!(matches!(object(b"{\"username\":"), Err(ApiError::Syntax(_))));
        assert!(matches!(object(b""), Err(ApiError::Syntax(_))));
        assert!(matches!(object(b"[]"), Err(ApiError::Invalid(_))));
        assert!(matches!(object("[".repeat(1000).as_bytes()), Err(ApiError::Syntax(_))));
    }
}

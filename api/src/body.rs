//! A request body, and one that is a JSON object.

use std::{fmt, time::Duration};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request, rejection::BytesRejection},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value};
use tokio::time::timeout;

use crate::{
    error::ApiError,
    fields::{Fault, Members},
};

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
    match serde_json::from_slice::<Object>(body) {
        Ok(Object(members)) => members.once().map_err(ApiError::Invalid),
        Err(error) if error.is_data() => Err(no_object(body)),
        Err(error) => Err(ApiError::Syntax(error)),
    }
}

fn no_object(body: &[u8]) -> ApiError {
    match serde_json::from_slice::<Value>(body) {
        Ok(_) => ApiError::Invalid(vec![Fault::of_all("type", "must be a JSON object")]),
        Err(error) => ApiError::Syntax(error),
    }
}

/// Unlike [`Map`], which of two members with one name keeps the last, it knows of both.
struct Object(Members);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(Object(Members::default()))
    }
}

impl<'de> Visitor<'de> for Object {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<Self, A::Error> {
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            self.0.add(&name, value);
        }
        Ok(self)
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
    fn a_field_that_is_there_twice_is_a_fault() {
        assert_eq!(object(br#"{"a":1,"b":null}"#).unwrap().len(), 2);
        let Err(ApiError::Invalid(faults)) = object(br#"{"a":1,"\u0061":1,"b":{"a":1,"a":1}}"#) else { panic!() };
        assert_eq!(faults, [Fault::new("repeated", "must be there once", "a")]);
    }

    #[test]
    fn broken_json_and_other_json_are_told_apart() {
        assert!(matches!(object(b"{\"username\":"), Err(ApiError::Syntax(_))));
        assert!(matches!(object(b""), Err(ApiError::Syntax(_))));
        assert!(matches!(object(b"[]"), Err(ApiError::Invalid(_))));
        assert!(matches!(object(b"[1,"), Err(ApiError::Syntax(_))));
        let deep = "[".repeat(500) + &"]".repeat(500);
        assert!(matches!(object(deep.as_bytes()), Err(ApiError::Syntax(_))));
        assert!(matches!(object("[".repeat(1000).as_bytes()), Err(ApiError::Syntax(_))));
    }
}

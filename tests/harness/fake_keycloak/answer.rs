//! An answer as it goes over the wire, and Keycloak's ways to refuse.

use axum::{
    Json,
    http::StatusCode,
    response::{AppendHeaders, IntoResponse, Response},
};
use serde_json::{Value, json};

#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(&'static str, String)>,
    body: Option<Value>,
}

impl Answer {
    pub fn new(status: u16) -> Self {
        let status = StatusCode::from_u16(status).expect("a status of HTTP");
        Self { status, headers: Vec::new(), body: None }
    }

    #[must_use]
    pub fn json(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    #[must_use]
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    /// The shape that the endpoints of the admin API refuse with.
    pub fn refused(status: u16, message: &str) -> Self {
        Self::new(status).json(json!({ "errorMessage": message }))
    }

    /// The shape that what stands before the endpoints refuses with.
    pub fn error(status: u16, error: &str) -> Self {
        Self::new(status).json(json!({ "error": error }))
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let headers = AppendHeaders(self.headers);
        match self.body {
            Some(body) => (self.status, headers, Json(body)).into_response(),
            None => (self.status, headers).into_response(),
        }
    }
}

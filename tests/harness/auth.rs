//! Logging in, and having tokens checked, as a client does it.

use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::{http, own_name::own_name, system::System};

/// Everything that a caller can tell two answers apart by.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

/// Somebody who can log in.
pub struct Person {
    pub username: String,
    pub email: String,
    pub password: String,
}

impl Answer {
    pub async fn of(request: reqwest::RequestBuilder) -> Self {
        let answer = request.send().await.expect("the api answers");
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Self { status, headers, text: answer.text().await.expect("an answer is text") }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("a header is ASCII"))
    }

    /// All that a caller can tell it from another by, apart from what is different in every answer.
    pub fn without_ids(&self) -> (u16, Vec<String>, String) {
        let lines = self.headers.iter().filter(|(name, _)| *name != "date" && *name != "x-request-id");
        let lines = lines.map(|(name, value)| format!("{name}: {value:?}")).collect();
        let trace = self.json()["traceId"].take();
        (self.status, lines, trace.as_str().map_or_else(|| self.text.clone(), |id| self.text.replace(id, "")))
    }

    /// Status and code of a problem.
    #[track_caller]
    pub fn is_problem(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.header("content-type"), "application/problem+json", "{self:?}");
        assert_eq!(self.json()["code"], code, "{self:?}");
    }

    /// The token in an answer to a login.
    #[track_caller]
    pub fn token(&self, name: &str) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }
}

impl Person {
    pub fn invent() -> Self {
        let username = own_name().replace('_', "-");
        Self { email: format!("{username}@example.org"), password: format!("Right.1-{username}"), username }
    }

    /// As Keycloak wants it, with nothing left to do before a login.
    pub fn account(&self) -> Value {
        json!({
            "username": self.username,
            "email": self.email,
            "firstName": "Ada",
            "lastName": "Lovelace",
            "enabled": true,
            "emailVerified": true,
            "credentials": [{ "type": "password", "value": self.password, "temporary": false }],
        })
    }
}

impl System {
    pub async fn log_in(&self, username: &str, password: &str) -> Answer {
        self.token(&[("username", username), ("password", password)]).await
    }

    /// `POST /auth/token` with a form.
    pub async fn token(&self, form: &[(&str, &str)]) -> Answer {
        Answer::of(http::client().post(format!("{}/auth/token", self.api_url())).form(form)).await
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// `GET /auth/validate-token`
    pub async fn validate(&self, token: &str) -> Answer {
        Answer::of(self.validation("").bearer_auth(token)).await
    }

    pub async fn introspect(&self, token: &str) -> Answer {
        Answer::of(self.validation("?introspect=true").bearer_auth(token)).await
    }

    /// Without a token yet.
    pub fn validation(&self, query: &str) -> reqwest::RequestBuilder {
        http::client().get(format!("{}/auth/validate-token{query}", self.api_url()))
    }
}

//! Plain HTTP, so that the contract holds whatever client the worker has.

use reqwest::{Method, RequestBuilder, StatusCode, header};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{auth::Person, http, keycloak_access::KeycloakAccess};

/// Enters as the worker's service account: what it may not do here, it may not do at all.
pub(super) struct Client {
    http: reqwest::Client,
    pub(super) access: KeycloakAccess,
    pub(super) token: String,
}

impl Client {
    pub(super) async fn enter(access: &KeycloakAccess) -> Self {
        let stranger = Self { http: http::client(), access: access.clone(), token: String::new() };
        let answer = stranger.token(&access.admin_client_id, &access.admin_client_secret).await;
        let token = answer.body["access_token"].as_str().expect("the service account may enter").to_owned();
        Self { token, ..stranger }
    }

    pub(super) async fn token(&self, client_id: &str, client_secret: &str) -> Answer {
        let form = [("grant_type", "client_credentials"), ("client_id", client_id), ("client_secret", client_secret)];
        answer_to(self.http.post(self.access.token_url()).form(&form)).await
    }

    pub(super) async fn token_by_header(&self, client_id: &str, client_secret: &str) -> Answer {
        let request = self.http.post(self.access.token_url()).basic_auth(client_id, Some(client_secret));
        answer_to(request.form(&[("grant_type", "client_credentials")])).await
    }

    /// Somebody's own token, which opens nothing.
    pub(super) async fn log_in(&self, person: &Person) -> String {
        let form = [
            ("grant_type", "password"),
            ("client_id", &self.access.client_id),
            ("client_secret", &self.access.client_secret),
            ("username", &person.username),
            ("password", &person.password),
        ];
        let answer = answer_to(self.http.post(self.access.token_url()).form(&form)).await;
        answer.body["access_token"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    pub(super) async fn create(&self, user: &Value) -> Answer {
        self.ask(self.http.post(self.access.users_url()).json(user)).await
    }

    /// As the worker searches.
    pub(super) async fn find(&self, query: &[(&str, &str)]) -> Answer {
        let request = self.http.get(self.access.users_url()).query(query);
        self.ask(request.query(&[("briefRepresentation", "false"), ("max", "2")])).await
    }

    pub(super) async fn read(&self, id: &str) -> Answer {
        self.ask(self.user_request(Method::GET, id)).await
    }

    pub(super) async fn delete(&self, id: &str) -> Answer {
        self.ask(self.user_request(Method::DELETE, id)).await
    }

    /// As the worker sends it, but for what `instead` says.
    pub(super) async fn send_mail(&self, id: &str, instead: &[(&str, Option<&str>)]) -> Answer {
        self.ask(self.mail_request(id, instead).json(&json!(["VERIFY_EMAIL", "UPDATE_PASSWORD"]))).await
    }

    pub(super) fn mail_request(&self, id: &str, instead: &[(&str, Option<&str>)]) -> RequestBuilder {
        let redirect_uri = self.access.redirect_uri.as_str();
        let usual =
            [("client_id", self.access.client_id.as_str()), ("redirect_uri", redirect_uri), ("lifespan", "3600")];
        let query: Vec<(&str, &str)> = usual
            .into_iter()
            .filter_map(|(name, value)| {
                let other = instead.iter().find(|(other, _)| *other == name);
                other.map_or(Some(value), |(_, value)| *value).map(|value| (name, value))
            })
            .collect();
        self.user_request(Method::PUT, &format!("{id}/execute-actions-email")).query(&query)
    }

    pub(super) async fn send_verification(&self, id: &str) -> Answer {
        let query = [("client_id", &self.access.client_id), ("redirect_uri", &self.access.redirect_uri)];
        self.ask(self.user_request(Method::PUT, &format!("{id}/send-verify-email")).query(&query)).await
    }

    /// As the worker asks for it, but for what `instead` says; what is null is left out.
    pub(super) async fn action_link(&self, id: &str, instead: &Value) -> Answer {
        let mut body = json!({
            "userId": id,
            "actions": ["VERIFY_EMAIL", "UPDATE_PASSWORD"],
            "clientId": self.access.client_id,
            "redirectUri": self.access.redirect_uri,
            "lifespan": 3600,
        });
        for (name, value) in instead.as_object().expect("what is asked instead is an object") {
            body[name] = value.clone();
        }
        body.as_object_mut().expect("as sent").retain(|_, value| !value.is_null());
        let url = format!("{}/admin/realms/{}/usher-action-link", self.access.url, self.access.realm);
        self.ask(self.http.post(url).json(&body)).await
    }

    /// What is answered at the place of a provider that is not installed.
    pub(super) async fn without_provider(&self) -> Answer {
        let url = format!("{}/admin/realms/{}/usher-no-such-provider", self.access.url, self.access.realm);
        self.ask(self.http.post(url).json(&json!({ "userId": unknown_id() }))).await
    }

    fn user_request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}/{path}", self.access.users_url()))
    }

    pub(super) async fn ask(&self, request: RequestBuilder) -> Answer {
        answer_to(request.bearer_auth(&self.token)).await
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    location: Option<String>,
    /// `Null` when there is none.
    pub(super) body: Value,
}

impl Answer {
    pub(super) fn is(&self, status: u16, body: &Value) {
        assert_eq!((self.status.as_u16(), &self.body), (status, body));
    }

    /// The first parameter is the field.
    pub(super) fn violates(&self, message: &str, params: &Value) {
        self.is(400, &json!({ "field": params[0], "errorMessage": message, "params": params }));
    }

    /// Of a user that was created.
    pub(super) fn id(&self) -> String {
        assert_eq!(self.status, StatusCode::CREATED, "{}", self.body);
        let location = self.location.as_deref().expect("a created user has a location");
        location.rsplit('/').next().expect("as sent").to_owned()
    }

    pub(super) fn ids(&self) -> Vec<String> {
        let users = self.body.as_array().unwrap_or_else(|| panic!("{}", self.body));
        users.iter().map(|user| user["id"].as_str().expect("as sent").to_owned()).collect()
    }
}

async fn answer_to(request: RequestBuilder) -> Answer {
    let answer = request.send().await.expect("Keycloak answers");
    let location = answer.headers().get(header::LOCATION).map(|value| value.to_str().expect("as sent").to_owned());
    let status = answer.status();
    let body = answer.bytes().await.expect("an answer comes to its end");
    Answer { status, location, body: serde_json::from_slice(&body).unwrap_or_default() }
}

/// Somebody who is nobody else, with the fields that the worker sends.
pub(super) fn person(name: &str) -> Value {
    let username = format!("{name}-{}", Uuid::new_v4().simple());
    json!({
        "username": username,
        "email": format!("{username}@Example.test"),
        "firstName": "Anna",
        "lastName": "Contract",
        "enabled": true,
        "emailVerified": false,
        "requiredActions": ["VERIFY_EMAIL", "UPDATE_PASSWORD"],
    })
}

pub(super) fn unknown_id() -> String {
    Uuid::new_v4().to_string()
}

//! What was asked: which endpoint, about whom, by whom.

use std::{collections::HashMap, time::Instant};

use axum::{
    body::to_bytes,
    extract::Request as HttpRequest,
    http::{HeaderMap, Method, header},
};
use url::form_urlencoded;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /realms/{realm}/protocol/openid-connect/token`
    Token,
    /// `POST /admin/realms/{realm}/users`
    CreateUser,
    /// `GET /admin/realms/{realm}/users?username=…` or `?email=…`
    FindUser,
    /// `GET /admin/realms/{realm}/users/{id}`
    ReadUser,
    /// `PUT /admin/realms/{realm}/users/{id}/execute-actions-email`
    SendMail,
    /// `PUT /admin/realms/{realm}/users/{id}/send-verify-email`
    SendVerification,
    /// `POST /admin/realms/{realm}/usher-action-link`
    ActionLink,
    /// `DELETE /admin/realms/{realm}/users/{id}`
    DeleteUser,
    /// `GET /realms/{realm}/protocol/openid-connect/certs`
    Keys,
    /// `POST /realms/{realm}/protocol/openid-connect/token/introspect`
    Introspect,
    /// Whatever else was asked: the fake does not know it.
    Unknown,
}

#[derive(Clone, Debug)]
pub struct Request {
    pub endpoint: Endpoint,
    pub realm: String,
    pub user_id: Option<String>,
    pub query: HashMap<String, String>,
    pub headers: HeaderMap,
    pub body: String,
    pub came: Instant,
    /// How many were at this endpoint when it came, itself included.
    pub at_once: usize,
    pub(super) host: String,
    pub(super) bearer: Option<String>,
    basic: Option<(String, String)>,
}

impl Request {
    pub(super) async fn read(request: HttpRequest) -> Self {
        let (head, body) = request.into_parts();
        let (endpoint, realm, user_id) = place(&head.method, head.uri.path());
        let text = |name| head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let authorization = text(header::AUTHORIZATION).unwrap_or_default();
        let body = to_bytes(body, 1024 * 1024).await.unwrap_or_default();
        Self {
            endpoint,
            realm,
            user_id,
            query: pairs(head.uri.query().unwrap_or_default()),
            host: text(header::HOST).unwrap_or_default(),
            bearer: authorization.strip_prefix("Bearer ").map(str::to_owned),
            basic: basic_login(&authorization),
            body: String::from_utf8_lossy(&body).into_owned(),
            came: Instant::now(),
            at_once: 1,
            headers: head.headers,
        }
    }

    /// A client's id and secret, from the header or the form: Keycloak takes either.
    pub(super) fn credentials(&self) -> (String, String) {
        if let Some(login) = &self.basic {
            return login.clone();
        }
        let mut form = pairs(&self.body);
        let mut take = |name| form.remove(name).unwrap_or_default();
        (take("client_id"), take("client_secret"))
    }
}

fn basic_login(authorization: &str) -> Option<(String, String)> {
    let login = from_base64(authorization.strip_prefix("Basic ")?)?;
    login.split_once(':').map(|(id, secret)| (id.to_owned(), secret.to_owned()))
}

fn from_base64(text: &str) -> Option<String> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut bytes) = (0_u32, Vec::new());
    for (position, digit) in text.trim_end_matches('=').chars().enumerate() {
        bits = (bits << 6) | u32::try_from(ALPHABET.find(digit)?).ok()?;
        // Four digits are three bytes: each digit but the first completes one.
        if position % 4 > 0 {
            bytes.push((bits >> (6 - 2 * (position % 4))).to_be_bytes()[3]);
        }
    }
    String::from_utf8(bytes).ok()
}

fn place(method: &Method, path: &str) -> (Endpoint, String, Option<String>) {
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (endpoint, realm, id) = match (method.as_str(), parts.as_slice()) {
        ("POST", ["realms", realm, "protocol", "openid-connect", "token"]) => (Endpoint::Token, *realm, None),
        ("GET", ["realms", realm, "protocol", "openid-connect", "certs"]) => (Endpoint::Keys, *realm, None),
        ("POST", ["realms", realm, "protocol", "openid-connect", "token", "introspect"]) => {
            (Endpoint::Introspect, *realm, None)
        }
        ("POST", ["admin", "realms", realm, "users"]) => (Endpoint::CreateUser, *realm, None),
        ("GET", ["admin", "realms", realm, "users"]) => (Endpoint::FindUser, *realm, None),
        ("GET", ["admin", "realms", realm, "users", id]) => (Endpoint::ReadUser, *realm, Some(*id)),
        ("DELETE", ["admin", "realms", realm, "users", id]) => (Endpoint::DeleteUser, *realm, Some(*id)),
        ("PUT", ["admin", "realms", realm, "users", id, "execute-actions-email"]) => {
            (Endpoint::SendMail, *realm, Some(*id))
        }
        ("PUT", ["admin", "realms", realm, "users", id, "send-verify-email"]) => {
            (Endpoint::SendVerification, *realm, Some(*id))
        }
        ("POST", ["admin", "realms", realm, "usher-action-link"]) => (Endpoint::ActionLink, *realm, None),
        (_, ["admin", "realms", realm, ..]) => (Endpoint::Unknown, *realm, None),
        _ => (Endpoint::Unknown, "", None),
    };
    (endpoint, realm.to_owned(), id.map(str::to_owned))
}

fn pairs(encoded: &str) -> HashMap<String, String> {
    form_urlencoded::parse(encoded.as_bytes()).into_owned().collect()
}

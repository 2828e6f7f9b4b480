//! The real Keycloak: the realm of the stack, or one of the test's own, seen through the admin API.

mod administrator;
mod logins;

use std::sync::LazyLock;

use reqwest::{Method, RequestBuilder, Response, header};
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use super::{
    cleanup::clean_up,
    http,
    keycloak_access::KeycloakAccess,
    own_name::{is_left_over, own_name},
    stack::{self, Stack},
};
use administrator::administrator_token;

/// The realm as it is deployed. What the worker's service account may do here is what it may do in production.
const REALM: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/keycloak/realm.json"));

pub struct Realm {
    http: reqwest::Client,
    access: KeycloakAccess,
    is_own: bool,
}

impl Realm {
    /// The realm of the stack. Its users are the only thing in it that a test may change, and only its own ones.
    pub fn shared() -> Self {
        Self { http: http::client(), access: access(&Stack::get().keycloak_realm), is_own: false }
    }

    /// A realm of the test's own, which sends its mail to `smtp_port` on loopback. It takes Keycloak two seconds.
    pub async fn create(smtp_port: u16) -> Self {
        static LEFT_OVERS: OnceCell<()> = OnceCell::const_new();
        let realm = Self { http: http::client(), access: access(&own_name()), is_own: true };
        LEFT_OVERS.get_or_init(|| realm.delete_left_overs()).await;
        let mut content = deployed_realm();
        content["realm"] = json!(realm.access.realm);
        content["smtpServer"]["host"] = json!("127.0.0.1");
        content["smtpServer"]["port"] = json!(smtp_port.to_string());
        must(realm.server_request(Method::POST, "").await.json(&content)).await;
        realm
    }

    pub fn access(&self) -> &KeycloakAccess {
        &self.access
    }

    pub async fn user_by_username(&self, username: &str) -> Option<Value> {
        let query = [("username", username), ("exact", "true")];
        let mut users: Vec<Value> = json_of(self.request(Method::GET, "/users").await.query(&query)).await;
        assert!(users.len() < 2, "{username} is there more than once");
        users.pop()
    }

    pub async fn users_count(&self) -> u64 {
        json_of(self.request(Method::GET, "/users/count").await).await
    }

    /// Someone whom the application knows nothing about. Returns the id.
    pub async fn create_user(&self, user: &Value) -> String {
        let answer = must(self.request(Method::POST, "/users").await.json(user)).await;
        let location = answer.headers().get(header::LOCATION).expect("a created user has a location");
        let location = location.to_str().expect("an address is ASCII");
        location.rsplit('/').next().expect("an address has a last part").to_owned()
    }

    pub async fn delete_user(&self, id: &str) {
        must(self.request(Method::DELETE, &format!("/users/{id}")).await).await;
    }

    pub async fn set_smtp_port(&self, port: u16) {
        assert!(self.is_own, "the mail server of the shared realm stays as it is");
        let realm: Value = json_of(self.request(Method::GET, "").await).await;
        let mut server = realm["smtpServer"].clone();
        server["port"] = json!(port.to_string());
        must(self.request(Method::PUT, "").await.json(&json!({ "smtpServer": server }))).await;
    }

    /// What administrators did, as far as the realm keeps it.
    pub async fn admin_events(&self, operation: &str) -> Vec<Value> {
        let query = [("operationTypes", operation)];
        json_of(self.request(Method::GET, "/admin-events").await.query(&query)).await
    }

    pub async fn switch_off_action(&self, alias: &str) {
        assert!(self.is_own, "the shared realm stays as it is");
        let path = format!("/authentication/required-actions/{alias}");
        let mut action: Value = json_of(self.request(Method::GET, &path).await).await;
        action["enabled"] = json!(false);
        must(self.request(Method::PUT, &path).await.json(&action)).await;
    }

    /// Gives our service account one more role of `realm-management`.
    pub async fn permit_worker(&self, role: &str) {
        self.change_roles(Method::POST, role).await;
    }

    pub async fn forbid_worker(&self, role: &str) {
        self.change_roles(Method::DELETE, role).await;
    }

    async fn change_roles(&self, method: Method, role: &str) {
        assert!(self.is_own, "the shared realm stays as it is");
        let account = format!("/clients/{}/service-account-user", self.client(&self.access.admin_client_id).await);
        let account: Value = json_of(self.request(Method::GET, &account).await).await;
        let management = self.client("realm-management").await;
        let role: Value =
            json_of(self.request(Method::GET, &format!("/clients/{management}/roles/{role}")).await).await;
        let account = account["id"].as_str().expect("an account has an id");
        let path = format!("/users/{account}/role-mappings/clients/{management}");
        must(self.request(method, &path).await.json(&json!([role]))).await;
    }

    /// The id of a client.
    async fn client(&self, client_id: &str) -> String {
        let found: Vec<Value> =
            json_of(self.request(Method::GET, "/clients").await.query(&[("clientId", client_id)])).await;
        found[0]["id"].as_str().expect("a client has an id").to_owned()
    }

    /// Everybody needs one more attribute from now on.
    pub async fn require_attribute(&self, name: &str) {
        assert!(self.is_own, "the shared realm stays as it is");
        let mut profile: Value = json_of(self.request(Method::GET, "/users/profile").await).await;
        let attribute = json!({
            "name": name,
            "required": { "roles": ["admin", "user"] },
            "permissions": { "view": ["admin"], "edit": ["admin", "user"] },
        });
        profile["attributes"].as_array_mut().expect("a profile has attributes").push(attribute);
        must(self.request(Method::PUT, "/users/profile").await.json(&profile)).await;
    }

    /// Whatever the answer: another process may be at it as well.
    async fn delete_left_overs(&self) {
        let query = [("briefRepresentation", "true")];
        let realms: Vec<Value> = json_of(self.server_request(Method::GET, "").await.query(&query)).await;
        for name in realms.iter().filter_map(|realm| realm["realm"].as_str()).filter(|name| is_left_over(name)) {
            ask(self.server_request(Method::DELETE, &format!("/{name}")).await).await;
        }
    }

    async fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.server_request(method, &format!("/{}{path}", self.access.realm)).await
    }

    async fn server_request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/admin/realms{path}", self.access.url);
        self.http.request(method, url).bearer_auth(administrator_token(&self.http).await)
    }
}

impl Drop for Realm {
    fn drop(&mut self) {
        if !self.is_own {
            return;
        }
        // With a client of its own: the pooled connections belong to the runtime of the test.
        let realm = Self { http: http::client(), access: self.access.clone(), is_own: false };
        clean_up(async move {
            ask(realm.request(Method::DELETE, "").await).await;
        });
    }
}

fn access(realm: &str) -> KeycloakAccess {
    let stack = Stack::get();
    KeycloakAccess {
        url: stack.keycloak_url.trim_end_matches('/').to_owned(),
        realm: realm.to_owned(),
        client_id: stack.keycloak_client_id.clone(),
        client_secret: stack.keycloak_client_secret.clone(),
        admin_client_id: stack.keycloak_admin_client_id.clone(),
        admin_client_secret: stack.keycloak_admin_client_secret.clone(),
        redirect_uri: redirect_uri(&stack.keycloak_client_id),
    }
}

fn redirect_uri(client_id: &str) -> String {
    let realm = deployed_realm();
    let clients = realm["clients"].as_array().expect("the realm has clients");
    let client = clients.iter().find(|client| client["clientId"] == client_id).expect("the realm has the login client");
    // The last: the first ones name the api's port, which a stack of other ports has rewritten.
    let patterns = client["redirectUris"].as_array().expect("the login client has redirect URIs");
    let pattern = patterns.last().and_then(Value::as_str).expect("the login client has a redirect URI");
    pattern.replace('*', "welcome")
}

/// With the placeholders filled in.
pub fn deployed_realm() -> Value {
    static FILLED_IN: LazyLock<String> = LazyLock::new(|| fill_in(REALM, stack::variable));
    serde_json::from_str(&FILLED_IN).expect("deploy/keycloak/realm.json is JSON")
}

/// `${NAME}` as Keycloak reads it at its start. What is not there stays, as it does in Keycloak.
fn fill_in(text: &str, value_of: impl Fn(&str) -> Option<String>) -> String {
    let mut pieces = text.split("${");
    let mut filled = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        match piece.split_once('}').map(|(name, rest)| (value_of(name), rest)) {
            Some((Some(value), rest)) => filled.extend([value.as_str(), rest]),
            _ => filled.extend(["${", piece]),
        }
    }
    filled
}

async fn json_of<T: serde::de::DeserializeOwned>(request: RequestBuilder) -> T {
    must(request).await.json().await.expect("Keycloak answers JSON")
}

async fn must(request: RequestBuilder) -> Response {
    let answer = ask(request).await;
    let (status, url) = (answer.status(), answer.url().clone());
    if status.is_success() {
        return answer;
    }
    panic!("{url}: {status} {}", answer.text().await.unwrap_or_default())
}

async fn ask(request: RequestBuilder) -> Response {
    request.send().await.unwrap_or_else(|error| panic!("no Keycloak at KEYCLOAK_URL: {error}; run `cargo dev test`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::mailbox::Mailbox;

    #[test]
    fn placeholders_are_filled_in() {
        let filled = fill_in(r#"{"a":"${A}","b":"${B}"}"#, |name| (name == "A").then(|| "1".to_owned()));
        assert_eq!(filled, r#"{"a":"1","b":"${B}"}"#);
    }

    #[tokio::test]
    async fn a_test_owns_its_realm() {
        let mut mailbox = Mailbox::down();
        let realm = Realm::create(mailbox.port()).await;
        // The service account of the worker.
        let before = realm.users_count().await;
        let id = realm.create_user(&json!({ "username": "anna", "email": "anna@example.test", "enabled": true })).await;
        assert_eq!(realm.users_count().await, before + 1);
        assert_eq!(realm.user_by_username("ANNA").await.expect("a user")["id"], id.as_str());

        let mail = async || {
            let request = realm.request(Method::PUT, &format!("/users/{id}/execute-actions-email")).await;
            ask(request.json(&json!(["VERIFY_EMAIL"]))).await.status().as_u16()
        };
        assert_eq!(mail().await, 500);
        mailbox.come_up().await;
        assert_eq!(mail().await, 204);
        assert_eq!(mailbox.mails_to("anna@example.test").len(), 1);

        let elsewhere = Mailbox::start().await;
        realm.set_smtp_port(elsewhere.port()).await;
        assert_eq!(mail().await, 204);
        assert!(elsewhere.mails_to("anna@example.test")[0].link().contains("/login-actions/action-token?key="));

        realm.delete_user(&id).await;
        assert!(realm.user_by_username("anna").await.is_none());
    }
}

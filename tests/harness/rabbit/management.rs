//! The management API of `RabbitMQ`, as far as operators and tests use it.

use reqwest::{Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use url::Url;

use crate::harness::{http, own_name::is_left_over, stack::Stack};

pub(super) struct Management {
    http: reqwest::Client,
    base: Url,
}

pub(super) struct OpenConnection {
    /// By which the API knows it.
    name: String,
    /// What the client calls itself; empty when it does not.
    pub label: String,
}

impl Management {
    pub(super) fn connect() -> Self {
        let base = Url::parse(&Stack::get().rabbitmq_management_url).expect("RABBITMQ_MANAGEMENT_URL is an address");
        Self { http: http::client(), base }
    }

    pub(super) async fn create_vhost(&self, name: &str) {
        must(self.request(Method::PUT, &["vhosts", name])).await;
        self.permit(name, ".*").await;
    }

    /// What the application may configure, write and read.
    pub(super) async fn permit(&self, vhost: &str, what: &str) {
        let application = Url::parse(&Stack::get().amqp_url).expect("AMQP_URL is an address");
        self.permit_user(vhost, application.username(), [what; 3]).await;
    }

    /// What somebody may configure, write and read.
    pub(super) async fn permit_user(&self, vhost: &str, user: &str, [configure, write, read]: [&str; 3]) {
        let permissions = json!({ "configure": configure, "write": write, "read": read });
        must(self.request(Method::PUT, &["permissions", vhost, user]).json(&permissions)).await;
    }

    /// Without a tag it logs in by AMQP alone.
    pub(super) async fn create_user(&self, name: &str, password: &str, tag: &str) {
        let user = json!({ "password": password, "tags": tag });
        must(self.request(Method::PUT, &["users", name]).json(&user)).await;
    }

    /// With the login of the same name, if there is one.
    pub(super) async fn delete_vhost(&self, name: &str) {
        for kind in ["vhosts", "users"] {
            self.delete(kind, name).await;
        }
    }

    pub(super) async fn delete_left_overs(&self) {
        for kind in ["vhosts", "users"] {
            let all = self.list(&[kind]).await;
            for name in all.iter().filter_map(|one| one["name"].as_str()).filter(|name| is_left_over(name)) {
                self.delete(kind, name).await;
            }
        }
    }

    async fn delete(&self, kind: &str, name: &str) {
        let answer = ask(self.request(Method::DELETE, &[kind, name])).await;
        assert!(answer.status().is_success() || answer.status() == StatusCode::NOT_FOUND, "{answer:?}");
    }

    pub(super) async fn connections(&self, vhost: &str) -> Vec<OpenConnection> {
        let connections = self.list(&["vhosts", vhost, "connections"]).await;
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        connections
            .iter()
            .map(|connection| OpenConnection {
                name: text(&connection["name"]),
                label: text(&connection["client_properties"]["connection_name"]),
            })
            .collect()
    }

    pub(super) async fn close(&self, connection: &OpenConnection) {
        let request = self.request(Method::DELETE, &["connections", &connection.name]);
        let answer = ask(request.header("X-Reason", "closed by a test")).await;
        // Gone by itself in between is as good.
        assert!(answer.status().is_success() || answer.status() == StatusCode::NOT_FOUND, "{answer:?}");
    }

    async fn list(&self, path: &[&str]) -> Vec<Value> {
        let answer = must(self.request(Method::GET, path)).await;
        answer.json().await.expect("the management API answers a list")
    }

    fn request(&self, method: Method, path: &[&str]) -> RequestBuilder {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("an address with a path").pop_if_empty().push("api").extend(path);
        // The login stands in the address, and reqwest takes it from there.
        self.http.request(method, url)
    }
}

async fn must(request: RequestBuilder) -> Response {
    ask(request).await.error_for_status().expect("RabbitMQ's management API does as it is told")
}

async fn ask(request: RequestBuilder) -> Response {
    request
        .send()
        .await
        .unwrap_or_else(|error| panic!("no management API at RABBITMQ_MANAGEMENT_URL: {error}; run `cargo dev test`"))
}

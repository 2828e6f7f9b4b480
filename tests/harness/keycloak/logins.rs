//! What an administrator can do to those who log in.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Realm, ask, json_of, must};
use crate::harness::auth::Person;

impl Realm {
    pub async fn change_user(&self, id: &str, change: &Value) {
        must(self.request(Method::PUT, &format!("/users/{id}")).await.json(change)).await;
    }

    pub async fn disable(&self, person: &Person) {
        let user = self.user_by_username(&person.username).await.expect("the person has an account");
        self.change_user(user["id"].as_str().expect("an account has an id"), &json!({ "enabled": false })).await;
    }

    /// The error is what Keycloak has against the password.
    pub async fn set_password(&self, id: &str, password: &str) -> Result<(), String> {
        let credential = json!({ "type": "password", "value": password, "temporary": false });
        let request = self.request(Method::PUT, &format!("/users/{id}/reset-password")).await;
        let answer = ask(request.json(&credential)).await;
        match answer.status().as_u16() {
            204 => Ok(()),
            400 => Err(answer.text().await.expect("a refusal is text")),
            status => panic!("{status}: {}", answer.text().await.unwrap_or_default()),
        }
    }

    /// Logs the user out everywhere.
    pub async fn end_sessions(&self, id: &str) {
        must(self.request(Method::POST, &format!("/users/{id}/logout")).await).await;
    }

    /// The user gets a role of the realm, and the login client may know of it.
    pub async fn give_role(&self, user: &str, name: &str) {
        must(self.request(Method::POST, "/roles").await.json(&json!({ "name": name }))).await;
        let role: Value = json_of(self.request(Method::GET, &format!("/roles/{name}")).await).await;
        let client = self.login_client().await;
        for owner in [format!("/users/{user}/role-mappings"), format!("/clients/{client}/scope-mappings")] {
            must(self.request(Method::POST, &format!("{owner}/realm")).await.json(&json!([role]))).await;
        }
    }

    pub async fn change_realm(&self, change: &Value) {
        assert!(self.is_own, "the shared realm stays as it is");
        must(self.request(Method::PUT, "").await.json(change)).await;
    }

    pub async fn change_login_client(&self, change: &Value) {
        assert!(self.is_own, "the shared realm stays as it is");
        let path = format!("/clients/{}", self.login_client().await);
        let mut client: Value = json_of(self.request(Method::GET, &path).await).await;
        for (name, value) in change.as_object().expect("a change is an object") {
            client[name] = value.clone();
        }
        must(self.request(Method::PUT, &path).await.json(&client)).await;
    }

    /// From now on the realm signs with a key that nobody has seen; the ones before stay good.
    pub async fn rotate_keys(&self) {
        assert!(self.is_own, "the shared realm stays as it is");
        let provider = json!({
            "name": "rotated",
            "providerId": "rsa-generated",
            "providerType": "org.keycloak.keys.KeyProvider",
            "config": { "priority": ["200"], "algorithm": ["RS256"] },
        });
        must(self.request(Method::POST, "/components").await.json(&provider)).await;
    }

    /// What anybody may know of the key: base64 of its DER.
    pub async fn public_key(&self) -> String {
        let realm: Value = json_of(self.http.get(self.access.issuer())).await;
        realm["public_key"].as_str().expect("a realm has a key").to_owned()
    }

    async fn login_client(&self) -> String {
        let query = [("clientId", self.access.client_id.as_str())];
        let clients: Vec<Value> = json_of(self.request(Method::GET, "/clients").await.query(&query)).await;
        clients[0]["id"].as_str().expect("the login client is there").to_owned()
    }
}

//! A realm of the run's own, on the Keycloak of the stack: the deployed one, with the mail sink in it.

use anyhow::{Context as _, Result, ensure};
use reqwest::{Client, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Settings;

const DEPLOYED: &str = include_str!("../../../deploy/keycloak/realm.json");
/// One that the deployed realm allows, whatever the port of the stack's api.
pub(crate) const REDIRECT: &str = "http://localhost:3000/welcome";

pub(crate) struct Realm {
    pub(crate) name: String,
    url: String,
    username: String,
    password: String,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
}

impl Realm {
    fn of(settings: &Settings, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            url: settings.keycloak_url.trim_end_matches('/').to_owned(),
            username: settings.keycloak_admin.clone(),
            password: settings.keycloak_admin_password.clone(),
        }
    }

    pub(crate) async fn fresh(settings: &Settings, name: &str, smtp_port: u16) -> Result<Self> {
        let realm = Self::of(settings, name);
        let text = DEPLOYED
            .replace("${KEYCLOAK_CLIENT_SECRET}", &settings.keycloak_client_secret)
            .replace("${KEYCLOAK_ADMIN_CLIENT_SECRET}", &settings.keycloak_admin_client_secret);
        let mut content: Value = serde_json::from_str(&text).context("deploy/keycloak/realm.json is no JSON")?;
        content["realm"] = json!(name);
        content["smtpServer"]["host"] = json!("127.0.0.1");
        content["smtpServer"]["port"] = json!(smtp_port.to_string());
        realm.ask(Method::DELETE, &format!("/{name}"), None).await?;
        realm.ask(Method::POST, "", Some(content)).await?;
        Ok(realm)
    }

    pub(crate) async fn remove(self) -> Result<()> {
        self.ask(Method::DELETE, &format!("/{}", self.name), None).await
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<()> {
        let (delete, http) = (method == Method::DELETE, Client::new());
        let token = self.token(&http).await?;
        let mut request = http.request(method, format!("{}/admin/realms{path}", self.url)).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let status = request.send().await?.status();
        ensure!(
            status.is_success() || delete && status == StatusCode::NOT_FOUND,
            "the realm: Keycloak answers {status}"
        );
        Ok(())
    }

    async fn token(&self, http: &Client) -> Result<String> {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", &self.username),
            ("password", &self.password),
        ];
        token(http, &self.url, "master", &form).await
    }
}

/// Of the realm, for whoever `form` says. `url` is Keycloak's, without a slash at its end.
pub(crate) async fn token(http: &Client, url: &str, realm: &str, form: &[(&str, &str)]) -> Result<String> {
    let url = format!("{url}/realms/{realm}/protocol/openid-connect/token");
    let answer = http.post(url).form(form).send().await.context("Keycloak is not there")?;
    Ok(answer.error_for_status()?.json::<Token>().await?.access_token)
}

/// Of Keycloak, as it tells its administrator.
pub(crate) async fn version(settings: &Settings) -> Result<String> {
    let (http, master) = (Client::new(), Realm::of(settings, "master"));
    let url = format!("{}/admin/serverinfo", master.url);
    let asked = http.get(url).bearer_auth(master.token(&http).await?).send().await?;
    let info: Value = asked.error_for_status()?.json().await?;
    info["systemInfo"]["version"].as_str().map(str::to_owned).context("Keycloak does not say its version")
}

//! The calls that the worker makes to Keycloak for one user, and nothing else: no row, no claim, no lease, no retry.

use std::time::Duration;

use anyhow::{Context as _, Result};
use reqwest::{Client, header::LOCATION};
use serde_json::json;
use tokio::time::Instant;
use worker::keycloak::unset_password;

use crate::ground::{
    Settings,
    realm::{self, REDIRECT},
};

#[derive(Clone)]
pub(crate) struct Direct {
    http: Client,
    admin: String,
    token: String,
    client_id: String,
}

impl Direct {
    /// With a token of the worker's service account, which lives for five minutes.
    pub(crate) async fn new(settings: &Settings, realm: &str) -> Result<Self> {
        let (http, url) = (Client::new(), settings.keycloak_url.trim_end_matches('/'));
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", &settings.keycloak_admin_client_id),
            ("client_secret", &settings.keycloak_admin_client_secret),
        ];
        let token = realm::token(&http, url, realm, &form).await?;
        let (admin, client_id) = (format!("{url}/admin/realms/{realm}"), settings.keycloak_client_id.clone());
        Ok(Self { http, admin, token, client_id })
    }

    /// Creates the account and has the set-up mail sent. Says how long each took.
    pub(crate) async fn provision(&self, name: &str) -> Result<[Duration; 2]> {
        let began = Instant::now();
        let user = json!({
            "username": name,
            "email": format!("{name}@example.org"),
            "firstName": "Ada",
            "lastName": "Lovelace",
            "enabled": true,
            "emailVerified": false,
            "requiredActions": ["VERIFY_EMAIL", "UPDATE_PASSWORD"],
            "credentials": [unset_password::credential()],
        });
        let create = self.http.post(format!("{}/users", self.admin)).bearer_auth(&self.token).json(&user);
        let created = create.send().await?.error_for_status()?;
        let location = created.headers().get(LOCATION).and_then(|it| it.to_str().ok()).context("no Location")?;
        let id = location.rsplit('/').next().context("no id")?;
        let (created_after, began) = (began.elapsed(), Instant::now());
        let url = format!("{}/users/{id}/execute-actions-email", self.admin);
        let mail = self.http.put(url).bearer_auth(&self.token).json(&["VERIFY_EMAIL", "UPDATE_PASSWORD"]);
        let mail = mail.query(&[("client_id", &*self.client_id), ("redirect_uri", REDIRECT), ("lifespan", "43200")]);
        mail.send().await?.error_for_status()?;
        Ok([created_after, began.elapsed()])
    }
}

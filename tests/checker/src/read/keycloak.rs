//! Keycloak's part, by its admin API.

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::history::Account;

/// Whoever may read the users of the realm.
#[derive(Debug, Clone)]
pub struct Administrator {
    pub url: String,
    pub realm: String,
    /// Of the realm `master`.
    pub username: String,
    pub password: String,
}

const PAGE: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: Uuid,
    username: String,
    #[serde(default)]
    email: String,
    #[serde(with = "chrono::serde::ts_milliseconds")]
    created_timestamp: DateTime<Utc>,
}

impl Administrator {
    /// Everybody whose username begins with `prefix`.
    pub async fn accounts(&self, prefix: &str) -> Result<Vec<Account>> {
        let http = reqwest::Client::new();
        let mut accounts = Vec::new();
        loop {
            // Its tokens last a minute; a page of a loaded Keycloak takes seconds.
            let token = self.token(&http).await?;
            let request =
                http.get(format!("{}/admin/realms/{}/users", self.url, self.realm)).bearer_auth(token).query(&[
                    ("search", format!("{prefix}*")),
                    ("briefRepresentation", "true".to_owned()),
                    ("first", accounts.len().to_string()),
                    ("max", PAGE.to_string()),
                ]);
            let page: Vec<User> = request.send().await?.error_for_status()?.json().await.context("read users")?;
            let is_last = page.len() < PAGE;
            accounts.extend(page.into_iter().map(|user| Account {
                id: user.id,
                username: user.username,
                email: user.email,
                created_at: user.created_timestamp,
            }));
            if is_last {
                // The search also finds it in an address or a name.
                accounts.retain(|account| account.username.starts_with(prefix) || account.email.starts_with(prefix));
                return Ok(accounts);
            }
        }
    }

    async fn token(&self, http: &reqwest::Client) -> Result<String> {
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", &self.username),
            ("password", &self.password),
        ];
        let url = format!("{}/realms/master/protocol/openid-connect/token", self.url);
        let answer = http.post(url).form(&form).send().await.context("reach Keycloak")?.error_for_status()?;
        let answer: Value = answer.json().await?;
        Ok(answer["access_token"].as_str().context("Keycloak gives no token")?.to_owned())
    }
}

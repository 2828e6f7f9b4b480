//! What is asked of Keycloak about one account, by its id.

use reqwest::{Method, Response};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    client::{KeycloakClient, Patience, Question},
    error::KeycloakError,
    users::FoundAccount,
};

impl KeycloakClient {
    pub async fn find_by_id(&self, id: Uuid) -> Result<Option<FoundAccount>, KeycloakError> {
        let doing = "look an account up";
        match self.ask_about(doing, Method::GET, id, None).await {
            Ok(answer) => answer.json().await.map(Some).map_err(|_| KeycloakError::Unreadable { doing }),
            Err(KeycloakError::UserMissing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The account, which is there as far as we know.
    pub async fn read(&self, id: Uuid) -> Result<FoundAccount, KeycloakError> {
        let doing = "read an account";
        let answer = self.ask_about(doing, Method::GET, id, None).await?;
        answer.json().await.map_err(|_| KeycloakError::Unreadable { doing })
    }

    /// An account that is gone already is as good.
    pub async fn delete(&self, id: Uuid) -> Result<(), KeycloakError> {
        match self.ask_about("delete an account", Method::DELETE, id, None).await {
            Ok(_) | Err(KeycloakError::UserMissing { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Gives an account another address, which nobody has confirmed.
    pub async fn change_email(&self, id: Uuid, email: &str) -> Result<(), KeycloakError> {
        let doing = "change an address";
        let answer = self.ask_about(doing, Method::GET, id, None).await?;
        // All of it: Keycloak takes away what an update leaves out.
        let mut account: Value = answer.json().await.map_err(|_| KeycloakError::Unreadable { doing })?;
        account["email"] = json!(email);
        account["emailVerified"] = json!(false);
        self.ask_about(doing, Method::PUT, id, Some(account)).await.map(drop)
    }

    /// Each of these may be asked twice.
    async fn ask_about(
        &self,
        doing: &'static str,
        method: Method,
        id: Uuid,
        body: Option<Value>,
    ) -> Result<Response, KeycloakError> {
        let path = &["users", &id.to_string()];
        let question = Question { doing, method, path, query: &[], body, timeout: None, patience: Patience::Always };
        self.ask(&question).await
    }
}

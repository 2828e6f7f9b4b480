//! A user as Keycloak shows it, and a mail as it was ordered.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

const NOT_IN_BRIEF: [&str; 4] = ["disableableCredentialTypes", "notBefore", "requiredActions", "totp"];

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Account {
    pub id: String,
    pub username: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
    pub email_verified: bool,
    pub enabled: bool,
    /// Milliseconds since 1970.
    pub created_timestamp: i64,
    pub required_actions: Vec<String>,
    /// As it was given, not as a hash.
    #[serde(skip)]
    pub password: Option<String>,
}

impl Account {
    /// As a search shows it that asks for no more.
    pub(super) fn brief_representation(&self) -> Value {
        let mut representation = self.representation();
        let fields = representation.as_object_mut().expect("an account is an object");
        fields.retain(|field, _| !NOT_IN_BRIEF.contains(&field.as_str()));
        representation
    }

    pub(super) fn representation(&self) -> Value {
        let mut representation = serde_json::to_value(self).expect("an account is JSON");
        representation["totp"] = json!(false);
        representation["notBefore"] = json!(0);
        representation["disableableCredentialTypes"] = json!([]);
        representation
    }
}

/// What stood in the request that a mail was sent for, or a link handed out.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Mail {
    #[serde(default)]
    pub actions: Vec<String>,
    pub client_id: Option<String>,
    pub redirect_uri: Option<String>,
    pub lifespan: Option<i64>,
}

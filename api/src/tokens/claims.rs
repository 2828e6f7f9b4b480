//! What stands in an access token of Keycloak.

use chrono::{DateTime, Utc};
use serde::Deserialize;

/// The claims that are looked at. What must be there is [`Option`] where its lack is told apart from a broken token.
#[derive(Deserialize)]
pub struct Claims {
    pub sub: Option<String>,
    pub exp: f64,
    /// Not when it is good from (`nbf`), but when it was made; Keycloak always says so, and so must RFC 9068's.
    pub iat: Option<f64>,
    #[serde(rename = "aud", default)]
    pub audience: Audience,
    /// Keycloak's: `Bearer`, `ID`, `Refresh`, …
    pub typ: Option<String>,
    /// Who asked for the token.
    pub azp: Option<String>,
    pub preferred_username: Option<String>,
    pub email: Option<String>,
    #[serde(default)]
    pub email_verified: bool,
    pub given_name: Option<String>,
    pub family_name: Option<String>,
    #[serde(default)]
    pub realm_access: RealmAccess,
}

/// One name or several (RFC 7519, section 4.1.3).
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Default, Deserialize)]
pub struct RealmAccess {
    #[serde(default)]
    pub roles: Vec<String>,
}

impl Default for Audience {
    fn default() -> Self {
        Self::Several(Vec::new())
    }
}

impl Audience {
    pub fn names(&self, name: &str) -> bool {
        match self {
            Self::One(one) => one == name,
            Self::Several(several) => several.iter().any(|one| one == name),
        }
    }
}

impl Claims {
    /// None for a time that no calendar has.
    #[expect(clippy::cast_possible_truncation, reason = "a number that is too large becomes one that no calendar has")]
    pub fn expires_at(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.exp as i64, 0)
    }
}

//! The realm, and the client that people log in through.

use std::time::Duration;

use secrecy::SecretString;
use serde::Deserialize;
use shared::{address::beneath, config::Environment};
use url::Url;

/// Keycloak as the api knows it.
#[derive(Debug, Clone)]
pub struct KeycloakConfig {
    /// The server as this process reaches it, without the realm.
    pub url: Url,
    pub realm: String,
    pub client_id: String,
    pub client_secret: SecretString,
    /// What stands in `iss`: the realm as people reach it.
    pub issuer: String,
    /// What must stand in `aud`.
    pub audience: String,
    /// For one call.
    pub timeout: Duration,
}

/// `KEYCLOAK_*`, as far as the api reads it.
#[derive(Debug, Default, Deserialize)]
pub struct KeycloakSection {
    url: Option<String>,
    realm: Option<String>,
    client_id: Option<String>,
    client_secret: Option<String>,
    issuer: Option<String>,
    audience: Option<String>,
    timeout: Option<String>,
}

impl KeycloakSection {
    pub const PREFIX: &'static str = "KEYCLOAK_";

    pub(super) fn read(environment: &mut Environment) -> Option<KeycloakConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let url: Option<Url> = environment.required("KEYCLOAK_URL", raw.url);
        let realm: Option<String> = environment.required("KEYCLOAK_REALM", raw.realm);
        let client_id = environment.required("KEYCLOAK_CLIENT_ID", raw.client_id);
        let client_secret = environment.secret("KEYCLOAK_CLIENT_SECRET", "a text", raw.client_secret);
        let issuer = url.as_ref().zip(realm.as_ref()).map(|(url, realm)| beneath(url, &["realms", realm]));
        let issuer = issuer_or(environment, raw.issuer, issuer);
        let audience = environment.or("KEYCLOAK_AUDIENCE", raw.audience, "usher-api".to_owned());
        let timeout = environment.or("KEYCLOAK_TIMEOUT", raw.timeout, Duration::from_secs(5));
        Some(KeycloakConfig {
            url: url?,
            realm: realm?,
            client_id: client_id?,
            client_secret: client_secret?,
            issuer: issuer?.as_str().trim_end_matches('/').to_owned(),
            audience: audience?,
            timeout: timeout?,
        })
    }
}

/// Without a realm there is no default, which is a fault already.
fn issuer_or(environment: &mut Environment, raw: Option<String>, default: Option<Url>) -> Option<Url> {
    let told = "KEYCLOAK_URL/realms/KEYCLOAK_REALM";
    match default {
        Some(default) => environment.or_derived("KEYCLOAK_ISSUER", raw, default, told),
        None => environment.if_set("KEYCLOAK_ISSUER", raw)?,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &[(&str, &str)]) -> KeycloakConfig {
        let needed = [
            ("KEYCLOAK_URL", "http://keycloak:8080/auth/"),
            ("KEYCLOAK_REALM", "usher"),
            ("KEYCLOAK_CLIENT_ID", "usher-app"),
            ("KEYCLOAK_CLIENT_SECRET", "s3cret"),
        ];
        let variables = needed.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut environment = Environment::of(variables);
        let config = KeycloakSection::read(&mut environment);
        environment.finish(config).unwrap()
    }

    #[test]
    fn four_variables_are_enough() {
        let config = read(&[]);
        assert_eq!(config.issuer, "http://keycloak:8080/auth/realms/usher");
        assert_eq!((config.audience.as_str(), config.timeout), ("usher-api", Duration::from_secs(5)));
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn people_may_know_the_realm_by_another_address() {
        let config = read(&[("KEYCLOAK_ISSUER", "https://id.example.org/realms/usher/")]);
        assert_eq!(config.issuer, "https://id.example.org/realms/usher");
    }
}

//! How strictly and how freshly tokens are checked.

use std::time::Duration;

use serde::Deserialize;
use shared::config::Environment;

use crate::tokens::keys::Pace;

/// A token is good for some minutes; clocks that differ by more than this have another problem.
const LONGEST_LEEWAY: Duration = Duration::from_mins(5);

/// What is asked of a token, beside what stands in [`KeycloakConfig`](super::keycloak::KeycloakConfig).
#[derive(Debug, Clone)]
pub struct TokenConfig {
    /// By how much two clocks may differ.
    pub leeway: Duration,
    /// The clients whose tokens are taken (`azp`).
    pub clients: Vec<String>,
    pub keys: Pace,
}

/// `TOKEN_*`
#[derive(Debug, Default, Deserialize)]
pub struct TokenSection {
    leeway: Option<String>,
    clients: Option<String>,
    keys_refresh: Option<String>,
    keys_cooldown: Option<String>,
}

impl TokenSection {
    pub const PREFIX: &'static str = "TOKEN_";

    /// `client_id` is whose tokens are taken unless others are named.
    pub(super) fn read(environment: &mut Environment, client_id: Option<&str>) -> Option<TokenConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let leeway = environment.or("TOKEN_LEEWAY", raw.leeway, Duration::from_secs(30));
        if leeway.is_some_and(|leeway| leeway > LONGEST_LEEWAY) {
            environment.fault::<()>("TOKEN_LEEWAY must not be longer than 5m");
        }
        let clients = {
            let client = client_id.unwrap_or_default().to_owned();
            environment.or_derived("TOKEN_CLIENTS", raw.clients, client, "KEYCLOAK_CLIENT_ID")
        };
        let refresh = environment.or("TOKEN_KEYS_REFRESH", raw.keys_refresh, Duration::from_mins(5));
        let cooldown = environment.or("TOKEN_KEYS_COOLDOWN", raw.keys_cooldown, Duration::from_secs(30));
        Some(TokenConfig {
            leeway: leeway?,
            clients: clients?.split(',').map(|client| client.trim().to_owned()).collect(),
            keys: Pace { refresh: refresh?, cooldown: cooldown? },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<TokenConfig, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut environment = Environment::of(variables);
        let config = TokenSection::read(&mut environment, Some("usher-app"));
        environment.finish(config).map_err(|faults| faults.to_string())
    }

    #[test]
    fn the_login_client_is_trusted_unless_others_are_named() {
        let config = read(&[]).unwrap();
        assert_eq!((config.leeway, config.clients), (Duration::from_secs(30), vec!["usher-app".to_owned()]));
        assert_eq!(read(&[("TOKEN_CLIENTS", "one, two")]).unwrap().clients, ["one", "two"]);
    }

    #[test]
    fn a_leeway_that_makes_every_token_good_is_refused() {
        assert!(read(&[("TOKEN_LEEWAY", "1h")]).unwrap_err().contains("TOKEN_LEEWAY"));
    }
}

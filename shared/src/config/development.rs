//! The secrets of the development stack, which everybody can read in the source: production refuses them.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Of `cargo dev up`, of docker-compose.yml, of .env.example, and what RabbitMQ and Keycloak come with.
const KNOWN: [&str; 7] =
    ["usher", "usher-app-secret", "usher-provisioner-secret", "guest", "admin", "keycloak", "postgres"];

/// The key in their `PASSWORD_KEYS`, whatever its id is there and whatever stands beside it.
const KNOWN_KEY: &str = "dXNoZXItZGV2ZWxvcG1lbnQta2V5LTAxMjM0NTY3ODk=";

/// Whether a secret, or the password in one of the addresses that it lists, is one of them.
pub(super) fn is_known(secret: &SecretString) -> bool {
    let secret = secret.expose_secret();
    let password = |address: &str| Some(Url::parse(address.trim()).ok()?.password()?.to_owned());
    let mut passwords = secret.split(',').filter_map(password);
    KNOWN.contains(&secret)
        || secret.contains(KNOWN_KEY)
        || passwords.any(|password| KNOWN.contains(&password.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_and_the_password_of_an_address_are_looked_at() {
        for known in [
            "usher-app-secret",
            "postgres://usher:usher@db:5432/usher",
            "amqp://guest:guest@broker/%2f",
            "amqp://usher:Kx7@a/,amqp://usher:usher@b/",
        ] {
            assert!(is_known(&known.into()), "{known}");
        }
        for keys in [
            format!("development:{KNOWN_KEY}"),
            format!("2026a:{KNOWN_KEY}, 2026b:AAAA"),
            format!("b:AA,a:{KNOWN_KEY}"),
        ] {
            assert!(is_known(&keys.as_str().into()), "{keys}");
        }
        for own in ["Kx7…", "postgres://usher:Kx7@db/usher", "postgres://usher@db/usher", "usher-app-secret-2"] {
            assert!(!is_known(&own.into()), "{own}");
        }
    }
}

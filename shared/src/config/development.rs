//! The secrets of the development stack, which everybody can read in the source: production refuses them.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// Of `cargo dev up`, of docker-compose.yml, of .env.example, and what RabbitMQ and Keycloak come with.
const KNOWN: [&str; 7] =
    ["usher", "usher-app-secret", "usher-provisioner-secret", "guest", "admin", "keycloak", "postgres"];

/// The key in their `PASSWORD_KEYS`, whatever its id is there and whatever stands beside it.
const KNOWN_KEY: &str = "dXNoZXItZGV2ZWxvcG1lbnQta2V5LTAxMjM0NTY3ODk=";

/// Whether a secret, or the password in one of the addresses that it lists, is one of them, however it is written.
pub(super) fn is_known(secret: &SecretString) -> bool {
    let secret = secret.expose_secret().trim();
    let addresses = secret.split(',').filter_map(|address| Url::parse(address.trim()).ok()).filter(Url::has_host);
    let mut passwords = addresses.flat_map(|address| passwords(&address));
    KNOWN.contains(&secret)
        || secret.contains(KNOWN_KEY)
        || passwords.any(|password| KNOWN.contains(&password.as_str()))
}

/// Before the host, and as a parameter, where PostgreSQL's clients take it too. RabbitMQ's take one that is not given
/// for its default.
fn passwords(address: &Url) -> Vec<String> {
    let default = address.scheme().starts_with("amqp").then_some("guest");
    let before_the_host = address.password().or(default).map(|raw| percent_decode_str(raw).decode_utf8_lossy());
    let parameters = address.query_pairs().filter(|(name, _)| name == "password").map(|(_, password)| password);
    before_the_host.into_iter().chain(parameters).map(Cow::into_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_and_the_password_of_an_address_are_looked_at() {
        for known in [
            "usher-app-secret",
            "amqp://usher:Kx7@a/,amqp://usher:usher@b/",
            " usher-app-secret\t",
            "postgres://usher:usher@db:5432/usher",
            "postgres://usher:%75sher@db/usher",
            "postgres://db/usher?user=usher&password=ush%65r",
            "amqp://guest:guest@broker/%2f",
            "amqp://broker",
            "amqps://usher@broker",
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
        for own in [
            "Kx7…",
            "amqp://usher:Kx7@broker",
            "postgres://usher:Kx7@db/usher",
            "postgres://usher@db/usher",
            "usher-app-secret-2",
        ] {
            assert!(!is_known(&own.into()), "{own}");
        }
    }
}

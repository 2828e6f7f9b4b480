//! Redis, for what may be lost: passwords on their way, and the counts behind the limits. Everything works without it.

use std::time::Duration;

use redis::{
    Client, IntoConnectionInfo as _, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use crate::config::Environment;

/// Where it is, with the login.
#[derive(Debug, Clone)]
pub struct RedisAddress(SecretString);

/// `REDIS_*`
#[derive(Debug, Default, Deserialize)]
pub struct RedisSection {
    url: Option<String>,
    host: Option<String>,
    port: Option<String>,
}

impl RedisSection {
    pub const PREFIX: &'static str = "REDIS_";

    /// `Some(None)` where there is none: by its address, or by host and port.
    pub fn read(environment: &mut Environment) -> Option<Option<RedisAddress>> {
        let raw: Self = environment.section(Self::PREFIX);
        let url = environment.secret_if_set("REDIS_URL", "a redis:// or rediss:// address", raw.url)?;
        let host: Option<String> = environment.if_set("REDIS_HOST", raw.host)?;
        let port = environment.or("REDIS_PORT", raw.port, 6379_u16)?;
        let url = match (url, host) {
            (Some(_), Some(_)) => return environment.fault("REDIS_HOST and REDIS_URL are both set; set one of them"),
            (Some(url), None) => url,
            (None, Some(host)) => format!("redis://{host}:{port}/").into(),
            (None, None) => return Some(None),
        };
        if url.expose_secret().into_connection_info().is_err() {
            return environment.fault("REDIS_URL is not a redis:// or rediss:// address");
        }
        Some(Some(RedisAddress(url)))
    }
}

/// Connects when it is first asked, and again whenever the connection is lost. It never waits for long: whoever asks
/// can do without the answer.
pub fn connect(address: &RedisAddress) -> Result<ConnectionManager, RedisError> {
    let quick = ConnectionManagerConfig::new()
        .set_connection_timeout(Some(Duration::from_millis(500)))
        .set_response_timeout(Some(Duration::from_millis(500)))
        .set_number_of_retries(0);
    ConnectionManager::new_lazy_with_config(Client::open(address.0.expose_secret())?, quick)
}

/// Whether it answers.
pub async fn ping(address: &RedisAddress) -> Result<(), RedisError> {
    redis::cmd("PING").query_async(&mut connect(address)?).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut environment = Environment::of(variables);
        let address = RedisSection::read(&mut environment);
        let address = environment.finish(address).map_err(|faults| faults.to_string())?;
        Ok(address.map(|address| address.0.expose_secret().to_owned()))
    }

    #[test]
    fn it_is_found_by_address_or_by_host_and_port() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("REDIS_HOST", "cache")]), Ok(Some("redis://cache:6379/".to_owned())));
        let host_and_port = [("REDIS_HOST", "cache"), ("REDIS_PORT", "6380")];
        assert_eq!(read(&host_and_port), Ok(Some("redis://cache:6380/".to_owned())));
        let url = "rediss://usher:s3cret@cache/1";
        assert_eq!(read(&[("REDIS_URL", url)]), Ok(Some(url.to_owned())));
    }

    #[test]
    fn an_address_that_is_none_is_a_fault_and_no_value_is_shown() {
        for variables in [
            &[("REDIS_URL", "http://s3cret@cache")][..],
            &[("REDIS_URL", "redis://cache"), ("REDIS_HOST", "cache")],
            &[("REDIS_HOST", "cache"), ("REDIS_PORT", "s3cret")],
        ] {
            let faults = read(variables).unwrap_err();
            assert!(faults.contains("REDIS_") && !faults.contains("s3cret"), "{faults}");
        }
    }
}

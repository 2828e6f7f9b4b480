//! `PASSWORD_*`: whether a password may be given at the registration, and what is asked of it.

use std::{sync::Arc, time::Duration};

use serde::Deserialize;

use super::sealing::Keys;
use crate::{
    config::{Environment, Setting},
    domain::password::PasswordRules,
    redis::RedisAddress,
};

/// Where passwords wait for their accounts, and under which keys.
#[derive(Debug, Clone)]
pub struct PasswordConfig {
    pub(super) redis: RedisAddress,
    pub(super) keys: Arc<Keys>,
    pub(super) ttl: Duration,
    /// For the api, which takes passwords in.
    pub rules: PasswordRules,
}

impl PasswordConfig {
    pub fn redis(&self) -> &RedisAddress {
        &self.redis
    }
}

/// `PASSWORD_*`
#[derive(Debug, Default, Deserialize)]
pub struct PasswordSection {
    keys: Option<String>,
    ttl: Option<String>,
    min_length: Option<String>,
    classes: Option<String>,
}

impl PasswordSection {
    pub const PREFIX: &'static str = "PASSWORD_";

    /// `Some(None)` where no passwords are taken: without keys, or without a Redis.
    pub fn read(environment: &mut Environment, redis: Option<&RedisAddress>) -> Option<Option<PasswordConfig>> {
        let raw: Self = environment.section(Self::PREFIX);
        let keys = environment.secret_if_set("PASSWORD_KEYS", "keys of 32 bytes, ID:BASE64,ID:BASE64", raw.keys)?;
        let ttl = environment.or("PASSWORD_TTL", raw.ttl, Duration::from_hours(1));
        let default = PasswordRules::default();
        let min_length = environment.or("PASSWORD_MIN_LENGTH", raw.min_length, MinLength(default.min_length));
        let classes = environment.or("PASSWORD_CLASSES", raw.classes, Classes(default));
        let Some(keys) = keys else { return Some(None) };
        let keys = match Keys::parse(&keys) {
            Ok(keys) => keys,
            Err(invalid) => return environment.fault(format!("PASSWORD_KEYS {invalid}")),
        };
        let Some(redis) = redis else {
            return environment
                .fault("PASSWORD_KEYS is set, and there is no Redis to keep passwords in: set REDIS_URL");
        };
        let rules = PasswordRules { min_length: min_length?.0, ..classes?.0 };
        Some(Some(PasswordConfig { redis: redis.clone(), keys: Arc::new(keys), ttl: ttl?, rules }))
    }
}

struct MinLength(usize);

impl Setting for MinLength {
    const EXPECTED: &'static str = "a number of characters from 8 to 64";
    fn parse(raw: &str) -> Option<Self> {
        raw.parse().ok().filter(|length| (8..=64).contains(length)).map(Self)
    }

    fn written(&self) -> String {
        self.0.to_string()
    }
}

/// What a password must have one of each of.
struct Classes(PasswordRules);

impl Setting for Classes {
    const EXPECTED: &'static str = "none, or a list of lower, upper, digit and special";

    fn parse(raw: &str) -> Option<Self> {
        let mut rules =
            PasswordRules { lower: false, upper: false, digit: false, special: false, ..PasswordRules::default() };
        if raw == "none" {
            return Some(Self(rules));
        }
        for class in raw.split(',') {
            match class.trim() {
                "lower" => rules.lower = true,
                "upper" => rules.upper = true,
                "digit" => rules.digit = true,
                "special" => rules.special = true,
                _ => return None,
            }
        }
        Some(Self(rules))
    }

    fn written(&self) -> String {
        let Self(PasswordRules { lower, upper, digit, special, .. }) = self;
        let classes = [("lower", lower), ("upper", upper), ("digit", digit), ("special", special)];
        let asked: Vec<_> = classes.into_iter().filter(|(_, asked)| **asked).map(|(class, _)| class).collect();
        if asked.is_empty() { "none".to_owned() } else { asked.join(",") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redis::RedisSection;

    const KEYS: (&str, &str) = ("PASSWORD_KEYS", "a:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    const REDIS: (&str, &str) = ("REDIS_HOST", "cache");

    fn read(variables: &[(&str, &str)]) -> Result<Option<PasswordConfig>, String> {
        let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let mut environment = Environment::of(variables);
        let redis = RedisSection::read(&mut environment);
        let config = redis.and_then(|redis| PasswordSection::read(&mut environment, redis.as_ref()));
        environment.finish(config).map_err(|faults| faults.to_string())
    }

    #[test]
    fn passwords_are_taken_when_there_are_keys_and_a_redis() {
        assert!(read(&[]).unwrap().is_none());
        assert!(read(&[REDIS]).unwrap().is_none(), "which may be there for the limits alone");
        assert!(read(&[KEYS, REDIS]).unwrap().is_some());
        assert!(read(&[KEYS]).unwrap_err().contains("REDIS_URL"));
    }

    #[test]
    fn the_rules_can_be_others() {
        let rules = |more| read(&[KEYS, REDIS, more]).unwrap().unwrap().rules;
        assert_eq!(rules(("PASSWORD_MIN_LENGTH", "15")), PasswordRules { min_length: 15, ..PasswordRules::default() });
        let digits = rules(("PASSWORD_CLASSES", "digit, lower"));
        assert_eq!((digits.lower, digits.upper, digits.digit, digits.special), (true, false, true, false));
        for (name, value) in [("PASSWORD_MIN_LENGTH", "7"), ("PASSWORD_CLASSES", "emoji"), ("PASSWORD_KEYS", "s3cret")]
        {
            let faults = read(&[KEYS, REDIS, (name, value)]).unwrap_err();
            assert!(faults.contains(name) && !faults.contains("s3cret"), "{faults}");
        }
    }
}

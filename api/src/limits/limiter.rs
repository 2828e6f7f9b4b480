//! Counting by key.

use std::{fmt, hash::Hash, time::Duration};

use governor::{
    DefaultKeyedRateLimiter,
    clock::{Clock as _, DefaultClock},
};

use super::rate::Rate;

/// A rate for each key. In this process alone: with several replicas a client gets as many times as much.
pub struct Limiter<K: Hash + Eq + Clone>(DefaultKeyedRateLimiter<K>);

impl<K: Hash + Eq + Clone> Limiter<K> {
    pub fn new(rate: Rate) -> Self {
        Self(DefaultKeyedRateLimiter::keyed(rate.quota()))
    }

    /// Counts one, or says how long to wait.
    pub fn admit(&self, key: &K) -> Result<(), Duration> {
        self.0.check_key(key).map_err(|refused| refused.wait_time_from(DefaultClock::default().now()))
    }

    /// Forgets every key whose bucket is full again.
    pub fn forget_old(&self) {
        self.0.retain_recent();
        self.0.shrink_to_fit();
    }

    pub fn known(&self) -> usize {
        self.0.len()
    }
}

/// The keys are people's.
impl<K: Hash + Eq + Clone> fmt::Debug for Limiter<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Limiter").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use shared::config::Setting as _;

    use super::*;

    #[test]
    fn each_key_has_a_bucket_of_its_own() {
        let limiter = Limiter::new(Rate::parse("2/h").unwrap());
        assert!(limiter.admit(&'a').is_ok() && limiter.admit(&'a').is_ok());
        let wait = limiter.admit(&'a').unwrap_err();
        assert!((Duration::from_mins(29)..=Duration::from_mins(30)).contains(&wait), "{wait:?}");
        assert!(limiter.admit(&'b').is_ok());
    }

    #[test]
    fn a_key_is_forgotten_when_its_bucket_is_full_again() {
        let limiter = Limiter::new(Rate::parse("1000000/s").unwrap());
        limiter.admit(&'a').unwrap();
        while limiter.known() > 0 {
            limiter.forget_old();
        }
        let limiter = Limiter::new(Rate::parse("1/h").unwrap());
        limiter.admit(&'a').unwrap();
        limiter.forget_old();
        assert_eq!(limiter.known(), 1);
    }
}

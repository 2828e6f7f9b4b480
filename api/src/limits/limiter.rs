//! Counting by key.

use std::{
    fmt::{self, Display},
    hash::Hash,
    time::Duration,
};

use governor::{
    DefaultKeyedRateLimiter,
    clock::{Clock as _, DefaultClock},
};

use super::{rate::Rate, shared::SharedCounts};

/// A rate for each key. Without shared counts it holds in this process alone: with several replicas a client gets as
/// many times as much.
pub struct Limiter<K: Hash + Eq + Clone> {
    name: &'static str,
    rate: Rate,
    own: DefaultKeyedRateLimiter<K>,
    shared: Option<SharedCounts>,
}

impl<K: Hash + Eq + Clone + Display> Limiter<K> {
    pub fn new(name: &'static str, rate: Rate, shared: Option<&SharedCounts>) -> Self {
        Self { name, rate, own: DefaultKeyedRateLimiter::keyed(rate.quota()), shared: shared.cloned() }
    }

    /// Counts one, or says how long to wait. What is too much for this replica alone is too much for all.
    pub async fn admit(&self, key: &K) -> Result<(), Duration> {
        self.own.check_key(key).map_err(|refused| refused.wait_time_from(DefaultClock::default().now()))?;
        match &self.shared {
            Some(shared) => shared.admit(&format!("{}:{key}", self.name), self.rate).await,
            None => Ok(()),
        }
    }

    /// Forgets every key whose bucket is full again.
    pub fn forget_old(&self) {
        self.own.retain_recent();
        self.own.shrink_to_fit();
    }

    pub fn known(&self) -> usize {
        self.own.len()
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

    fn limiter(rate: &str) -> Limiter<char> {
        Limiter::new("test", Rate::parse(rate).unwrap(), None)
    }

    #[tokio::test]
    async fn each_key_has_a_bucket_of_its_own() {
        let limiter = limiter("2/h");
        assert!(limiter.admit(&'a').await.is_ok() && limiter.admit(&'a').await.is_ok());
        let wait = limiter.admit(&'a').await.unwrap_err();
        assert!((Duration::from_mins(29)..=Duration::from_mins(30)).contains(&wait), "{wait:?}");
        assert!(limiter.admit(&'b').await.is_ok());
    }

    #[tokio::test]
    async fn a_key_is_forgotten_when_its_bucket_is_full_again() {
        let quick = limiter("1000000/s");
        quick.admit(&'a').await.unwrap();
        while quick.known() > 0 {
            quick.forget_old();
        }
        let limiter = limiter("1/h");
        limiter.admit(&'a').await.unwrap();
        limiter.forget_old();
        assert_eq!(limiter.known(), 1);
    }
}

//! How much is done at once. What is more is refused at once: a queue would only make everybody's answer late.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for requests. Those that wait for Keycloak have their own, so that a slow Keycloak takes no place away from
/// registrations, which do without it, nor from checks of tokens, which hardly ever need it.
#[derive(Debug, Clone)]
pub struct Places {
    tokens: Arc<Semaphore>,
    checks: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Places {
    pub fn new(concurrency: u32) -> Self {
        let semaphore = || Arc::new(Semaphore::new(usize::try_from(concurrency).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { tokens: semaphore(), checks: semaphore(), others: semaphore() }
    }

    /// A place for a request to this path, to be kept until it is answered; `None` when all are taken.
    pub fn take(&self, path: &str) -> Option<OwnedSemaphorePermit> {
        let places = match path {
            "/auth/token" => &self.tokens,
            "/auth/validate-token" => &self.checks,
            _ => &self.others,
        };
        Arc::clone(places).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_keycloak_takes_no_place_from_registrations() {
        let places = Places::new(1);
        let token = places.take("/auth/token").unwrap();
        assert!(places.take("/auth/token").is_none());
        let check = places.take("/auth/validate-token").unwrap();
        let registration = places.take("/users/register").unwrap();
        assert!(places.take("/nothing").is_none());
        drop((token, check, registration));
        assert!(places.take("/users/register").is_some() && places.take("/auth/token").is_some());
    }
}

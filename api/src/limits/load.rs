//! How much is done at once. What is more is refused at once: a queue would only make everybody's answer late.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for requests. Those that wait for Keycloak have their own, so that a slow Keycloak takes no place away from
/// registrations, which do without it.
#[derive(Debug, Clone)]
pub struct Places {
    keycloak: Arc<Semaphore>,
    others: Arc<Semaphore>,
}

impl Places {
    pub fn new(concurrency: u32) -> Self {
        let semaphore = || Arc::new(Semaphore::new(usize::try_from(concurrency).unwrap_or(Semaphore::MAX_PERMITS)));
        Self { keycloak: semaphore(), others: semaphore() }
    }

    /// A place for a request to this path, to be kept until it is answered; `None` when all are taken.
    pub fn take(&self, path: &str) -> Option<OwnedSemaphorePermit> {
        let places = if path.starts_with("/auth/") { &self.keycloak } else { &self.others };
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
        assert!(places.take("/auth/validate-token").is_none());
        let registration = places.take("/users/register").unwrap();
        assert!(places.take("/nothing").is_none());
        drop((token, registration));
        assert!(places.take("/users/register").is_some() && places.take("/auth/token").is_some());
    }
}

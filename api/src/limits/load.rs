//! How much is done at once. What is more is refused at once: a queue would only make everybody's answer late.

use std::sync::Arc;

use axum::http::Uri;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::form_urlencoded;

/// Places for requests. Those that wait for Keycloak have their own, so that a slow Keycloak takes no place away from
/// registrations, which do without it, nor from checks of tokens, unless they ask it too.
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

    /// A place for a request to this address, to be kept until it is answered; `None` when all are taken.
    pub fn take(&self, address: &Uri) -> Option<OwnedSemaphorePermit> {
        let places = match address.path() {
            "/auth/token" => &self.tokens,
            "/auth/validate-token" if asks_keycloak(address) => &self.tokens,
            "/auth/validate-token" => &self.checks,
            _ => &self.others,
        };
        Arc::clone(places).try_acquire_owned().ok()
    }
}

/// By the query, which nobody has read yet.
fn asks_keycloak(address: &Uri) -> bool {
    form_urlencoded::parse(address.query().unwrap_or_default().as_bytes()).any(|(name, _)| name == "introspect")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_for_keycloak_takes_no_place_from_registrations() {
        let places = Places::new(1);
        let take = |address: &'static str| places.take(&Uri::from_static(address));
        let token = take("/auth/token").unwrap();
        assert!(take("/auth/token").is_none());
        assert!(take("/auth/validate-token?introspect=true").is_none());
        assert!(take("/auth/validate-token?intros%70ect=true").is_none());
        let check = take("/auth/validate-token").unwrap();
        let registration = take("/users/register").unwrap();
        assert!(take("/nothing").is_none());
        drop((token, check, registration));
        assert!(take("/users/register").is_some() && take("/auth/token").is_some());
    }
}

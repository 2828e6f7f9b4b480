//! The keys of the realm, fetched ahead and kept.
//!
//! One task fetches, and nobody else: who meets an unknown `kid` asks it to and waits. So many who ask at once cause one
//! fetch, and a caller who hangs up neither ends nor repeats it. After each fetch the task rests: until then an unknown
//! `kid` is nobody's key, or whoever invents them could have Keycloak asked without end. What was fetched last is kept
//! for as long as Keycloak is away.

use std::{sync::Arc, time::Duration};

use axum::http::StatusCode;
use shared::telemetry;
use tokio::{
    sync::{Notify, Semaphore, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use super::{
    error::{AuthError, UpstreamError},
    key_set::{KeySet, TrustedKey},
    realm::Realm,
};

/// As long as there is no key at all, nobody's token can be checked: that is worth asking more often.
const WITHOUT_KEYS: Duration = Duration::from_secs(1);

/// So many wait for a fetch; who comes then is told at once that the key is not there, and takes no place away from
/// tokens whose key is.
const WAITING: usize = 32;

/// How often Keycloak is asked.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Without a reason. A key that was withdrawn is trusted for as long.
    pub refresh: Duration,
    /// At most, whatever is asked for.
    pub cooldown: Duration,
}

/// The keys, and the requests for newer ones.
#[derive(Debug)]
pub struct Keys {
    realm: Arc<Realm>,
    pace: Pace,
    known: watch::Sender<Known>,
    wanted: Notify,
    places: Semaphore,
}

#[derive(Debug, Clone, Default)]
struct Known {
    set: Option<Arc<KeySet>>,
    /// Whether asking would be in vain for now.
    resting: bool,
}

impl Keys {
    /// Without a key, until [`Keys::run`] runs.
    pub fn new(realm: Arc<Realm>, pace: Pace) -> Self {
        Self { realm, pace, known: watch::Sender::default(), wanted: Notify::new(), places: Semaphore::new(WAITING) }
    }

    /// The key with this `kid`, if the realm has one.
    pub(super) async fn find(&self, kid: &str) -> Result<Option<TrustedKey>, AuthError> {
        let mut known = self.known.subscribe();
        if let Some(key) = known.borrow_and_update().key(kid) {
            return Ok(Some(key));
        }
        let _place = self.places.try_acquire().map_err(|_taken| AuthError::KeysUnavailable)?;
        self.wanted.notify_waiters();
        // It cannot end: the sender is in `self`.
        let known = known.wait_for(|known| known.resting).await.map_err(|_| AuthError::KeysUnavailable)?;
        if known.set.is_none() { Err(AuthError::KeysUnavailable) } else { Ok(known.key(kid)) }
    }

    /// Fetches for the life of the process.
    pub async fn run(&self, stop: CancellationToken) {
        stop.run_until_cancelled(async {
            loop {
                let next = if self.fetch().await { self.pace.refresh } else { self.pace.cooldown };
                let rest = self.rest();
                sleep(rest).await;
                // Before the rest ends, so that nobody who asks right after it is missed.
                let wanted = self.wanted.notified();
                self.known.send_modify(|known| known.resting = false);
                tokio::select! {
                    () = wanted => {}
                    () = sleep(next.saturating_sub(rest)) => {}
                }
            }
        })
        .await;
    }

    fn rest(&self) -> Duration {
        let has_keys = self.known.borrow().set.is_some();
        if has_keys { self.pace.cooldown } else { self.pace.cooldown.min(WITHOUT_KEYS) }
    }

    async fn fetch(&self) -> bool {
        let fetched = self.ask().await;
        if let Err(error) = &fetched {
            tracing::warn!(error = telemetry::chain(error), "could not fetch the keys that tokens are checked with");
        }
        let fetched = fetched.ok().map(Arc::new);
        let success = fetched.is_some();
        self.known.send_modify(|known| {
            known.set = fetched.or(known.set.take());
            known.resting = true;
        });
        success
    }

    async fn ask(&self) -> Result<KeySet, UpstreamError> {
        let answer = self.realm.keys().await?;
        if answer.status() != StatusCode::OK {
            return Err(answer.misconfigured());
        }
        KeySet::of(answer.read()?).ok_or(UpstreamError::Unreadable { doing: "show its keys" })
    }
}

impl Known {
    fn key(&self, kid: &str) -> Option<TrustedKey> {
        self.set.as_ref()?.get(kid).cloned()
    }
}

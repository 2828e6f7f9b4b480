//! One login of an account at a time.
//!
//! With its brute force detection Keycloak refuses, as a wrong password, whatever login comes while another one of the
//! same account is being decided: two applications that start at once would be told that the password is wrong.

use std::{
    hash::{BuildHasher as _, RandomState},
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{Mutex, OwnedMutexGuard},
    time::{Instant, sleep_until, timeout},
};

use super::LoginName;

/// More than there are places for logins, so that strangers hardly ever share one.
const LINES: usize = 1024;

/// Keycloak forgets a login a moment after it has answered it.
const REST: Duration = Duration::from_millis(200);

/// What Keycloak may take then still fits in the time for one request.
const PATIENCE: Duration = Duration::from_secs(4);

/// Lines that logins wait in. Which one a name is sent to, nobody outside can know, so nobody can choose to stand in
/// somebody else's way.
#[derive(Debug)]
pub(super) struct Turns {
    /// With the end of the last turn.
    lines: Vec<Arc<Mutex<Option<Instant>>>>,
    secret: RandomState,
    patience: Duration,
}

/// Ends when dropped.
#[derive(Debug)]
pub struct Turn(OwnedMutexGuard<Option<Instant>>);

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0 = Some(Instant::now());
    }
}

impl Turns {
    /// Waits until the one before has ended and Keycloak has noted it; `None` when that took too long.
    pub(super) async fn take(&self, login: &LoginName) -> Option<Turn> {
        let number = usize::try_from(self.secret.hash_one(login) % LINES as u64).unwrap_or_default();
        let turn = async {
            let line = Arc::clone(&self.lines[number]).lock_owned().await;
            if let Some(last) = *line {
                sleep_until(last + REST).await;
            }
            Turn(line)
        };
        timeout(self.patience, turn).await.ok()
    }
}

impl Default for Turns {
    fn default() -> Self {
        let lines = std::iter::repeat_with(Arc::default).take(LINES).collect();
        Self { lines, secret: RandomState::new(), patience: PATIENCE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_same_name_waits_for_its_turn_and_not_for_ever() {
        let hasty = Turns { patience: Duration::from_millis(10), ..Turns::default() };
        let turn = hasty.take(&LoginName::of("ada")).await;
        assert!(turn.is_some());
        assert!(hasty.take(&LoginName::of(" ADA")).await.is_none());
        drop(turn);
        let patient = Turns { patience: PATIENCE, ..hasty };
        assert!(timeout(REST / 4, patient.take(&LoginName::of("ada"))).await.is_err(), "right after the one before");
        assert!(patient.take(&LoginName::of("ada")).await.is_some());
    }
}

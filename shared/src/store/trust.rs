//! How long a session of a pool is believed to be alive and free to write, without asking it.
//!
//! To ask costs a round trip, as much as half of the statement that follows. A session in constant use answers by its
//! statements; one that has rested is asked before it is used. What makes sessions read-only breaks no statement that
//! only reads, so one of those in use is asked every now and then as well, and all have their turn.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Nothing that ends sessions, such as a server that starts again, is over sooner.
const LASTS: Duration = Duration::from_millis(100);

/// Of one pool.
#[derive(Debug, Default)]
pub(super) struct Trust {
    last_asked: Mutex<Option<Instant>>,
}

impl Trust {
    /// Whether a session that has rested for so long is to be asked before it is used.
    pub(super) fn ends(&self, rested: Duration) -> bool {
        let mut last = self.last_asked.lock().unwrap_or_else(PoisonError::into_inner);
        let asks = rested >= LASTS || last.is_none_or(|last| last.elapsed() >= LASTS);
        if asks {
            *last = Some(Instant::now());
        }
        asks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_rested_is_asked_and_of_the_others_one_now_and_then() {
        let trust = Trust::default();
        assert!(trust.ends(Duration::ZERO), "nobody was asked yet");
        assert!(!trust.ends(Duration::ZERO));
        assert!(trust.ends(LASTS));
        *trust.last_asked.lock().unwrap() = Instant::now().checked_sub(LASTS);
        assert!(trust.ends(Duration::ZERO));
        assert!(!trust.ends(LASTS / 2));
    }
}

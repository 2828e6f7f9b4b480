//! No more mails in a second than the mail server's owner allows, in this process.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::{Instant, sleep_until};

pub struct Pace {
    gap: Duration,
    /// When the next mail may leave.
    next: Mutex<Instant>,
}

impl Pace {
    pub fn new(per_second: u32) -> Self {
        Self { gap: Duration::from_secs(1) / per_second, next: Mutex::new(Instant::now()) }
    }

    /// Waits for a turn. One that would come later than `patience` is not taken: the error says how long it would be.
    pub async fn turn(&self, patience: Duration) -> Result<(), Duration> {
        let turn = self.take(Instant::now(), patience)?;
        sleep_until(turn).await;
        Ok(())
    }

    fn take(&self, now: Instant, patience: Duration) -> Result<Instant, Duration> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = (*next).max(now);
        if turn - now > patience {
            return Err(turn - now);
        }
        *next = turn + self.gap;
        Ok(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_a_gap_apart() {
        let (pace, second) = (Pace::new(4), Duration::from_secs(1));
        let now = Instant::now();
        let turns: Vec<_> = (0..6).map(|_| pace.take(now, second)).collect();
        let after = |quarters: u32| Ok(now + second / 4 * quarters);
        assert_eq!(turns[..5], [after(0), after(1), after(2), after(3), after(4)]);
        assert_eq!(turns[5], Err(second * 5 / 4), "and who would wait for too long takes none");
        assert_eq!(pace.take(now + second, second), after(5));
    }

    #[test]
    fn a_pause_is_not_made_up_for() {
        let pace = Pace::new(1);
        let later = Instant::now() + Duration::from_mins(1);
        assert_eq!(pace.take(later, Duration::ZERO), Ok(later));
        assert!(pace.take(later, Duration::ZERO).is_err());
    }
}

//! How long to wait before the next try.

use std::time::Duration;

/// Exponential delays with equal jitter: try `n` waits between half and all of `min(max, base * 2^n)`.
///
/// The half that is fixed keeps a retry from being immediate; the half that is random keeps many from coming at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    base: Duration,
    max: Duration,
}

/// Why two durations are no [`Backoff`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBackoff {
    #[error("the first delay must be longer than zero")]
    Zero,
    #[error("the longest delay must not be shorter than the first")]
    Reversed,
}

impl Backoff {
    pub fn try_new(base: Duration, max: Duration) -> Result<Self, InvalidBackoff> {
        if base.is_zero() {
            return Err(InvalidBackoff::Zero);
        }
        if max < base {
            return Err(InvalidBackoff::Reversed);
        }
        Ok(Self { base, max })
    }

    /// The delay after failure number `failures` (1 is the first).
    pub fn delay(&self, failures: u32) -> Duration {
        let ceiling = self.ceiling(failures);
        ceiling / 2 + (ceiling / 2).mul_f64(rand::random::<f64>())
    }

    fn ceiling(&self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }
}

/// `delay` and up to a tenth more, so that many who wait for the same moment do not come at once.
pub fn jittered(delay: Duration) -> Duration {
    delay + delay.mul_f64(0.1 * rand::random::<f64>())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn doubles_up_to_the_ceiling() {
        let backoff = Backoff::try_new(5 * SECOND, 60 * SECOND).unwrap();
        let ceilings = [1, 2, 3, 4, 5, 6, 40, u32::MAX].map(|n| backoff.ceiling(n).as_secs());
        assert_eq!(ceilings, [5, 10, 20, 40, 60, 60, 60, 60]);
    }

    #[test]
    fn waits_at_least_half_and_at_most_all() {
        let backoff = Backoff::try_new(SECOND, 8 * SECOND).unwrap();
        for _ in 0..1000 {
            let delay = backoff.delay(3);
            assert!((2 * SECOND..=4 * SECOND).contains(&delay), "{delay:?}");
        }
    }

    #[test]
    fn refuses_nonsense() {
        assert_eq!(Backoff::try_new(Duration::ZERO, SECOND), Err(InvalidBackoff::Zero));
        assert_eq!(Backoff::try_new(2 * SECOND, SECOND), Err(InvalidBackoff::Reversed));
    }
}

//! From which row the relay looks: beyond the low mark, and every now and then from the first one.

use std::time::{Duration, Instant};

use shared::store::outbox::LowMark;

/// The passes over the outbox. The first one is a full one, made without the mark.
pub struct Passes {
    low: LowMark,
    every: Duration,
    next_full: Instant,
}

impl Passes {
    /// With a full pass `every` so often.
    pub fn new(every: Duration) -> Self {
        Self { low: LowMark::default(), every, next_full: Instant::now() }
    }

    /// The row beyond which to look.
    pub fn from(&self, now: Instant) -> i64 {
        if now >= self.next_full { 0 } else { self.low.low() }
    }

    /// Notes a claim of rows beyond `from` and up to `highest_id`, and whether there is probably `more`. A full pass goes
    /// on until it has come to the mark: under load there is always more beyond it, for which it need not be full.
    pub fn claimed(&mut self, from: i64, highest_id: i64, more: bool, now: Instant) {
        let goes_on = more && highest_id < self.low.low();
        if from == 0 && !goes_on {
            self.next_full = now + self.every;
        }
        self.low.observe(highest_id, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(15);

    #[test]
    fn a_full_pass_goes_on_as_far_as_the_mark() {
        let mut passes = Passes::new(EVERY);
        let start = passes.next_full;
        let at = |seconds| start + Duration::from_secs(seconds);
        passes.claimed(passes.from(at(0)), 1_000, false, at(0));
        passes.claimed(passes.from(at(14)), 2_000, false, at(14));
        passes.claimed(passes.from(at(30)), 3_000, false, at(30));
        assert_eq!(passes.from(at(31)), 1_000, "the mark lags");

        assert_eq!(passes.from(at(45)), 0, "it is time");
        passes.claimed(0, 7, true, at(45));
        assert_eq!(passes.from(at(45)), 0, "there is more below the mark");
        passes.claimed(0, 4_000, true, at(45));
        assert_ne!(passes.from(at(45)), 0, "and beyond it the mark holds again");
        assert_eq!(passes.from(at(60)), 0, "it is time again");
        passes.claimed(0, 9, false, at(60));
        assert_ne!(passes.from(at(60)), 0, "nothing was left");
    }
}

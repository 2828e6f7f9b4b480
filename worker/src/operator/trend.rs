//! How fast those who are on the way become fewer, while somebody watches.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use shared::store::funnel::AT_MOST;

/// A pause of the garbage collector in Keycloak must not look like an end of all work.
const WITHIN: Duration = Duration::from_mins(1);

/// How many were open at each look of the last minute.
#[derive(Default)]
pub(super) struct Trend(VecDeque<(Instant, u32)>);

impl Trend {
    /// By how many they change in a second. Nothing at the first look, and when nobody counted to the end.
    pub(super) fn add(&mut self, at: Instant, open: u64) -> Option<f64> {
        let counted = u32::try_from(open).ok().filter(|_| open < AT_MOST.unsigned_abs());
        let Some(open) = counted else {
            self.0.clear();
            return None;
        };
        self.0.push_back((at, open));
        self.0.retain(|(looked, _)| at.saturating_duration_since(*looked) <= WITHIN);
        let (first_at, first) = *self.0.front()?;
        let seconds = at.saturating_duration_since(first_at).as_secs_f64();
        (seconds > 0.0).then(|| (f64::from(open) - f64::from(first)) / seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_change_is_that_of_the_last_minute() {
        let (mut trend, began) = (Trend::default(), Instant::now());
        let mut look = |second, open| trend.add(began + Duration::from_secs(second), open);
        assert_eq!(look(0, 100), None);
        assert_eq!(look(10, 80), Some(-2.0));
        assert_eq!(look(60, 40), Some(-1.0));
        // The first look is too long ago.
        assert_eq!(look(70, 200), Some(2.0));
        assert_eq!(look(72, 10_000), None);
        assert_eq!(look(74, 9_000), None);
    }
}

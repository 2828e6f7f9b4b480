//! How often something may happen.

use std::{num::NonZeroU32, time::Duration};

use governor::Quota;
use shared::config::Setting;

/// So many times in a second, a minute or an hour: all of them at once, or spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    times: NonZeroU32,
    per: Duration,
}

impl Rate {
    pub fn per_minute(times: u32) -> Self {
        Self { times: NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN), per: MINUTE }
    }

    /// In what time one may come, and how many at once.
    pub(super) fn cells(self) -> (Duration, u32) {
        (self.per / self.times.get(), self.times.get())
    }

    /// A bucket of `times` that is full at first and full again after `per`.
    pub(super) fn quota(self) -> Quota {
        let (one, _) = self.cells();
        Quota::with_period(one).unwrap_or(Quota::per_second(self.times)).allow_burst(self.times)
    }
}

/// Times are counted in microseconds where all replicas count together.
const SHORTEST: Duration = Duration::from_micros(1);

const MINUTE: Duration = Duration::from_mins(1);

impl Setting for Rate {
    const EXPECTED: &'static str =
        "a rate such as 10/m (s, m and h are a second, a minute and an hour), and no more than 1000000/s";

    fn parse(raw: &str) -> Option<Self> {
        let (times, per) = raw.split_once('/')?;
        let per = match per.trim() {
            "s" => Duration::from_secs(1),
            "m" => MINUTE,
            "h" => Duration::from_hours(1),
            _ => return None,
        };
        let rate = Self { times: times.trim().parse().ok()?, per };
        (rate.cells().0 >= SHORTEST).then_some(rate)
    }

    fn written(&self) -> String {
        let per = match self.per.as_secs() {
            1 => "s",
            60 => "m",
            _ => "h",
        };
        format!("{}/{per}", self.times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_per_unit() {
        assert_eq!(Rate::parse("10/m"), Some(Rate::per_minute(10)));
        assert!(Rate::parse("1000000/s").is_some());
        assert_eq!(Rate::parse("3 / h").map(|rate| rate.per), Some(Duration::from_hours(1)));
        for bad in ["", "10", "0/m", "-1/s", "10/d", "ten/m", "10/m/s", "1000001/s"] {
            assert_eq!(Rate::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bucket_is_full_at_first_and_full_again_after_its_time() {
        let quota = Rate::parse("6/m").unwrap().quota();
        assert_eq!(quota.burst_size().get(), 6);
        assert_eq!(quota.replenish_interval(), Duration::from_secs(10));
    }
}

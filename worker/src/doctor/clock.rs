//! Whether another machine's clock says what ours does.

use chrono::{DateTime, TimeDelta, Utc};

/// Beyond a granularity of one second and a slow answer.
const NOTICEABLE: TimeDelta = TimeDelta::seconds(3);

/// By how much `theirs` is ahead of ours, or behind, when that is worth a word.
pub(super) fn differs(theirs: DateTime<Utc>, ours: DateTime<Utc>) -> Option<TimeDelta> {
    let ahead = theirs - ours;
    (ahead.abs() > NOTICEABLE).then_some(ahead)
}

/// For a human.
pub(super) fn told(ahead: TimeDelta) -> String {
    let (seconds, side) = (ahead.num_seconds().abs(), if ahead > TimeDelta::zero() { "ahead of" } else { "behind" });
    format!("its clock is {seconds} s {side} ours")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_are_none() {
        let ours = DateTime::UNIX_EPOCH;
        assert_eq!(differs(ours + TimeDelta::seconds(3), ours), None);
        let behind = differs(ours - TimeDelta::seconds(40), ours).unwrap();
        assert_eq!(told(behind), "its clock is 40 s behind ours");
        assert_eq!(told(-behind), "its clock is 40 s ahead of ours");
    }
}

//! Who and what waits, as the last census counted it, for as long as that may still be so.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use opentelemetry::{KeyValue, metrics::AsyncInstrument};
use shared::{metrics::meter, store::census::Census};

use crate::outcome::REASONS;

/// Four looks. Older figures are not told: they would say that nobody waits while nobody can look.
const GOOD_FOR: Duration = Duration::from_mins(1);

static LAST: Last = Last(Mutex::new(None));

/// The last census, and when it was taken.
struct Last(Mutex<Option<(Instant, Census)>>);

impl Last {
    fn take(&self, at: Instant, census: Census) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((at, census));
    }

    /// Nothing once it is too old.
    fn read<T>(&self, now: Instant, read: impl FnOnce(&Census) -> T) -> Option<T> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        last.as_ref().filter(|(at, _)| now.saturating_duration_since(*at) < GOOD_FOR).map(|(_, census)| read(census))
    }
}

pub fn counted(census: Census) {
    LAST.take(Instant::now(), census);
}

/// Whether the database let itself be counted lately.
pub fn database_is_up() -> bool {
    LAST.read(Instant::now(), |_| ()).is_some()
}

pub(super) fn begin() {
    number("usher.outbox.pending", "Events that are not published, up to 10,000", |it| it.outbox_pending);
    age("usher.outbox.oldest.age", "Age of the event that waits longest", |it| it.outbox_oldest);
    number("usher.users.waiting", "Users who are not complete and not parked, up to 10,000", |it| it.users_waiting);
    let longest = "How long the one has waited who waits longest for the first mail";
    age("usher.users.oldest_waiting.age", longest, |it| it.longest_wait);
    parked();
}

fn number(name: &'static str, description: &'static str, read: fn(&Census) -> u64) {
    let tell = move |observer: &dyn AsyncInstrument<u64>| {
        LAST.read(Instant::now(), |census| observer.observe(read(census), &[]));
    };
    meter().u64_observable_gauge(name).with_description(description).with_callback(tell).build();
}

fn age(name: &'static str, description: &'static str, read: fn(&Census) -> Duration) {
    let tell = move |observer: &dyn AsyncInstrument<f64>| {
        LAST.read(Instant::now(), |census| observer.observe(read(census).as_secs_f64(), &[]));
    };
    meter().f64_observable_gauge(name).with_unit("s").with_description(description).with_callback(tell).build();
}

fn parked() {
    let tell = |observer: &dyn AsyncInstrument<u64>| {
        for (reason, number) in LAST.read(Instant::now(), parked_by_reason).into_iter().flatten() {
            observer.observe(number, &[KeyValue::new("reason", reason)]);
        }
    };
    let description = "Users who wait for an operator, up to 10,000";
    meter().u64_observable_gauge("usher.users.parked").with_description(description).with_callback(tell).build();
}

fn parked_by_reason(census: &Census) -> Vec<(&'static str, u64)> {
    let known = REASONS.map(|reason| (reason, census.users_parked.get(reason).copied().unwrap_or_default()));
    // Reasons of a newer worker, or of an older one.
    let other = census.users_parked.values().sum::<u64>() - known.iter().map(|(_, number)| number).sum::<u64>();
    known.into_iter().chain([("other", other)]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn census() -> Census {
        let users_parked = BTreeMap::from([("conflict".to_owned(), 2), ("of a later version".to_owned(), 3)]);
        let none = Duration::ZERO;
        Census { outbox_pending: 7, outbox_oldest: none, users_waiting: 0, longest_wait: none, users_parked }
    }

    #[test]
    fn a_census_is_good_for_a_minute() {
        let (last, at) = (Last(Mutex::new(None)), Instant::now());
        assert_eq!(last.read(at, |census| census.outbox_pending), None);
        last.take(at, census());
        let pending = |after| last.read(at + after, |census| census.outbox_pending);
        assert_eq!(pending(Duration::from_secs(59)), Some(7));
        assert_eq!(pending(Duration::from_mins(1)), None);
    }

    #[test]
    fn reasons_that_are_not_known_here_are_counted_together() {
        let parked = parked_by_reason(&census());
        assert!(parked.contains(&("conflict", 2)) && parked.contains(&("other", 3)), "{parked:?}");
        assert_eq!(parked.len(), REASONS.len() + 1);
    }
}

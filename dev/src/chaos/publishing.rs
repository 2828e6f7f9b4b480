//! When events were published, as the logs tell it: how long each loss of a broker kept them waiting.

use std::{collections::HashMap, fs};

use anyhow::Result;
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::{
    record::Fault,
    victim::{Kind, Victim},
};
use crate::stack::Stack;

/// One event on its way to the broker. Times are seconds since the beginning.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Published {
    committed: f64,
    confirmed: f64,
}

/// All of them, in the order in which they were confirmed.
pub(super) fn read(ground: &Stack, began: DateTime<Utc>) -> Result<Vec<Published>> {
    let (mut committed, mut confirmed) = (HashMap::new(), HashMap::new());
    for process in Victim::ALL.iter().filter(|victim| matches!(victim.kind, Kind::Api | Kind::Worker)) {
        let log = fs::read_to_string(ground.log_file(process.name))?;
        for (milestone, user, at) in log.lines().filter_map(milestone) {
            let passed = match milestone.as_str() {
                "committed" => &mut committed,
                "published" => &mut confirmed,
                _ => continue,
            };
            passed.entry(user).or_insert_with(|| (at - began).as_seconds_f64());
        }
    }
    let both = committed
        .into_iter()
        .filter_map(|(user, committed)| Some(Published { committed, confirmed: *confirmed.get(&user)? }));
    let mut events: Vec<_> = both.collect();
    events.sort_by(|one, other| one.confirmed.total_cmp(&other.confirmed));
    Ok(events)
}

/// Which one a line tells of, who passed it, and when.
fn milestone(line: &str) -> Option<(String, String, DateTime<Utc>)> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line[name].as_str();
    Some((text("milestone")?.to_owned(), text("user.id")?.to_owned(), text("timestamp")?.parse().ok()?))
}

/// What a death cost, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cost {
    /// The longest time in which nothing was published.
    pub(super) pause: f64,
    /// The longest time that an event waited.
    pub(super) wait: f64,
}

/// From the death until the node was back.
pub(super) fn cost(events: &[Published], fault: &Fault) -> Option<Cost> {
    let (from, to) = (fault.killed, fault.ready?);
    let pauses = events.windows(2).map(|pair| (pair[0].confirmed, pair[1].confirmed));
    let waits = events.iter().map(|event| (event.committed, event.confirmed));
    Some(Cost { pause: longest(pauses, from, to)?, wait: longest(waits, from, to)? })
}

/// Of those that reach into a time.
fn longest(spans: impl Iterator<Item = (f64, f64)>, from: f64, to: f64) -> Option<f64> {
    spans.filter(|(begin, end)| *end > from && *begin < to).map(|(begin, end)| end - begin).max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_pause_and_the_longest_wait_that_a_death_reached_into() {
        let fault = Fault { victim: Victim::NODES[0], killed: 10.0, ready: Some(15.0) };
        let event = |(committed, confirmed)| Published { committed, confirmed };
        let events = [(0.0, 9.0), (8.0, 11.0), (13.0, 13.5), (12.0, 19.0), (50.0, 60.0)].map(event);
        assert_eq!(cost(&events, &fault), Some(Cost { pause: 5.5, wait: 7.0 }));
        assert_eq!(cost(&[], &fault), None);
    }

    #[test]
    fn a_milestone_says_who_passed_it() {
        let line = r#"{"timestamp":"2026-01-01T00:00:00.5Z","milestone":"published","user.id":"7"}"#;
        assert_eq!(
            milestone(line).map(|(milestone, user, _)| (milestone, user)),
            Some(("published".into(), "7".into()))
        );
        assert!(milestone("{}").is_none() && milestone("no JSON").is_none());
    }
}

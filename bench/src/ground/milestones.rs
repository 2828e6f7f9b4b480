//! When each user of a run passed what, by the milestones that api and worker log in the trace of the registration.

use std::{collections::HashMap, fs};

use anyhow::{Context as _, Result};
use chrono::{DateTime, Utc};
use serde_json::Value;

use super::Ground;

/// Has them logged.
pub(crate) const LOGGED: (&str, &str) = ("RUST_LOG", "info,milestone=debug");

/// In the order of the way. That an event is published is logged too, when the broker has confirmed it; by then a consumer
/// may have it.
pub(crate) const WAY: [&str; 5] = ["committed", "consumed", "keycloak_user_created", "synced", "mail_accepted"];

/// Of all who have come to the end since `began`, in the order of their commits.
pub(crate) fn passed(ground: &Ground, began: DateTime<Utc>) -> Result<Vec<[DateTime<Utc>; WAY.len()]>> {
    let mut people: HashMap<String, [Option<DateTime<Utc>>; WAY.len()]> = HashMap::new();
    for log in ["usher-api.log", "usher-worker.log"] {
        let text = fs::read_to_string(ground.logs()?.join(log)).with_context(|| format!("cannot read {log}"))?;
        for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let Some((user, milestone, at)) = milestone(&line).filter(|(_, _, at)| *at >= began) else { continue };
            people.entry(user.to_owned()).or_default()[milestone].get_or_insert(at);
        }
    }
    let mut all: Vec<_> = people.into_values().filter_map(all_of).collect();
    all.sort_unstable_by_key(|[committed, ..]| *committed);
    Ok(all)
}

fn milestone(line: &Value) -> Option<(&str, usize, DateTime<Utc>)> {
    let milestone = WAY.iter().position(|name| line["milestone"] == *name)?;
    Some((line["user.id"].as_str()?, milestone, line["timestamp"].as_str()?.parse().ok()?))
}

fn all_of(times: [Option<DateTime<Utc>>; WAY.len()]) -> Option<[DateTime<Utc>; WAY.len()]> {
    let all: Vec<_> = times.into_iter().flatten().collect();
    all.try_into().ok()
}

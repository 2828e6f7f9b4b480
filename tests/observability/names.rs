//! What rules and dashboards ask for is measured by somebody.

use std::collections::BTreeSet;

use super::{dashboards::panels, rules};
use crate::metrics::table;

/// What RabbitMQ's own plugin says of queues.
const RABBITMQ: [&str; 2] = ["rabbitmq_detailed_queue_messages", "rabbitmq_detailed_queue_consumers"];
/// What Prometheus says of itself.
const PROMETHEUS: [&str; 2] = ["up", "ALERTS"];

#[test]
fn every_metric_that_is_asked_for_is_explained() {
    let mut known: BTreeSet<String> = table().into_values().flatten().collect();
    known.extend(RABBITMQ.into_iter().chain(PROMETHEUS).map(str::to_owned));
    known.extend(recorded());
    let mut asked = 0;
    for query in rule_queries().into_iter().chain(panels().into_iter().flat_map(|panel| panel.queries)) {
        for name in metrics_of(&query) {
            assert!(known.contains(&name), "{name} is not measured: {query}");
            asked += 1;
        }
    }
    assert!(asked > 50, "only {asked} names were found");
}

/// The names that rules record under.
fn recorded() -> Vec<String> {
    let rules = rules::text("alerts.yml");
    rules.lines().filter_map(|line| line.trim().strip_prefix("- record: ")).map(str::to_owned).collect()
}

/// An expression stands behind `expr:`, or in the more deeply indented lines that follow.
fn rule_queries() -> Vec<String> {
    let rules = rules::text("alerts.yml");
    let indent = |line: &str| line.len() - line.trim_start().len();
    let lines: Vec<&str> = rules.lines().collect();
    let starts = lines.iter().enumerate().filter_map(|(number, line)| {
        Some((number, line.trim().trim_start_matches("- ").strip_prefix("expr: ")?)).filter(|_| indent(line) > 0)
    });
    let queries = starts.map(|(number, first)| {
        let below = lines[number + 1..].iter().take_while(|line| indent(line) > indent(lines[number]));
        if first == "|" { below.copied().collect::<Vec<_>>().join("\n") } else { first.to_owned() }
    });
    queries.collect()
}

/// The metrics that a query names: what is no function, no keyword, no label and no number.
fn metrics_of(query: &str) -> BTreeSet<String> {
    const WORDS: [&str; 9] = ["and", "or", "unless", "by", "on", "sum", "max", "min", "count"];
    let query = without(&without(query, '{', '}'), '[', ']');
    let mut names = BTreeSet::new();
    let mut rest = query.as_str();
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let tail = &rest[start..];
        let end = tail.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | ':'))).unwrap_or(tail.len());
        let (word, after) = tail.split_at(end);
        let lists_labels = matches!(word, "by" | "on");
        // A list of labels is passed over whole.
        rest = if lists_labels { after.split_once(')').map_or("", |(_, rest)| rest) } else { after };
        if !WORDS.contains(&word) && !after.trim_start().starts_with('(') {
            names.insert(series(word).to_owned());
        }
    }
    names
}

/// The histogram that a series is of, if it is of one.
fn series(name: &str) -> &str {
    let count = name.strip_suffix("_count").filter(|histogram| histogram.ends_with("_seconds"));
    name.strip_suffix("_bucket").or(count).unwrap_or(name)
}

fn without(text: &str, open: char, close: char) -> String {
    let mut depth = 0;
    let outside = text.chars().filter(|c| {
        depth += i32::from(*c == open);
        let is_outside = depth == 0;
        depth -= i32::from(*c == close);
        is_outside
    });
    outside.collect()
}

#[test]
fn the_names_in_a_query_are_found() {
    let query = "sum by (job) (rate(a_total{b=\"c\"}[5m])) / on (d) e_seconds_count unless on () max(f:g) == 0";
    assert_eq!(metrics_of(query).into_iter().collect::<Vec<_>>(), ["a_total", "e_seconds", "f:g"]);
}

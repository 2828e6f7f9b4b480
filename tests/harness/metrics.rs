//! What a process of ours measures, as an operator reads it.

use super::{http, reserved_port::ReservedPort};

/// The series of a metric that counts, as far as they have all these labels (`name="value"`), added up.
pub async fn metric(ops: &ReservedPort, name: &str, labels: &[&str]) -> u64 {
    let answer = http::client().get(format!("http://{}/metrics", ops.address())).send().await.expect("it answers");
    let text = answer.text().await.expect("it is text");
    let series = text.lines().filter_map(|line| line.rsplit_once(' ')).filter(|(series, _)| {
        series.split('{').next() == Some(name) && labels.iter().all(|label| series.contains(label))
    });
    let values: Vec<u64> = series.map(|(_, value)| value.parse().expect("a whole number")).collect();
    assert!(!values.is_empty(), "{name} with {labels:?} is not among\n{text}");
    values.iter().sum()
}

/// The same of several processes, added up.
pub async fn metric_of_all(all: &[ReservedPort], name: &str, labels: &[&str]) -> u64 {
    let mut sum = 0;
    for ops in all {
        sum += metric(ops, name, labels).await;
    }
    sum
}

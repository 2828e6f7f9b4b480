//! The rows as a table.

use super::number::{percent, short};
use crate::{rounds::Sample, row::Row};

const HEAD: [&str; 7] = ["", "what", "ours", "reference", "ratio", "goal", "met"];

/// For a terminal.
pub(super) fn plain(rows: &[Row]) -> String {
    let lines = lines(rows);
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default())
        .collect();
    let pad = |line: &[String; 7]| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    lines.iter().map(pad).collect()
}

/// For a page.
pub(super) fn markdown(rows: &[Row]) -> String {
    let mut lines = lines(rows).into_iter().map(|line| format!("| {} |\n", line.join(" | ")));
    let head = lines.next().unwrap_or_default();
    let rule = "|---".repeat(HEAD.len()) + "|\n";
    [head, rule].into_iter().chain(lines).collect()
}

fn lines(rows: &[Row]) -> Vec<[String; 7]> {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(rows.iter().map(cells));
    lines
}

fn cells(row: &Row) -> [String; 7] {
    let value = |sample: &Sample| format!("{} {} {}", short(sample.median()), row.unit, percent(sample.spread()));
    let reference = row.reference.as_ref().map(|sample| format!("{} ({})", value(sample).trim(), row.beside));
    [
        row.benchmark.to_owned(),
        row.line.clone(),
        value(&row.ours).trim().to_owned(),
        reference.unwrap_or_default(),
        row.ratio().map(|ratio| format!("{ratio:.2}")).unwrap_or_default(),
        row.goal_text(),
        row.met().map(|met| if met { "yes" } else { "NO" }).unwrap_or_default().to_owned(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Goal;

    #[test]
    fn a_miss_is_shown_as_one() {
        let row = Row::new("register", "16", &Sample::of([900.0]), "/s").beside("bare", &Sample::of([1000.0]));
        let table = markdown(&[row.goal(Goal::RatioAtLeast(0.95))]);
        assert!(
            table.ends_with("| register | 16 | 900 /s ±0 % | 1,000 /s ±0 % (bare) | 0.90 | ratio ≥ 0.95 | NO |\n"),
            "{table}"
        );
    }
}

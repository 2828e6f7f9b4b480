//! The page that a run writes: when, on what, the table, the charts.

use chrono::{DateTime, Utc};

use super::{chart, table};
use crate::row::Row;

pub(super) fn write(began: DateTime<Utc>, facts: &[String], rows: &[Row]) -> String {
    let facts = facts.join("\n- ");
    let charts: Vec<String> = chart::names(rows).iter().map(|name| format!("![{name}]({name}.svg)\n")).collect();
    format!(
        "# Measured on {}\n\nWritten by `cargo dev bench`. Medians of the rounds (in `scale` and by the steps of \
         `journey` of single ones); ± is half of what lies between the quartiles. Of what took turns, the ratio is the \
         median of each turn's, not that of the medians.\n\n- {facts}\n\n{}\n{}",
        began.format("%Y-%m-%d %H:%M UTC"),
        table::markdown(rows),
        charts.join("\n"),
    )
}

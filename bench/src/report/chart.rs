//! A chart for each benchmark, ours beside the reference, and one of all ratios to their goals.

use chrono::{DateTime, Utc};

use super::{
    number::short,
    svg::{Anchor, Svg},
};
use crate::row::{Goal, Row};

const WIDTH: f64 = 900.0;
const LEFT: f64 = 330.0;
/// Where the longest bar ends, with what stands behind it.
const RIGHT: f64 = WIDTH - 280.0;
/// The same of the goals, whose names are longer and their values short.
const GOALS: (f64, f64) = (440.0, WIDTH - 130.0);
const TOP: f64 = 60.0;
const BAR: f64 = 15.0;
const GAP: f64 = 10.0;
const OURS: &str = "#1a73e8";
const REFERENCE: &str = "#9aa0a6";
const MET: &str = "#188038";
const MISSED: &str = "#d93025";

/// The headline's name, then the benchmarks'.
pub(super) fn names(rows: &[Row]) -> Vec<&'static str> {
    let mut names: Vec<_> = rows.iter().map(|row| row.benchmark).collect();
    names.dedup();
    names.insert(0, "goals");
    names
}

/// File names and what is in them.
pub(super) fn all(began: DateTime<Utc>, rows: &[Row]) -> Vec<(String, String)> {
    let date = began.format("%Y-%m-%d").to_string();
    let draw = |name: &'static str| {
        let of_it: Vec<&Row> = rows.iter().filter(|row| row.benchmark == name).collect();
        let picture = if name == "goals" { goals(&date, rows) } else { benchmark(&date, name, &of_it) };
        (format!("{name}.svg"), picture)
    };
    names(rows).into_iter().map(draw).collect()
}

/// Two bars for each row. Rows of one unit share a scale, and steps stand one after the other.
fn benchmark(date: &str, name: &str, rows: &[&Row]) -> String {
    let (mut svg, mut y, mut ended) = (Svg::default(), TOP, LEFT);
    svg.title(&format!("{name}, {date}"));
    for row in rows {
        let reference = row.reference.as_ref().map(crate::rounds::Sample::median);
        let highest = rows.iter().filter(|it| it.unit == row.unit).map(|it| highest(it)).fold(0.0, f64::max);
        let scale = (RIGHT - LEFT) / highest.max(f64::MIN_POSITIVE);
        let began = if row.continues { ended } else { LEFT };
        ended = began + row.ours.median() * scale;
        svg.text((LEFT - 8.0, y + 12.0), Anchor::End, &row.line);
        let bars = [Some((row.ours.median(), OURS, "")), reference.map(|value| (value, REFERENCE, row.beside))];
        for (value, colour, what) in bars.into_iter().flatten() {
            svg.bar((began, y), value * scale, BAR, colour);
            let text = format!("{} {} {what}", short(value), row.unit);
            svg.text((began + value * scale + 6.0, y + 12.0), Anchor::Start, text.trim());
            y += BAR;
        }
        y += GAP;
    }
    svg.finish(WIDTH, y + GAP)
}

fn highest(row: &Row) -> f64 {
    row.reference.as_ref().map_or(0.0, crate::rounds::Sample::median).max(row.ours.median())
}

/// How far each row with a goal is beyond it: 1 is what was asked, more is better.
fn goals(date: &str, rows: &[Row]) -> String {
    let reached: Vec<(&Row, f64)> = rows.iter().filter_map(|row| Some((row, row.reached()?))).collect();
    let (mut svg, mut y) = (Svg::default(), TOP);
    svg.title(&format!("Goals, {date}: 1 is what was asked, more is better"));
    let most = reached.iter().map(|(_, part)| part.min(LONGEST)).fold(1.2, f64::max);
    let (left, right) = GOALS;
    let scale = (right - left) / most;
    for (row, part) in &reached {
        let colour = if row.met() == Some(true) { MET } else { MISSED };
        svg.text((left - 8.0, y + 12.0), Anchor::End, &name_of(row));
        svg.bar((left, y), part.min(LONGEST) * scale, BAR, colour);
        svg.text((left + part.min(LONGEST) * scale + 6.0, y + 12.0), Anchor::Start, &format!("{part:.2}"));
        y += BAR + GAP / 2.0;
    }
    svg.line((left + scale, TOP - 6.0), (left + scale, y));
    svg.finish(WIDTH, y + GAP)
}

/// With what it is beside, where the goal asks for that: a line may be beside several.
fn name_of(row: &Row) -> String {
    let alone = row.beside.is_empty() || matches!(row.goal, Goal::AtMost(_));
    let beside = if alone { String::new() } else { format!(" / {}", row.beside) };
    format!("{}: {}{beside}", row.benchmark, row.line)
}

/// A goal that is far exceeded must not make the others small.
const LONGEST: f64 = 3.0;

//! One set of curves with its axes.

use super::svg::{Anchor, Svg};

/// A time and a value, if it was known then.
pub(super) type Point = (f64, Option<f64>);

pub(super) struct Series {
    pub(super) name: &'static str,
    pub(super) colour: &'static str,
    pub(super) points: Vec<Point>,
}

pub(super) struct Panel {
    pub(super) title: &'static str,
    pub(super) series: Vec<Series>,
}

/// Where time lies.
pub(super) struct Frame {
    pub(super) left: f64,
    pub(super) right: f64,
    /// Of the run, in seconds.
    pub(super) end: f64,
}

/// Marks on an axis, at most.
const MARKS: f64 = 6.0;
const TIME_MARKS: f64 = 18.0;
const TIME_STEPS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0];
const LEGEND_AT: f64 = 220.0;
const LEGEND_WIDTH: f64 = 190.0;
const GRID: &str = r##"stroke="#e0e0e0""##;
const INK: &str = r#"stroke="black""#;
pub(super) const BOLD: &str = r#"font-weight="bold""#;

impl Frame {
    pub(super) fn x(&self, seconds: f64) -> f64 {
        self.left + (self.right - self.left) * seconds / self.end
    }

    pub(super) fn draw_axes(&self, svg: &mut Svg, top: f64, bottom: f64) {
        svg.line((self.left, bottom), (self.right, bottom), INK);
        svg.line((self.left, top), (self.left, bottom), INK);
        for at in marks(self.end, step(self.end, TIME_MARKS, &TIME_STEPS)) {
            let x = self.x(at);
            svg.line((x, bottom), (x, bottom + 5.0), INK);
            svg.text((x, bottom + 19.0), Anchor::Middle, "", &at.to_string());
        }
        svg.text((self.left.midpoint(self.right), bottom + 38.0), Anchor::Middle, "", "time (s)");
    }
}

impl Panel {
    pub(super) fn draw(&self, svg: &mut Svg, frame: &Frame, top: f64, height: f64) {
        let values = self.series.iter().flat_map(|series| &series.points).filter_map(|(_, value)| *value);
        let highest = values.fold(1.0, f64::max);
        let step = step(highest, MARKS, &decades());
        let highest = (highest / step).ceil() * step;
        let y = |value: f64| top + height * (1.0 - value / highest);
        for value in marks(highest, step) {
            svg.line((frame.left, y(value)), (frame.right, y(value)), GRID);
            svg.text((frame.left - 8.0, y(value) + 4.0), Anchor::End, "", &value.to_string());
        }
        for series in &self.series {
            let points = series.points.iter().map(|(at, value)| (frame.x(*at), value.map(y)));
            svg.curve(points, series.colour);
        }
        self.draw_head(svg, frame, top - 8.0);
    }

    /// Title and legend in one line.
    fn draw_head(&self, svg: &mut Svg, frame: &Frame, y: f64) {
        svg.text((frame.left, y), Anchor::Start, BOLD, self.title);
        let mut x = frame.left + LEGEND_AT;
        for series in &self.series {
            svg.bar((x, y - 6.0), 18.0, 3.0, series.colour);
            svg.text((x + 24.0, y), Anchor::Start, "", series.name);
            x += LEGEND_WIDTH;
        }
    }
}

/// The smallest of `steps` that makes at most `most` marks.
fn step(highest: f64, most: f64, steps: &[f64]) -> f64 {
    let largest = steps.last().copied().unwrap_or(1.0);
    steps.iter().copied().find(|step| highest / step <= most).unwrap_or(largest)
}

fn decades() -> Vec<f64> {
    (0..6).flat_map(|decade| [1.0, 2.0, 5.0].map(|step| step * 10_f64.powi(decade))).collect()
}

fn marks(highest: f64, step: f64) -> impl Iterator<Item = f64> {
    std::iter::successors(Some(0.0), move |mark| Some(mark + step)).take_while(move |mark| *mark <= highest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_axis_has_a_handful_of_round_marks() {
        let step = step(730.0, MARKS, &decades());
        assert_eq!(marks(800.0, step).collect::<Vec<_>>(), [0.0, 200.0, 400.0, 600.0, 800.0]);
    }
}

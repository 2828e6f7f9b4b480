//! The timeline of a run as an SVG: registrations, what waits, who arrived, and who was dead when. One axis of time for
//! all; a thin line through all of them for each kill.

mod panel;
mod svg;

use super::{
    outcome::Outcome,
    record::{Noted, Sample},
    victim::Kind,
};
use panel::{BOLD, Frame, Panel, Point, Series};
use svg::{Anchor, Svg};

const WIDTH: f64 = 1280.0;
const FRAME_LEFT: f64 = 90.0;
const FRAME_RIGHT: f64 = WIDTH - 24.0;
const TOP: f64 = 92.0;
const PANEL: f64 = 170.0;
const BETWEEN: f64 = 46.0;
const LANE: f64 = 17.0;
/// Below the lanes: the axis of time.
const BOTTOM: f64 = 50.0;
/// Bins of a rate: none finer than a second, or than a few pixels.
const BINS: f64 = 240.0;

const GREY: &str = "#9aa0a6";
const BLUE: &str = "#1a73e8";
const GREEN: &str = "#188038";
const BROWN: &str = "#8d6e63";
const PINK: &str = "#d01884";

fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Api => "#1a73e8",
        Kind::Worker => "#188038",
        Kind::Rabbitmq => "#e8710a",
        Kind::Postgres => "#8430ce",
        Kind::Keycloak => "#d93025",
    }
}

pub(super) fn draw(outcome: &Outcome) -> String {
    let noted = &outcome.noted;
    let last_seen = noted.samples.last().map_or(1.0, |sample| sample.at);
    let frame = Frame { left: FRAME_LEFT, right: FRAME_RIGHT, end: noted.quiet.unwrap_or(last_seen).max(1.0) };
    let lanes = TOP + 3.0 * (PANEL + BETWEEN);
    let bottom = lanes + LANE * count(outcome.victims().len());

    let mut svg = Svg::default();
    svg.text((FRAME_LEFT, 26.0), Anchor::Start, r#"font-size="18""#, &outcome.title());
    svg.text((FRAME_LEFT, 48.0), Anchor::Start, "", &outcome.verdict.to_string());
    draw_kills(&mut svg, noted, &frame, bottom);
    let mut top = TOP;
    for panel in panels(noted, frame.end) {
        panel.draw(&mut svg, &frame, top, PANEL);
        top += PANEL + BETWEEN;
    }
    draw_lanes(&mut svg, outcome, &frame, lanes);
    frame.draw_axes(&mut svg, TOP, bottom);
    svg.finish(WIDTH, bottom + BOTTOM)
}

fn panels(noted: &Noted, end: f64) -> [Panel; 3] {
    let bin = (end / BINS).ceil().max(1.0);
    let samples = |part: fn(&Sample) -> Option<u64>| -> Vec<Point> {
        let value = |sample| part(sample).and_then(|value| usize::try_from(value).ok()).map(count);
        noted.samples.iter().map(|sample| (sample.at, value(sample))).collect()
    };
    let series = |name, colour, points| Series { name, colour, points };
    [
        Panel {
            title: "registrations per second",
            series: vec![
                series("attempted", GREY, per_second(&noted.attempted, end, bin)),
                series("acknowledged", BLUE, per_second(&noted.acknowledged, end, bin)),
            ],
        },
        Panel {
            title: "waiting (number)",
            series: vec![
                series("events in the outbox", BROWN, samples(|sample| sample.outbox)),
                series("messages in the queues", PINK, samples(|sample| sample.queued)),
            ],
        },
        Panel {
            title: "users so far (number)",
            series: vec![
                series("attempted", GREY, so_far(&noted.attempted, end, bin)),
                series("acknowledged", BLUE, so_far(&noted.acknowledged, end, bin)),
                series("provisioned", GREEN, samples(|sample| sample.provisioned)),
            ],
        },
    ]
}

/// How many of `times` lie before the end of each bin.
fn so_far(times: &[f64], end: f64, bin: f64) -> Vec<Point> {
    let bins = std::iter::successors(Some(0.0), |until| Some(until + bin)).take_while(|until| *until < end + bin);
    bins.map(|until| (until.min(end), Some(count(times.iter().filter(|time| **time < until).count())))).collect()
}

/// In the middle of each bin.
fn per_second(times: &[f64], end: f64, bin: f64) -> Vec<Point> {
    let so_far = so_far(times, end, bin);
    let rate = |from: Point, to: Point| Some((to.1? - from.1?) / bin);
    so_far.windows(2).map(|pair| (pair[0].0.midpoint(pair[1].0), rate(pair[0], pair[1]))).collect()
}

/// A line through everything for each kill, and where the killing ends.
fn draw_kills(svg: &mut Svg, noted: &Noted, frame: &Frame, bottom: f64) {
    for fault in &noted.faults {
        let (x, colour) = (frame.x(fault.killed), colour(fault.victim.kind));
        svg.line((x, TOP), (x, bottom), &format!(r#"stroke="{colour}" stroke-opacity="0.22""#));
    }
    if let Some(healed) = noted.healed {
        let x = frame.x(healed);
        svg.line((x, TOP - 4.0), (x, bottom), r#"stroke="black" stroke-dasharray="4 3""#);
        svg.text((x, TOP - 8.0), Anchor::Middle, "", "all up again");
    }
}

/// One lane for each process: dead, or not yet of use, where there is a bar.
fn draw_lanes(svg: &mut Svg, outcome: &Outcome, frame: &Frame, top: f64) {
    svg.text((frame.left, top - 8.0), Anchor::Start, BOLD, "killed, until ready again (in brackets: how often)");
    let mut y = top;
    for victim in outcome.victims() {
        let colour = colour(victim.kind);
        let faults = outcome.noted.faults.iter().filter(|fault| fault.victim == *victim);
        let name = format!("{} ({})", victim.name, faults.clone().count());
        svg.text((frame.left - 8.0, y + 12.5), Anchor::End, &format!(r#"fill="{colour}""#), &name);
        for fault in faults {
            let (from, to) = (frame.x(fault.killed), frame.x(fault.ready.unwrap_or(frame.end)));
            svg.bar((from, y + 3.0), (to - from).max(1.5), LANE - 5.0, colour);
        }
        y += LANE;
    }
}

/// Exact for everything that is counted here.
fn count(number: usize) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_what_came_in_its_bin() {
        let times = [0.1, 0.2, 1.5, 3.9];
        assert_eq!(per_second(&times, 4.0, 2.0), [(1.0, Some(1.5)), (3.0, Some(0.5))]);
        assert_eq!(so_far(&times, 4.0, 2.0).last(), Some(&(4.0, Some(4.0))));
    }
}

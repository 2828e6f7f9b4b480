//! One line of the table: what was measured, beside what, and whether it is enough.

use serde_json::{Value, json};

use crate::rounds::Sample;

pub(crate) struct Row {
    pub(crate) benchmark: &'static str,
    pub(crate) line: String,
    pub(crate) ours: Sample,
    pub(crate) reference: Option<Sample>,
    /// Whether both were measured in turns, so that each round has a neighbour.
    in_turns: bool,
    /// What the reference is.
    pub(crate) beside: &'static str,
    pub(crate) unit: &'static str,
    pub(crate) goal: Goal,
    /// Whether it is a step after that of the row before it, which a chart begins where the other ends.
    pub(crate) continues: bool,
}

/// What is asked of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    RatioAtLeast(f64),
    RatioAtMost(f64),
    AtMost(f64),
    /// And the ratio no more than the second.
    AtMostAndFlat(f64, f64),
    /// No more than the reference and this.
    AtMostBeyond(f64),
    /// Shown for comparison.
    Nothing,
}

impl Row {
    pub(crate) fn new(benchmark: &'static str, line: impl Into<String>, ours: &Sample, unit: &'static str) -> Self {
        let (line, ours) = (line.into(), ours.clone());
        let (in_turns, goal, continues) = (false, Goal::Nothing, false);
        Self { benchmark, line, ours, reference: None, in_turns, beside: "", unit, goal, continues }
    }

    pub(crate) fn beside(mut self, what: &'static str, reference: &Sample) -> Self {
        (self.beside, self.reference) = (what, Some(reference.clone()));
        self
    }

    /// With a reference that took turns with ours.
    pub(crate) fn in_turns_with(mut self, what: &'static str, reference: &Sample) -> Self {
        self.in_turns = true;
        self.beside(what, reference)
    }

    pub(crate) fn goal(mut self, goal: Goal) -> Self {
        self.goal = goal;
        self
    }

    /// With what a later pass gave.
    pub(crate) fn continued_by(&mut self, later: &Self) {
        self.ours.extend(&later.ours);
        if let (Some(reference), Some(later)) = (&mut self.reference, &later.reference) {
            reference.extend(later);
        }
    }

    /// Of the medians; in turns the median of each turn's ratio, which the machine's slower moods leave alone.
    pub(crate) fn ratio(&self) -> Option<f64> {
        let reference = self.reference.as_ref()?;
        if self.in_turns {
            return Some(self.ours.by_turns(reference).median());
        }
        Some(self.ours.median() / reference.median())
    }

    /// How far it is beyond its goal: 1 is what was asked, more is better. `None` when nothing is.
    pub(crate) fn reached(&self) -> Option<f64> {
        let (ours, reference) = (self.ours.median(), self.reference.as_ref().map(Sample::median));
        match self.goal {
            Goal::RatioAtLeast(least) => self.ratio().map(|ratio| ratio / least),
            Goal::RatioAtMost(most) => self.ratio().map(|ratio| most / ratio),
            Goal::AtMost(most) => Some(most / ours),
            Goal::AtMostAndFlat(most, flat) => self.ratio().map(|ratio| (most / ours).min(flat / ratio)),
            Goal::AtMostBeyond(more) => reference.map(|reference| (reference + more) / ours),
            Goal::Nothing => None,
        }
    }

    /// `None` when nothing is asked.
    pub(crate) fn met(&self) -> Option<bool> {
        self.reached().map(|part| part >= 1.0)
    }

    pub(crate) fn goal_text(&self) -> String {
        match self.goal {
            Goal::RatioAtLeast(least) => format!("ratio ≥ {least}"),
            Goal::RatioAtMost(most) => format!("ratio ≤ {most}"),
            Goal::AtMost(most) => format!("≤ {most} {}", self.unit),
            Goal::AtMostAndFlat(most, flat) => format!("≤ {most} {}, ratio ≤ {flat}", self.unit),
            Goal::AtMostBeyond(more) => format!("≤ reference + {more} {}", self.unit),
            Goal::Nothing => String::new(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        json!({
            "name": format!("{}: {}", self.benchmark, self.line),
            "ours": self.ours.median(),
            "oursSpread": self.ours.spread(),
            "reference": self.reference.as_ref().map(Sample::median),
            "referenceSpread": self.reference.as_ref().map(Sample::spread),
            "beside": self.beside,
            "unit": self.unit,
            "ratio": self.ratio(),
            "goal": self.goal_text(),
            "met": self.met(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_is_met_or_not() {
        let row = Row::new("register", "16", &Sample::of([90.0]), "/s").beside("bare", &Sample::of([100.0]));
        assert_eq!(row.met(), None);
        for (goal, met) in [
            (Goal::RatioAtLeast(0.9), true),
            (Goal::RatioAtLeast(0.95), false),
            (Goal::RatioAtMost(0.8), false),
            (Goal::AtMost(90.0), true),
            (Goal::AtMostAndFlat(90.0, 0.8), false),
            (Goal::AtMostBeyond(-20.0), false),
        ] {
            let row = Row::new("register", "16", &row.ours, "/s").beside("bare", &Sample::of([100.0])).goal(goal);
            assert_eq!(row.met(), Some(met), "{goal:?}");
        }
    }

    #[test]
    fn passes_are_one_row() {
        let pass = |ours, reference| {
            Row::new("workers", "2", &Sample::of(ours), "/s").in_turns_with("linear", &Sample::of(reference))
        };
        let mut row = pass([10.0, 60.0], [40.0, 60.0]);
        row.continued_by(&pass([50.0, 10.0], [200.0, 40.0]));
        assert_eq!((row.ours.median(), row.ratio()), (30.0, Some(0.25)));
    }

    #[test]
    fn turns_are_compared_one_by_one() {
        let row = Row::new("register", "16", &Sample::of([10.0, 60.0, 50.0]), "/s");
        assert_eq!(row.in_turns_with("bare", &Sample::of([40.0, 60.0, 200.0])).ratio(), Some(0.25));
    }
}

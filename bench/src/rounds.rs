//! Rounds that take turns: ours, reference, ours, reference … Whatever else the machine does then falls on both, the
//! more evenly the shorter the turns.

use std::time::Duration;

use anyhow::Result;

/// How long everything takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Turns that count, in each pass.
    pub(crate) rounds: usize,
    /// Of this benchmark: its first turns do not count.
    pub(crate) first_pass: bool,
    /// Before each turn of what goes on for a time.
    pub(crate) warm_up: Duration,
    pub(crate) length: Duration,
    /// How much of what is counted in pieces is done: all of it, or a part that shows that it works.
    pub(crate) share: usize,
    /// With sizes that take long to make.
    pub(crate) full: bool,
}

impl Plan {
    pub(crate) fn new(quick: bool, full: bool) -> Self {
        let (rounds, share) = if quick { (1, 10) } else { (3, 1) };
        let (warm_up, length) = (Duration::from_millis(500), Duration::from_millis(1_500));
        Self { rounds, first_pass: true, warm_up, length, share, full }
    }
}

/// What the rounds of one side gave, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sample(Vec<f64>);

impl Sample {
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        Self(values.into_iter().collect())
    }

    /// Each round as a part of the other's of the same turn.
    pub(crate) fn by_turns(&self, other: &Self) -> Self {
        self.with(other, |one, other| one / other)
    }

    /// What each round makes with the other's of the same turn.
    pub(crate) fn with(&self, other: &Self, make: impl Fn(f64, f64) -> f64) -> Self {
        Self::of(self.0.iter().zip(&other.0).map(|(one, other)| make(*one, *other)))
    }

    pub(crate) fn times(&self, factor: f64) -> Self {
        Self::of(self.0.iter().map(|value| value * factor))
    }

    pub(crate) fn extend(&mut self, later: &Self) {
        self.0.extend(&later.0);
    }

    pub(crate) fn median(&self) -> f64 {
        self.quantile(0.5)
    }

    /// From the lower to the upper quartile, as a part of the median.
    pub(crate) fn spread(&self) -> f64 {
        (self.quantile(0.75) - self.quantile(0.25)) / self.median()
    }

    /// Between two values, in proportion.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let mut values = self.0.clone();
        values.sort_by(f64::total_cmp);
        let Some(last) = values.len().checked_sub(1) else { return f64::NAN };
        let at = part * last as f64;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index that is there")]
        let (below, above) = (at.floor() as usize, at.ceil() as usize);
        values[below] + (values[above] - values[below]) * at.fract()
    }
}

/// Measures each of `sides` in turn, `rounds` times; in the first pass after a turn of each that does not count. Each
/// measurement gives `N` numbers.
pub(crate) async fn interleave<S: Copy, const N: usize>(
    plan: Plan,
    sides: &[S],
    mut measure: impl AsyncFnMut(S) -> Result<[f64; N]>,
) -> Result<Vec<[Sample; N]>> {
    let mut measured = vec![Vec::new(); sides.len()];
    let cold = usize::from(plan.first_pass);
    for round in 0..cold + plan.rounds {
        for (side, values) in sides.iter().zip(&mut measured) {
            let value = measure(*side).await?;
            if round >= cold {
                values.push(value);
            }
        }
    }
    let sample = |values: &Vec<[f64; N]>| std::array::from_fn(|n| Sample::of(values.iter().map(|value| value[n])));
    Ok(measured.iter().map(sample).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_the_values() {
        let sample = Sample::of([4.0, 1.0, 2.0, 3.0, 5.0]);
        assert_eq!((sample.median(), sample.quantile(0.25), sample.quantile(1.0)), (3.0, 2.0, 5.0));
        assert_eq!((2, Sample::of([1.0, 2.0]).median()), (2, 1.5));
        assert!(Sample::default().median().is_nan());
    }

    #[test]
    fn turns_are_compared_with_their_neighbours() {
        let (ours, reference) = (Sample::of([10.0, 60.0, 50.0]), Sample::of([40.0, 60.0, 200.0]));
        assert_eq!((ours.by_turns(&reference).median(), ours.times(2.0).by_turns(&reference).median()), (0.25, 0.5));
    }

    #[tokio::test]
    async fn sides_take_turns_and_the_first_turn_of_all_does_not_count() {
        for (first_pass, all_turns, median) in [(true, "ababab", 5.0), (false, "abab", 3.0)] {
            let plan = Plan { rounds: 2, first_pass, ..Plan::new(true, false) };
            let mut turns = String::new();
            let samples = interleave(plan, &['a', 'b'], async |side| {
                turns.push(side);
                Ok([turns.len() as f64])
            });
            let samples = samples.await.unwrap();
            assert_eq!((&*turns, samples[1][0].median()), (all_turns, median));
        }
    }
}

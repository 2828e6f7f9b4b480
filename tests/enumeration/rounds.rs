//! Telling by their times whether requests are of one kind, on a machine that has other things to do.
//!
//! In each round every kind is asked once, in an order that is drawn anew. If the kinds take equally long, that order
//! alone decides which of them was how fast, whatever else the machine does: each place is as likely as any other, in
//! every round anew. How their sum is distributed is then known exactly. So the limit is a probability and no time, and
//! noise can hide a difference but never make one up.

use std::{fmt, ops::RangeInclusive, time::Duration};

use rand::seq::SliceRandom as _;
use tokio::time::Instant;

/// How likely a comparison fails although there is no difference. All of them, twenty, stay below one in a million.
const FALSE_ALARM: f64 = 4e-8;

/// How long one kind of request took, in each round.
#[derive(Debug)]
pub(super) struct Times {
    kind: &'static str,
    times: Vec<Duration>,
}

/// Asks once for each kind in each round.
pub(super) async fn take<const N: usize>(
    rounds: usize,
    kinds: [&'static str; N],
    mut ask: impl AsyncFnMut(&'static str, usize),
) -> [Times; N] {
    let mut taken = kinds.map(|kind| Times { kind, times: Vec::with_capacity(rounds) });
    let mut order: Vec<usize> = (0..N).collect();
    for round in 0..rounds {
        order.shuffle(&mut rand::rng());
        for &kind in &order {
            let start = Instant::now();
            ask(taken[kind].kind, round).await;
            taken[kind].times.push(start.elapsed());
        }
    }
    taken
}

/// That none of these kinds is slower or faster than the others.
#[track_caller]
pub(super) fn are_alike(kinds: &[Times]) {
    for one in kinds {
        let rounds = one.times.len();
        let faster = |round: usize| kinds.iter().filter(|other| other.times[round] < one.times[round]).count();
        let sum = (0..rounds).map(faster).sum();
        let chance = by_chance(rounds, kinds.len());
        eprintln!("{one}: places sum up to {sum}, by chance {chance:?}");
        assert!(
            chance.contains(&sum),
            "{one} is told apart from the others: its places sum up to {sum}, not {chance:?}"
        );
    }
}

impl Times {
    /// That this kind takes up to a third longer than the other, or the other than this one, but not more.
    #[track_caller]
    pub(super) fn are_about_those_of(&self, other: &Self) {
        for (one, other) in [(self, other), (other, self)] {
            let pairs = one.times.iter().zip(&other.times);
            let slower = pairs.filter(|(one, other)| **one * 3 > **other * 4).count();
            let chance = by_chance(one.times.len(), 2);
            eprintln!("{one} and {other}: much slower in {slower} rounds, by chance up to {}", chance.end());
            assert!(slower <= *chance.end(), "{one} is much slower than {other}, in {slower} rounds, not {chance:?}");
        }
    }
}

/// Quartiles.
impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut sorted = self.times.clone();
        sorted.sort();
        let [low, middle, high] = [1, 2, 3].map(|quarter| sorted[(sorted.len() - 1) * quarter / 4]);
        write!(f, "{} ({low:.1?}, {middle:.1?}, {high:.1?})", self.kind)
    }
}

/// Which sums of places are left when the least likely ones, of [`FALSE_ALARM`] together, are taken away at both ends.
fn by_chance(rounds: usize, kinds: usize) -> RangeInclusive<usize> {
    let largest = rounds * (kinds - 1);
    let mut likely = vec![0.0; largest + 1];
    likely[0] = 1.0;
    for _ in 0..rounds {
        likely = (0..=largest).map(|sum| last(&likely, sum, kinds).iter().sum::<f64>() / places(kinds)).collect();
    }
    let mut tail = 0.0;
    let below = likely.iter().position(|probability| {
        tail += probability;
        2.0 * tail > FALSE_ALARM
    });
    let least = below.expect("all sums together are certain");
    least..=largest - least
}

/// The sums that one more round can make this sum of.
fn last(likely: &[f64], sum: usize, kinds: usize) -> &[f64] {
    &likely[(sum + 1).saturating_sub(kinds)..=sum]
}

fn places(kinds: usize) -> f64 {
    f64::from(u32::try_from(kinds).expect("a few kinds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(kind: &'static str, micros: impl Iterator<Item = u64>) -> Times {
        Times { kind, times: micros.map(Duration::from_micros).collect() }
    }

    #[test]
    fn chance_is_that_of_a_fair_coin_and_of_a_fair_die() {
        // P(X >= 78) = 4e-9 and P(X >= 77) = 1.3e-8, of 100 tosses: twice the latter is not too rare yet.
        assert_eq!(by_chance(100, 2), 23..=77);
        // All 25 of them is not rare enough.
        assert_eq!(by_chance(24, 2), 0..=24);
        // 6^-9 = 9.9e-8: nine times the same face may be chance, ten times not.
        assert_eq!((by_chance(9, 6), by_chance(10, 6)), (0..=45, 1..=49));
    }

    #[test]
    fn a_steady_difference_is_seen_in_any_noise_that_is_not_larger() {
        let noise = |number: u64| 1000 + number * 7919 % 500;
        let one = || times("one", (0..200).map(noise));
        let other = || times("other", (0..200).map(|number| noise(number + 77)));
        are_alike(&[one(), other()]);
        let slow = || times("slow", (0..200).map(|number| noise(number + 77) + 250));
        std::panic::catch_unwind(|| are_alike(&[one(), slow()])).expect_err("slower");
        one().are_about_those_of(&slow());
        let twice = times("twice", (0..200).map(|number| 2 * noise(number + 77)));
        std::panic::catch_unwind(|| one().are_about_those_of(&twice)).expect_err("much slower");
    }
}

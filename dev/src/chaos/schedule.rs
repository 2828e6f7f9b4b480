//! What happens when: a function of the seed and of nothing else, so that a run can be asked for again.

use std::{collections::BTreeMap, time::Duration};

use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::SliceRandom as _};
use serde::Serialize;

use super::victim::{Kind, Victim};

/// One death.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Strike {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) victim: Victim,
    /// Before it is started again.
    pub(super) down_for: Duration,
}

const FIRST_AFTER: Duration = Duration::from_secs(2);
/// Between two strikes, in milliseconds.
const GAP: std::ops::Range<u64> = 2_000..6_000;
const DOWN: std::ops::Range<u64> = 0..5_000;
/// How often two die at once.
const TWICE: f64 = 0.25;

/// All deaths within `length`, in the order of time.
pub(super) fn schedule(seed: u64, length: Duration) -> Vec<Strike> {
    let mut dice = Dice::new(seed);
    let mut at = FIRST_AFTER;
    let mut strikes = Vec::new();
    while at < length {
        let deaths = if dice.numbers.random_bool(TWICE) { 2 } else { 1 };
        for _ in 0..deaths {
            strikes.extend(dice.strike(at));
        }
        at += Duration::from_millis(dice.numbers.random_range(GAP));
    }
    strikes
}

struct Dice {
    numbers: StdRng,
    /// Kinds that were not drawn yet: each has its turn before chance has its way, so that a short run sees them all.
    fresh: Vec<Kind>,
    back: BTreeMap<Victim, Duration>,
}

impl Dice {
    fn new(seed: u64) -> Self {
        let mut numbers = StdRng::seed_from_u64(seed);
        let mut fresh = vec![Kind::Api, Kind::Worker, Kind::Rabbitmq, Kind::Postgres];
        fresh.shuffle(&mut numbers);
        // Taken from the end: nothing is under way that its death could cut off before some have come.
        fresh.insert(0, Kind::Keycloak);
        Self { numbers, fresh, back: BTreeMap::new() }
    }

    /// None if everybody is down.
    fn strike(&mut self, at: Duration) -> Option<Strike> {
        let up = Victim::ALL.into_iter().filter(|victim| self.back.get(victim).is_none_or(|back| *back <= at));
        let victims: Vec<Victim> = match self.fresh.pop() {
            Some(kind) => up.filter(|victim| victim.kind == kind).collect(),
            None => up.collect(),
        };
        let victim = self.draw(&victims)?;
        let down_for = Duration::from_millis(self.numbers.random_range(DOWN));
        self.back.insert(victim, at + down_for + victim.kind.comes_back_within());
        Some(Strike { at, victim, down_for })
    }

    fn draw(&mut self, victims: &[Victim]) -> Option<Victim> {
        let total: u32 = victims.iter().map(|victim| victim.kind.weight()).sum();
        let mut number = if total > 0 { self.numbers.random_range(0..total) } else { 0 };
        victims.iter().copied().find(|victim| {
            let found = number < victim.kind.weight();
            number = number.saturating_sub(victim.kind.weight());
            found
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTES: Duration = Duration::from_mins(30);

    #[test]
    fn the_seed_decides_everything_and_the_length_only_where_it_ends() {
        let long = schedule(7, MINUTES);
        assert_eq!(long, schedule(7, MINUTES));
        assert_ne!(long, schedule(8, MINUTES));
        let short = schedule(7, MINUTES / 3);
        assert_eq!(short, long[..short.len()]);
        assert!(short.iter().all(|strike| strike.at < MINUTES / 3) && short.len() < long.len());
    }

    #[test]
    fn half_a_minute_sees_every_kind_die() {
        for seed in 0..100 {
            let strikes = schedule(seed, Duration::from_secs(30));
            for kind in Kind::ALL {
                assert!(strikes.iter().any(|strike| strike.victim.kind == kind), "{seed}: {kind:?} lives");
            }
        }
    }

    #[test]
    fn nobody_dies_before_being_back() {
        let mut back = BTreeMap::new();
        for Strike { at, victim, down_for } in schedule(1, MINUTES) {
            let before = back.insert(victim, at + down_for + victim.kind.comes_back_within());
            assert!(before.is_none_or(|back| back <= at), "{victim:?} at {at:?}");
        }
    }

    #[test]
    fn sometimes_two_die_at_once_and_keycloak_least_often() {
        let strikes = schedule(1, MINUTES);
        let twice = strikes.windows(2).filter(|pair| pair[0].at == pair[1].at).count();
        assert!(twice * 10 > strikes.len() && twice * 3 < strikes.len(), "{twice} of {}", strikes.len());
        let deaths = |kind| strikes.iter().filter(|strike| strike.victim.kind == kind).count();
        assert!(Kind::ALL.into_iter().all(|kind| deaths(kind) >= deaths(Kind::Keycloak)));
    }
}

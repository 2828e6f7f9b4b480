//! Whether everything comes to its end: what no single state shows.
//!
//! Every state was reached by whatever can go wrong. From there on nothing goes wrong any more: only the protocol's own
//! steps are taken, and time passes.
//!
//! *An end is in reach* if some order of steps leads to one. *Every way leads to an end* says more: whatever the order,
//! the steps run out, and they run out at an end. There are no circles and no dead ends, and no fairness is asked of
//! whoever chooses the order.

use stateright::Model as _;

use crate::{
    action::{Action, Kind},
    graph::Graph,
    properties::is_end,
};

impl<const USERS: usize, const WORKERS: usize> Graph<USERS, WORKERS> {
    /// A shortest way to a state from which no end is in reach.
    pub fn way_to_no_end(&self) -> Option<Vec<Action>> {
        let at = self.led_to_end(|_| 1).iter().position(|led| !led)?;
        Some(self.way_to(at))
    }

    /// A way that comes to no end: it stops elsewhere, or returns to where it was.
    pub fn way_without_end(&self) -> Option<Vec<Action>> {
        let led = self.led_to_end(|steps| steps);
        let mut at = led.iter().position(|led| !led)?;
        let (mut way, mut seen) = (self.way_to(at), vec![]);
        while !seen.contains(&at) {
            seen.push(at);
            let Some((action, next)) = self.steps_from(at).find(|(_, next)| !led[*next]) else { break };
            way.push(action);
            at = next;
        }
        Some(way)
    }

    /// Goes back from the ends. A state is led to one when so many of its steps lead to such states.
    fn led_to_end(&self, needed: fn(usize) -> usize) -> Vec<bool> {
        let before = Before::new(&self.backwards, self.states.len());
        let mut missing = vec![0; self.states.len()];
        for (_, from) in &self.backwards {
            missing[*from as usize] += 1;
        }
        for steps in &mut missing {
            *steps = needed(*steps);
        }
        let mut led: Vec<bool> = self.states.iter().map(is_end).collect();
        let mut fresh: Vec<usize> = (0..led.len()).filter(|at| led[*at]).collect();
        while let Some(to) = fresh.pop() {
            for from in before.of(to) {
                missing[from] = missing[from].saturating_sub(1);
                if missing[from] == 0 && !led[from] {
                    led[from] = true;
                    fresh.push(from);
                }
            }
        }
        led
    }

    fn steps_from(&self, at: usize) -> impl Iterator<Item = (Action, usize)> {
        let steps = self.states.get_index(at).map(|state| self.protocol.next_steps(state)).unwrap_or_default();
        let steps = steps.into_iter().filter(|(action, _)| action.kind() == Kind::Protocol);
        steps.filter_map(|(action, next)| self.states.get_index_of(&next).map(|next| (action, next)))
    }
}

/// Which states lead to which.
struct Before {
    /// Where those of a state begin in `froms`.
    first: Vec<usize>,
    froms: Vec<u32>,
}

impl Before {
    fn new(backwards: &[(u32, u32)], states: usize) -> Self {
        let mut first = vec![0; states + 1];
        for (to, _) in backwards {
            first[*to as usize + 1] += 1;
        }
        for state in 0..states {
            first[state + 1] += first[state];
        }
        let (mut next, mut froms) = (first.clone(), vec![0; backwards.len()]);
        for (to, from) in backwards {
            froms[next[*to as usize]] = *from;
            next[*to as usize] += 1;
        }
        Self { first, froms }
    }

    fn of(&self, to: usize) -> impl Iterator<Item = usize> {
        self.froms[self.first[to]..self.first[to + 1]].iter().map(|from| *from as usize)
    }
}

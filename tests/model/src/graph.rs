//! All reachable states, and how each was reached.

use indexmap::IndexSet;
use stateright::Model as _;

use crate::{
    action::{Action, Kind},
    protocol::Protocol,
    state::State,
};

pub struct Graph<const USERS: usize, const WORKERS: usize> {
    pub protocol: Protocol<USERS, WORKERS>,
    /// In the order in which they were found: the nearest first.
    pub states: IndexSet<State<USERS, WORKERS>, ahash::RandomState>,
    /// From which state and by which action each was found, but the first.
    found: Vec<(u32, Action)>,
    /// The protocol's own steps, backwards: from where to where they lead, turned round.
    pub(crate) backwards: Vec<(u32, u32)>,
    pub steps: usize,
}

impl<const USERS: usize, const WORKERS: usize> Graph<USERS, WORKERS> {
    pub fn explore(protocol: Protocol<USERS, WORKERS>) -> Self {
        let states = protocol.init_states().into_iter().collect();
        let mut graph = Self { protocol, states, found: Vec::new(), backwards: Vec::new(), steps: 0 };
        let (mut from, mut actions) = (0, Vec::new());
        while let Some(&state) = graph.states.get_index(from) {
            protocol.actions(&state, &mut actions);
            for action in actions.drain(..) {
                if let Some(next) = protocol.next_state(&state, action) {
                    graph.add(from, action, next);
                }
            }
            from += 1;
        }
        graph
    }

    fn add(&mut self, from: usize, action: Action, next: State<USERS, WORKERS>) {
        let from = u32::try_from(from).expect("fewer states");
        let (to, is_new) = self.states.insert_full(next);
        if is_new {
            self.found.push((from, action));
        }
        if action.kind() == Kind::Protocol {
            self.backwards.push((u32::try_from(to).expect("fewer states"), from));
        }
        self.steps += 1;
    }

    /// A shortest way from the beginning.
    pub fn way_to(&self, mut at: usize) -> Vec<Action> {
        let mut way = Vec::new();
        while at > 0 {
            let (from, action) = self.found[at - 1];
            way.push(action);
            at = from as usize;
        }
        way.reverse();
        way
    }
}

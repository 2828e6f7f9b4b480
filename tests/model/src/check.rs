//! Looks at every reachable state, and says in one line what was seen.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
    time::Instant,
};

use stateright::{Checker as _, Model as _};

use crate::{
    action::Action,
    graph::Graph,
    properties::{END_IN_REACH, ENDS},
    protocol::Protocol,
};

/// The properties that do not hold, each with a way that shows it.
pub type Broken = BTreeMap<&'static str, Vec<Action>>;

/// stateright looks at each state, our own graph at what leads where; both must have seen the same world.
pub fn check<const USERS: usize, const WORKERS: usize>(what: &str, protocol: Protocol<USERS, WORKERS>) -> Broken {
    let begin = Instant::now();
    let checker = protocol.checker().spawn_bfs().join();
    let graph = Graph::explore(protocol);
    assert_eq!(graph.states.len(), checker.unique_state_count(), "two explorers saw different worlds");
    let mut broken = out_of_sight(&graph);
    for property in protocol.properties() {
        if checker.discovery(property.name).is_some() {
            let at = graph.states.iter().position(|state| !(property.condition)(&protocol, state));
            broken.insert(property.name, graph.way_to(at.expect("the graph has the state too")));
        }
    }
    let (states, steps, depth, took) = (graph.states.len(), graph.steps, checker.max_depth(), begin.elapsed());
    say(&format!("model: {what}: {states} states, {steps} steps, depth {depth}, {:.1} s", took.as_secs_f64()), &broken);
    broken
}

/// What does not show in a single state.
fn out_of_sight<const USERS: usize, const WORKERS: usize>(graph: &Graph<USERS, WORKERS>) -> Broken {
    let ways = [(END_IN_REACH, graph.way_to_no_end()), (ENDS, graph.way_without_end())];
    ways.into_iter().filter_map(|(name, way)| Some((name, way?))).collect()
}

/// The line is always seen; the ways only when the test fails, or on request.
fn say(what: &str, broken: &Broken) {
    let names: Vec<_> = broken.keys().copied().collect();
    let verdict = if names.is_empty() { "all holds".to_owned() } else { format!("breaks: {}", names.join("; ")) };
    writeln!(io::stdout(), "{what}: {verdict}").expect("stdout takes a line");
    for (name, way) in broken {
        println!("{name} is broken by");
        for action in way {
            println!("    {action:?}");
        }
    }
}

//! Every reachable state of several small worlds: the promise is kept in all of them.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    mem::discriminant,
};

use model::{
    check::check,
    graph::Graph,
    guard::Guard,
    protocol::{Bounds, Protocol},
    state::Row,
};
use stateright::Model as _;

#[test]
fn two_users_and_two_workers() {
    assert_eq!(check("2 users, 2 workers", Protocol::<2, 2>::default()), BTreeMap::new());
}

#[test]
fn three_runs_of_one_user_who_asks_for_another_mail() {
    let world = Protocol::<1, 3>::within(Bounds { mail_requests: 1, ..Bounds::default() });
    assert_eq!(check("1 user, 3 workers, 1 request for a mail", world), BTreeMap::new());
}

#[test]
fn a_user_who_asks_for_two_more_mails() {
    let world = Protocol::<1, 2>::within(Bounds { mail_requests: 2, ..Bounds::default() });
    assert_eq!(check("1 user, 2 workers, 2 requests for mails", world), BTreeMap::new());
}

#[test]
fn requests_to_keycloak_that_outlive_their_senders() {
    let world = Protocol::<1, 2>::within(Bounds { mail_requests: 1, late: true, ..Bounds::default() });
    assert_eq!(check("1 user, 2 workers, 1 request for a mail, late arrivals", world), BTreeMap::new());
}

#[test]
fn events_need_no_sweep_while_only_they_fail() {
    let world = Protocol::<2, 2>::within(Bounds { only_events_fail: true, ..Bounds::default() });
    assert_eq!(check("2 users, 2 workers, no sweep", world.without(&[Guard::Sweep])), BTreeMap::new());
}

/// Leaving the names out leaves no state out.
#[test]
fn names_make_no_difference() {
    named_and_nameless::<1, 3>();
    named_and_nameless::<2, 1>();
}

fn named_and_nameless<const USERS: usize, const WORKERS: usize>() {
    let nameless = Graph::explore(Protocol::<USERS, WORKERS>::default());
    let named = Graph::explore(Protocol::<USERS, WORKERS>::within(Bounds { named: true, ..Bounds::default() }));
    assert!(named.states.len() > nameless.states.len());
    let of_named: BTreeSet<_> = named.states.iter().map(|state| state.nameless()).collect();
    assert_eq!(of_named, nameless.states.into_iter().collect());
}

/// A step that is never taken proves nothing, and neither does a promise that nobody comes to see kept.
#[test]
fn everything_happens_that_can() {
    let graph = Graph::explore(Protocol::<1, 2>::within(Bounds { mail_requests: 1, late: true, ..Bounds::default() }));
    let mut seen = HashMap::new();
    let mut actions = Vec::new();
    for state in &graph.states {
        graph.protocol.actions(state, &mut actions);
        for action in actions.drain(..) {
            seen.entry(discriminant(&action)).or_insert_with(|| first_word(&format!("{action:?}")));
        }
    }
    let all = "Arrive Claim Crash CrashInFlight DeliverInVain EndLease ForgetCommit LoseQueues Oversleep Publish \
               PutBack Register RequestMail Settle StopInTime StrangerTakesName Take";
    assert_eq!(seen.into_values().collect::<BTreeSet<_>>(), all.split(' ').map(str::to_owned).collect());

    let is_seen = |such: fn(Row) -> bool| graph.states.iter().any(|state| such(state.users[0].row));
    assert!(is_seen(|row| row.is_complete() && row.mail_served == 2));
    assert!(is_seen(|row| row.parked.is_some() && row.synced.is_none()));
    assert!(is_seen(|row| row.parked.is_some() && row.synced.is_some()));
}

fn first_word(text: &str) -> String {
    text.split(' ').next().unwrap_or_default().to_owned()
}

//! What goes wrong: at any time, any number of times, in any order.

use crate::{
    account,
    action::{Action, Request},
    guard::Guards,
    mails,
    state::{Lease, Row, Run, State, Step, User},
};

pub(crate) fn possible<const USERS: usize, const WORKERS: usize>(
    state: &State<USERS, WORKERS>,
    late: bool,
    actions: &mut Vec<Action>,
) {
    for (worker, run) in state.workers.iter().enumerate() {
        let Some(run) = *run else { continue };
        actions.push(Action::Crash { worker });
        if late && request_of(run).is_some() {
            actions.push(Action::CrashInFlight { worker });
        }
        if holds_lease(run) && state.users[usize::from(run.user)].row.leased_until == Lease::Running {
            actions.push(Action::Oversleep { worker });
        }
    }
    if state.users.iter().any(|it| it.queued) {
        actions.push(Action::LoseQueues);
    }
    for (user, it) in state.users.iter().enumerate() {
        let arrivals = [(it.in_flight.create, Request::Create), (it.in_flight.mail, Request::Mail)];
        let arrivals = arrivals.into_iter().filter(|(is_on_its_way, _)| *is_on_its_way);
        actions.extend(arrivals.map(|(_, request)| Action::Arrive { user, request }));
    }
}

/// Not a fault but the cure of one: whoever had the lease is dead or has stopped, and it ends.
pub(crate) fn leases<const USERS: usize, const WORKERS: usize>(
    state: &State<USERS, WORKERS>,
    actions: &mut Vec<Action>,
) {
    for (user, it) in state.users.iter().enumerate() {
        if it.row.leased_until == Lease::Running && !state.runs_of(user).any(holds_lease) {
            actions.push(Action::EndLease { user });
        }
    }
}

pub(crate) fn end_lease(row: &mut Row) {
    row.leased_until = Lease::Ended;
}

fn holds_lease(run: Run) -> bool {
    run.claim_is_current && !run.lease_over
}

/// The process dies, or loses the database: the run is gone, and its message comes again.
///
/// With it go the transactions of its relay, each by a [`Action::PutBack`] of its own.
pub(crate) fn crash<const USERS: usize, const WORKERS: usize>(
    state: &mut State<USERS, WORKERS>,
    worker: usize,
    in_flight: bool,
) {
    let Some(run) = state.workers[worker].take() else { return };
    let it = &mut state.users[usize::from(run.user)];
    mails::excuse(it, run);
    match request_of(run) {
        Some(Request::Create) => it.in_flight.create |= in_flight,
        Some(Request::Mail) => it.in_flight.mail |= in_flight,
        None => {}
    }
}

/// What may be on its way to Keycloak before this step has its answer.
fn request_of(run: Run) -> Option<Request> {
    match run.step {
        Step::Create | Step::CreateAgain => Some(Request::Create),
        Step::SendMail => Some(Request::Mail),
        _ => None,
    }
}

/// A run is frozen, or slow, until its lease is over.
pub(crate) fn oversleep<const USERS: usize, const WORKERS: usize>(state: &mut State<USERS, WORKERS>, worker: usize) {
    let Some(run) = &mut state.workers[worker] else { return };
    run.lease_over = true;
    let it = &mut state.users[usize::from(run.user)];
    it.row.leased_until = Lease::Ended;
    mails::excuse(it, *run);
}

/// The work queues are purged, or deleted and declared anew.
pub(crate) fn lose_queues<const USERS: usize, const WORKERS: usize>(state: &mut State<USERS, WORKERS>) {
    for it in &mut state.users {
        it.queued = false;
    }
}

/// A request reaches Keycloak when nobody waits for its answer any more.
pub(crate) fn arrive(guards: Guards, it: &mut User, request: Request) {
    match request {
        Request::Create => {
            it.in_flight.create = false;
            account::make(guards, &mut it.accounts);
        }
        Request::Mail => {
            it.in_flight.mail = false;
            mails::accept(it, true);
        }
    }
}

//! Who calls `provision`: `worker/src/consumer.rs` for a message, `worker/src/sweep.rs` for whoever is due.
//!
//! Both come to the same claim. A message that is being worked on still counts as queued: the broker may deliver it
//! again whenever a connection breaks, and does so when a worker dies. It is settled when somebody gets no claim for
//! it, which is also how the holder settles it in the end.
//!
//! Time is whatever it needs to be: whoever waits for `next_attempt_at` is due, or is not yet.

use crate::{
    action::Action,
    guard::{Guard, Guards},
    state::{Lease, Row, Run, State, Step, User},
};

pub(crate) fn possible(
    guards: Guards,
    idle: impl Iterator<Item = usize>,
    user: usize,
    it: &User,
    actions: &mut Vec<Action>,
) {
    let claimable = is_claimable(guards, it.row);
    // Whom nobody has tried yet an event gets for sure (`attempts = 0 AND last_error IS NULL`).
    if it.queued && (!claimable || it.row.mail_claimed > 0) {
        actions.push(Action::DeliverInVain { user });
    }
    if claimable && (it.queued || guards.has(Guard::Sweep)) {
        actions.extend(idle.map(|worker| Action::Claim { worker, user }));
    }
}

/// The conditions of `provisioning::claim`.
fn is_claimable(guards: Guards, row: Row) -> bool {
    row.exists
        && (row.parked.is_none() || !guards.has(Guard::NotParked))
        && (row.leased_until != Lease::Running || !guards.has(Guard::Lease))
        && (row.is_open() || !guards.has(Guard::OpenOnly))
}

/// `provisioning::claim`: whoever had the user before has it no more.
pub(crate) fn claim<const USERS: usize, const WORKERS: usize>(
    state: &mut State<USERS, WORKERS>,
    worker: usize,
    user: usize,
) {
    for other in state.workers.iter_mut().flatten().filter(|run| usize::from(run.user) == user) {
        other.claim_is_current = false;
    }
    let row = &mut state.users[user].row;
    row.leased_until = Lease::Running;
    row.mail_claimed = row.mail_wanted;
    let step = if row.synced.is_some() { Step::BeginMail } else { Step::Create };
    let user = u8::try_from(user).expect("few users");
    let mail_wanted = row.mail_wanted;
    state.workers[worker] = Some(Run { user, step, claim_is_current: true, lease_over: false, mail_wanted });
}

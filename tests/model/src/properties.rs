//! What must be true at every moment, and when everything has come to its end.

use stateright::Property;

use crate::{
    protocol::Protocol,
    state::{Event, OutboxRow, Owner, Reason, State, User},
};

pub const WRITTEN: &str = "who was acknowledged has a row";
pub const EVENT_WRITTEN: &str = "who has a row has an event";
pub const EVENT_HANDED_OVER: &str = "an event leaves the outbox only for the broker";
pub const ONE_ACCOUNT: &str = "nobody has two accounts";
pub const OWN_ACCOUNT: &str = "nobody is given a stranger's account, or none";
pub const PARKED_WITH_CAUSE: &str = "nobody is parked without cause, nor after being served";
pub const OWN_MAIL: &str = "no mail goes to a stranger's account";
pub const SERVED_BY_MAIL: &str = "who is complete was sent a mail";
pub const COUNTED: &str = "no mail leaves unseen but by a try without an answer";
pub const NO_NEEDLESS_MAIL: &str = "a second mail needs a crash, a lost answer or a lease that ended in between";
pub const REQUEST_ANSWERED: &str = "who asked for a mail is complete only after one was sent";
pub const ONE_AT_A_TIME: &str = "while one run has the user, no other begins";
/// An end is a state in which nothing is left to do and everybody is complete or parked. Whether it can be reached
/// cannot be seen in a state: see `ends.rs`.
pub const END_IN_REACH: &str = "without another fault, an end stays in reach";
pub const ENDS: &str = "without another fault, every way leads to an end";

pub(crate) fn all<const USERS: usize, const WORKERS: usize>() -> Vec<Property<Protocol<USERS, WORKERS>>> {
    vec![
        Property::always(WRITTEN, |_, it: &State<USERS, WORKERS>| it.all(is_written)),
        Property::always(EVENT_WRITTEN, |_, it: &State<USERS, WORKERS>| it.all(has_event)),
        Property::always(EVENT_HANDED_OVER, |_, it: &State<USERS, WORKERS>| it.all(has_lost_no_event)),
        Property::always(ONE_ACCOUNT, |_, it: &State<USERS, WORKERS>| it.all(|user| user.accounts.ours <= 1)),
        Property::always(OWN_ACCOUNT, |_, it: &State<USERS, WORKERS>| it.all(has_own_account)),
        Property::always(PARKED_WITH_CAUSE, |_, it: &State<USERS, WORKERS>| it.all(is_rightly_parked)),
        Property::always(OWN_MAIL, |_, it: &State<USERS, WORKERS>| it.all(|user| !user.mails.wrong.misdirected)),
        Property::always(SERVED_BY_MAIL, |_, it: &State<USERS, WORKERS>| it.all(is_rightly_complete)),
        Property::always(COUNTED, |_, it: &State<USERS, WORKERS>| it.all(|user| !user.mails.wrong.uncounted)),
        Property::always(NO_NEEDLESS_MAIL, |_, it: &State<USERS, WORKERS>| it.all(|user| !user.mails.wrong.needless)),
        Property::always(REQUEST_ANSWERED, |_, it: &State<USERS, WORKERS>| it.all(is_answered)),
        Property::always(ONE_AT_A_TIME, |_, it: &State<USERS, WORKERS>| is_exclusive(it)),
    ]
}

impl<const USERS: usize, const WORKERS: usize> State<USERS, WORKERS> {
    fn all(&self, holds: fn(&User) -> bool) -> bool {
        self.users.iter().all(holds)
    }
}

fn is_written(user: &User) -> bool {
    user.row.exists || !user.acknowledged
}

fn has_event(user: &User) -> bool {
    !user.row.exists || user.outbox[Event::UserCreated as usize] != OutboxRow::Unwritten
}

fn has_lost_no_event(user: &User) -> bool {
    !user.outbox.contains(&OutboxRow::Lost)
}

fn has_own_account(user: &User) -> bool {
    match user.row.synced {
        None => true,
        Some(Owner::Ours) => user.accounts.ours > 0,
        Some(Owner::Stranger) => false,
    }
}

fn is_rightly_parked(user: &User) -> bool {
    match user.row.parked {
        None => true,
        Some(Reason::Conflict) => user.accounts.strangers && user.row.synced.is_none(),
        Some(Reason::MailRefused) => user.row.is_open(),
    }
}

fn is_rightly_complete(user: &User) -> bool {
    !user.row.is_complete() || user.mails.accepted
}

fn is_answered(user: &User) -> bool {
    !user.row.is_complete() || !user.mails.awaited
}

fn is_exclusive<const USERS: usize, const WORKERS: usize>(state: &State<USERS, WORKERS>) -> bool {
    (0..USERS).all(|user| state.runs_of(user).filter(|run| !run.lease_over).count() <= 1)
}

/// Nothing is left to do, and nobody was forgotten.
pub(crate) fn is_end<const USERS: usize, const WORKERS: usize>(state: &State<USERS, WORKERS>) -> bool {
    state.workers.iter().all(Option::is_none) && state.users.iter().all(is_done)
}

fn is_done(user: &User) -> bool {
    let has_left = |row: &OutboxRow| !matches!(row, OutboxRow::Waiting | OutboxRow::Published);
    (user.row.is_complete() || user.row.parked.is_some() || user.accounts_for_nothing())
        && !user.queued
        && user.outbox.iter().all(has_left)
}

impl User {
    /// Nobody was promised anything.
    fn accounts_for_nothing(&self) -> bool {
        !self.row.exists && !self.acknowledged
    }
}

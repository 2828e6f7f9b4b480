//! The relay and the broker's answer: `worker/src/relay.rs`, `publish_batch`, on `shared/src/store/outbox.rs`.
//!
//! Each row has a transaction of its own here. A batch is the special case in which all its rows move at once; any
//! number of relays is the case in which they do not. A relay that dies rolls back: [`put_back`], the same that becomes
//! of a row which the broker returned, refused or left unconfirmed.

use crate::{
    action::Action,
    guard::{Guard, Guards},
    state::{Event, OutboxRow, User},
};

pub(crate) fn possible(guards: Guards, user: usize, it: &User, actions: &mut Vec<Action>) {
    for event in Event::ALL {
        match it.outbox[event as usize] {
            OutboxRow::Waiting => {
                actions.push(Action::Publish { user, event });
                if !guards.has(Guard::Confirm) {
                    actions.push(Action::Settle { user, event });
                }
            }
            OutboxRow::Published => actions.extend([Action::Settle { user, event }, Action::PutBack { user, event }]),
            OutboxRow::Deleted => actions.push(Action::ForgetCommit { user, event }),
            OutboxRow::Unwritten | OutboxRow::Lost => {}
        }
    }
}

/// `outbox::claim` and `publish`, and the broker takes the message.
pub(crate) fn publish(it: &mut User, event: Event) {
    it.outbox[event as usize] = OutboxRow::Published;
    // Nobody consumes usher.parked.
    it.queued |= event != Event::UserParked;
}

/// The confirm has come, and `Claim::settle` commits.
pub(crate) fn settle(row: &mut OutboxRow) {
    *row = if *row == OutboxRow::Published { OutboxRow::Deleted } else { OutboxRow::Lost };
}

/// `refused` and `put_back`, or a rollback; also a commit that `synchronous_commit = off` let PostgreSQL forget.
pub(crate) fn put_back(row: &mut OutboxRow) {
    *row = OutboxRow::Waiting;
}

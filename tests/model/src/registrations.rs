//! The api: one statement of `shared/src/store/registrations.rs`, and one of `shared/src/store/mail_requests.rs`.
//!
//! Whoever is registered counts as acknowledged: that the answer may be lost adds nothing that the others could see.

use crate::{
    action::Action,
    guard::{Guard, Guards},
    mails,
    state::{Event, Lease, OutboxRow, Row, User},
};

pub(crate) fn possible(guards: Guards, mail_requests: u8, user: usize, it: &User, actions: &mut Vec<Action>) {
    if !it.row.exists {
        actions.push(if it.acknowledged { Action::Commit { user } } else { Action::Register { user } });
    } else if it.outbox[Event::UserCreated as usize] == OutboxRow::Unwritten {
        actions.push(Action::WriteEvent { user });
    }
    let asks_anew = if grants(guards, it.row) { it.row.mail_wanted <= mail_requests } else { !it.mails.awaited };
    if mail_requests > 0 && it.row.exists && it.row.parked.is_none() && asks_anew {
        actions.push(Action::RequestMail { user });
    }
}

/// `register`.
pub(crate) fn register(guards: Guards, it: &mut User) {
    it.acknowledged = true;
    if guards.has(Guard::AnswerAfterCommit) {
        insert(guards, it);
    }
}

/// `insert`.
pub(crate) fn insert(guards: Guards, it: &mut User) {
    it.row = Row { exists: true, mail_wanted: 1, ..Row::default() };
    if guards.has(Guard::OneStatement) {
        it.outbox[Event::UserCreated as usize] = OutboxRow::Waiting;
    }
}

/// `request`, out of the cooldown.
pub(crate) fn request_mail(guards: Guards, it: &mut User) {
    if grants(guards, it.row) {
        if it.row.mail_wanted == it.row.mail_served {
            mails::owe_another(&mut it.mails);
        }
        it.row.mail_wanted += 1;
        it.outbox[Event::PasswordSetupRequested as usize] = OutboxRow::Waiting;
    }
    it.mails.awaited = true;
}

fn grants(guards: Guards, row: Row) -> bool {
    let may_be_leaving = match row.leased_until {
        Lease::Null => false,
        Lease::Running => true,
        Lease::Ended => guards.has(Guard::EndedLeaseMayMail),
    };
    row.mail_wanted == row.mail_served
        || (row.mail_wanted == row.mail_claimed && row.synced.is_some() && may_be_leaving)
}

//! `worker/src/account.rs`, `ensure`, and the Keycloak it asks.

use crate::{
    action::{Action, Answer},
    guard::{Guard, Guards},
    state::{Accounts, Owner, Reason, Step, User},
};

/// A stranger takes the name while it is free.
pub(crate) fn possible(accounts: Accounts, user: usize, actions: &mut Vec<Action>) {
    if accounts.none() {
        actions.push(Action::StrangerTakesName { user });
    }
}

pub(crate) fn answers_to_create(late: bool) -> &'static [Answer] {
    let all = &[Answer::Heard, Answer::Unheard, Answer::Silence, Answer::TurnedAway, Answer::Late];
    if late { all } else { &all[..4] }
}

/// `keycloak.create(user)`, the first time or after a look that found nobody.
pub(crate) fn create(guards: Guards, it: &mut User, again: bool, answer: Answer) -> Step {
    // Whatever the second try says, there is no third: the next run will see.
    let unclear = if again { give_up() } else { Step::LookUp };
    match answer {
        Answer::Heard if make(guards, &mut it.accounts) => Step::MarkSynced(Owner::Ours),
        Answer::Heard if again => give_up(),
        Answer::Heard => Step::LookUp,
        Answer::Unheard => {
            make(guards, &mut it.accounts);
            unclear
        }
        Answer::Late => {
            it.in_flight.create = true;
            unclear
        }
        Answer::TurnedAway => give_up(),
        _ => unclear,
    }
}

/// Keycloak itself. Says whether it made one; if not, somebody has the username or the address: 409.
pub(crate) fn make(guards: Guards, accounts: &mut Accounts) -> bool {
    let makes = accounts.none() || !guards.has(Guard::UniqueNames);
    if makes {
        accounts.ours = 2.min(accounts.ours + 1);
    }
    makes
}

/// `look_up`, and what follows from whom it found.
pub(crate) fn look_up(guards: Guards, it: &User, answer: Answer) -> Step {
    match found(it.accounts) {
        _ if answer != Answer::Heard => give_up(),
        // Never after a 409: here nobody deletes accounts.
        None => Step::CreateAgain,
        Some(_) if !guards.has(Guard::Adoption) => give_up(),
        Some(Owner::Stranger) if guards.has(Guard::Proof) => Step::Park(Reason::Conflict),
        Some(owner) => Step::MarkSynced(owner),
    }
}

fn found(accounts: Accounts) -> Option<Owner> {
    match accounts {
        Accounts { ours: 0, strangers: false } => None,
        Accounts { ours: 0, strangers: true } => Some(Owner::Stranger),
        Accounts { .. } => Some(Owner::Ours),
    }
}

fn give_up() -> Step {
    Step::Postpone
}

//! What the checker remembers of the mails: how many may still leave, and whether one more has its cause.

use crate::state::{Mails, Owner, Run, Step, User};

/// `mail_attempts + 1`.
pub(crate) fn record_try(mails: &mut Mails) {
    mails.unanswered += 1;
}

/// `mail_answered + 1` for a mail that did not leave.
pub(crate) fn record_no(mails: &mut Mails) {
    mails.wrong.uncounted |= mails.unanswered == 0;
    mails.unanswered = mails.unanswered.saturating_sub(1);
}

/// A mail server takes a mail. `excused`: whoever sent it was silenced, or slept past its lease.
pub(crate) fn accept(it: &mut User, excused: bool) {
    let mails = &mut it.mails;
    mails.wrong.misdirected |= it.row.synced == Some(Owner::Stranger);
    mails.wrong.needless |= mails.satisfied && !excused;
    mails.satisfied |= !excused;
    mails.accepted = true;
    mails.awaited = false;
    record_no(mails);
}

pub(crate) fn owe_another(mails: &mut Mails) {
    mails.satisfied = false;
}

/// Something befalls a run between its mail and `mark_served`: another mail is nobody's fault.
pub(crate) fn excuse(it: &mut User, run: Run) {
    if run.step == Step::MarkServed && run.claim_is_current {
        it.mails.satisfied = false;
    }
}

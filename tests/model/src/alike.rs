//! Which states are one, because nobody can tell them apart.

use crate::{
    protocol::Bounds,
    state::{Lease, State, Step},
};

impl<const USERS: usize, const WORKERS: usize> State<USERS, WORKERS> {
    /// Drops what will make no difference.
    pub(crate) fn forget(&mut self, bounds: Bounds) {
        let now = *self;
        for (user, it) in self.users.iter_mut().enumerate() {
            // A try that leads to no mail any more. The count becomes stricter, and stays small.
            let senders = now.runs_of(user).filter(|run| run.step == Step::SendMail);
            let sending = senders.count() + usize::from(it.in_flight.mail);
            it.mails.unanswered = it.mails.unanswered.min(u8::try_from(sending).expect("few workers"));
            // Only a request for a mail asks whether a lease ended or was given back.
            if bounds.mail_requests == 0 && it.row.leased_until == Lease::Ended {
                it.row.leased_until = Lease::Null;
            }
        }
    }

    /// The least of all states in which only other users or workers have this one's parts: nobody has a name.
    #[must_use]
    pub fn nameless(mut self) -> Self {
        self.workers.sort_unstable();
        if USERS < 2 { self } else { self.min(self.with_two_users_exchanged()) }
    }

    fn with_two_users_exchanged(mut self) -> Self {
        self.users.swap(0, 1);
        for run in self.workers.iter_mut().flatten().filter(|run| run.user < 2) {
            run.user = 1 - run.user;
        }
        self.workers.sort_unstable();
        self
    }
}

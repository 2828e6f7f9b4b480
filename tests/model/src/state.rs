//! What the world is like at one moment: every user's row, events, account and mails, and every run.
//!
//! Fields bear the names of the columns and types they stand for. Times are kept as what the code asks of them, and
//! `claim_no` as whether it is still the row's, so that every number is small and the states are finite.

/// Some people and some workers, each of which works on one user at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State<const USERS: usize, const WORKERS: usize> {
    pub users: [User; USERS],
    pub workers: [Option<Run>; WORKERS],
}

impl<const USERS: usize, const WORKERS: usize> State<USERS, WORKERS> {
    pub fn runs_of(&self, user: usize) -> impl Iterator<Item = Run> {
        self.workers.iter().flatten().filter(move |run| usize::from(run.user) == user).copied()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct User {
    /// The client was told 2xx.
    pub acknowledged: bool,
    pub row: Row,
    /// One row of `outbox` for each [`Event`].
    pub outbox: [OutboxRow; 3],
    /// A work queue has an event of the user that is not settled: one or many, waiting or in somebody's hands.
    pub queued: bool,
    pub accounts: Accounts,
    pub in_flight: InFlight,
    pub mails: Mails,
}

/// A row of `users`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Row {
    pub exists: bool,
    pub leased_until: Lease,
    /// `parked_at` and `parked_reason`.
    pub parked: Option<Reason>,
    /// `synced_at` and `keycloak_id`: whose account the row names.
    pub synced: Option<Owner>,
    pub mail_wanted: u8,
    pub mail_claimed: u8,
    pub mail_served: u8,
}

impl Row {
    /// `synced_at IS NULL OR mail_wanted > mail_served`.
    pub fn is_open(&self) -> bool {
        self.exists && (self.synced.is_none() || self.mail_wanted > self.mail_served)
    }

    pub fn is_complete(&self) -> bool {
        self.exists && !self.is_open()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Lease {
    #[default]
    Null,
    /// `> now()`.
    Running,
    /// `<= now()`.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    Conflict,
    MailRefused,
}

/// `shared/src/event.rs`, `EventType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Event {
    UserCreated,
    PasswordSetupRequested,
    UserParked,
}

impl Event {
    pub const ALL: [Self; 3] = [Self::UserCreated, Self::PasswordSetupRequested, Self::UserParked];
}

/// A row of `outbox`, together with the transaction of the relay that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OutboxRow {
    #[default]
    Unwritten,
    /// For a relay; or in the hands of one whose message the broker does not have, which comes to the same.
    Waiting,
    /// Deleted in a transaction that is still open, and the broker has the message.
    Published,
    Deleted,
    /// Deleted, and the broker does not have the message.
    Lost,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    Ours,
    Stranger,
}

/// Who has the username or the address in Keycloak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Accounts {
    /// Made by us for this user, as far as 2.
    pub ours: u8,
    pub strangers: bool,
}

impl Accounts {
    pub fn none(self) -> bool {
        self.ours == 0 && !self.strangers
    }
}

/// Requests whose sender no longer waits, and which something in between may still deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct InFlight {
    pub create: bool,
    pub mail: bool,
}

/// What the checker remembers of the mails; nobody in the house sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Mails {
    pub accepted: bool,
    /// `mail_attempts - mail_answered`, less the accepted mails that no row records: how many more may leave unseen.
    pub unanswered: u8,
    /// One was accepted for what is owed now, and nothing has happened since that could excuse another.
    pub satisfied: bool,
    /// Somebody asked for one and was not refused, and none was accepted since.
    pub awaited: bool,
    pub wrong: Wrong,
}

/// What was seen of mails that should not have been sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Wrong {
    /// It left without a try that could account for it.
    pub uncounted: bool,
    /// It left although another was accepted, for no good reason.
    pub needless: bool,
    /// It went to a stranger's account.
    pub misdirected: bool,
}

/// A call of `Provisioner::provision`, before the step that comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Run {
    pub user: u8,
    pub step: Step,
    /// `ClaimedUser::claim_no` is still the row's.
    pub claim_is_current: bool,
    /// The lease ended while it was at work.
    pub lease_over: bool,
    /// `ClaimedUser::mail_wanted`: what the claim read.
    pub mail_wanted: u8,
}

/// `worker/src/provisioner/mod.rs`, `walk`, with `worker/src/account.rs`, `ensure`, in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    Create,
    LookUp,
    CreateAgain,
    MarkSynced(Owner),
    BeginMail,
    SendMail,
    MarkServed,
    Postpone,
    Park(Reason),
}

//! What keeps the promise, line by line. Each can be taken away, to see what it was good for.

/// A line without which it would be another protocol. Where it stands says [`crate::places`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Guard {
    /// A registration is answered when it is committed.
    AnswerAfterCommit,
    /// User and event are one statement.
    OneStatement,
    /// What the broker did not confirm stays in the outbox.
    Confirm,
    /// Whom somebody has nobody else claims.
    Lease,
    /// Who is complete is not claimed.
    OpenOnly,
    /// Who is parked is not claimed.
    NotParked,
    /// A run writes nothing when somebody else has claimed the user since.
    Fence,
    /// The same, of one write.
    FenceOf(Write),
    /// An account that is there already may be ours.
    Adoption,
    /// It is ours only if it is proven.
    Proof,
    /// A try is recorded before its mail leaves.
    TryRecordedFirst,
    /// A user is marked served when a mail was accepted.
    ServedAfterMail,
    /// That mail serves what was wanted when the user was claimed.
    ServedAsClaimed,
    /// A mail may be leaving even when the lease has ended.
    EndedLeaseMayMail,
    /// Whoever is due is provisioned without an event.
    Sweep,
    /// Keycloak gives a username or an address to one account only.
    UniqueNames,
}

/// A write of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Write {
    MarkSynced,
    BeginMail,
    MarkServed,
    Postpone,
    Park,
}

/// All guards but those that were taken away.
#[derive(Debug, Clone, Copy, Default)]
pub struct Guards {
    pub without: &'static [Guard],
}

impl Guards {
    pub fn has(self, guard: Guard) -> bool {
        !self.without.contains(&guard)
    }

    pub fn fences(self, write: Write) -> bool {
        self.has(Guard::Fence) && self.has(Guard::FenceOf(write))
    }
}

//! What can happen next.

use crate::state::{Event, Step};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    // People.
    Register { user: usize },
    RequestMail { user: usize },
    StrangerTakesName { user: usize },

    // The api, where a guard was taken away.
    Commit { user: usize },
    WriteEvent { user: usize },

    // The relay and the broker.
    Publish { user: usize, event: Event },
    Settle { user: usize, event: Event },

    // Consumer and sweep.
    Claim { worker: usize, user: usize },
    DeliverInVain { user: usize },

    // The provisioner.
    Take { worker: usize, step: Step, answer: Answer },
    StopInTime { worker: usize },

    // Time.
    EndLease { user: usize },

    // What goes wrong.
    Crash { worker: usize },
    CrashInFlight { worker: usize },
    Oversleep { worker: usize },
    PutBack { user: usize, event: Event },
    ForgetCommit { user: usize, event: Event },
    LoseQueues,
    Arrive { user: usize, request: Request },
}

/// How a step ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Answer {
    /// As it should: with its effect and an answer, be it a 409 or a fence.
    Heard,
    /// With its effect, and without an answer.
    Unheard,
    /// With neither, at least for now.
    Silence,
    /// With neither, but the request is still on its way.
    Late,
    /// Without effect, and Keycloak says so: 5xx.
    Unserved,
    /// Without effect, and for a reason that has nothing to do with the user: 429, 401, 403, an open breaker.
    TurnedAway,
    /// Without effect, and it is the user's fault: "User is disabled".
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Request {
    Create,
    Mail,
}

/// Whose doing an action is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// People may do it or leave it.
    People,
    /// What happens as long as nothing goes wrong: the protocol's own steps, and time.
    Protocol,
    /// What goes wrong: it may happen at any time, and never need.
    Fault,
}

impl Action {
    pub fn kind(self) -> Kind {
        match self {
            Self::Register { .. } | Self::RequestMail { .. } | Self::StrangerTakesName { .. } => Kind::People,
            Self::Take { answer, .. } if answer != Answer::Heard => Kind::Fault,
            Self::Crash { .. } | Self::CrashInFlight { .. } | Self::Oversleep { .. } => Kind::Fault,
            Self::PutBack { .. } | Self::ForgetCommit { .. } | Self::LoseQueues | Self::Arrive { .. } => Kind::Fault,
            _ => Kind::Protocol,
        }
    }
}

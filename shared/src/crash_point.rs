//! The steps between two effects, by name: where a process may be made to die.
//!
//! A crash is only interesting between two effects, and there are few such places. Each has a name here, and
//! `tests/crash_points/` kills a real process at every one of them. Without the feature `crash-points`, which release
//! builds lack, [`CrashPoint::pass`] is empty.

/// Declares the points and their names once.
macro_rules! crash_points {
    ($($(#[$doc:meta])* $point:ident = $name:literal,)*) => {
        /// A step between two effects.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum CrashPoint {
            $($(#[$doc])* $point,)*
        }

        impl CrashPoint {
            pub const ALL: &[Self] = &[$(Self::$point,)*];

            /// As `CRASH_AT` names it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$point => $name,)*
                }
            }
        }
    };
}

crash_points! {
    /// The registration is parsed, and PostgreSQL knows nothing of it.
    RegistrationBeforeCommit = "registration.before_commit",
    /// User and event are committed; neither bell nor client know.
    RegistrationCommitted = "registration.committed",
    MailRequestBeforeCommit = "mail_request.before_commit",
    MailRequestCommitted = "mail_request.committed",

    /// Events are claimed in an open transaction.
    RelayClaimed = "relay.claimed",
    /// They are sent; no confirm was awaited yet.
    RelayPublished = "relay.published",
    /// The broker has them.
    RelayConfirmed = "relay.confirmed",
    /// What it did not take is written again, in the transaction that is about to be committed.
    RelayBeforeCommit = "relay.before_commit",
    RelayCommitted = "relay.committed",

    ConsumerDelivered = "consumer.delivered",
    /// The database knows the outcome, and the broker does not.
    ConsumerBeforeAck = "consumer.before_ack",
    ConsumerAcked = "consumer.acked",
    /// The dead letter is in its queue, and its original too.
    DeadLetterConfirmed = "dead_letter.confirmed",

    SweepFound = "sweep.found",

    /// The lease and the number of the claim are committed.
    ProvisionClaimed = "provision.claimed",
    /// Keycloak has the account, and PostgreSQL does not know.
    ProvisionAccountMade = "provision.account_made",
    ProvisionSynced = "provision.synced",
    /// PostgreSQL knows no account any more, and Keycloak still has one with a password that must go.
    ProvisionAccountForgotten = "provision.account_forgotten",
    /// Keycloak has none either.
    ProvisionAccountDeleted = "provision.account_deleted",
    /// The try is counted, and no mail has left.
    ProvisionMailBegun = "provision.mail_begun",
    /// A mail server has the mail, and PostgreSQL does not know.
    ProvisionMailAccepted = "provision.mail_accepted",
    ProvisionServed = "provision.served",

    /// A downstream said no, and PostgreSQL does not know.
    ProvisionBeforePostpone = "provision.before_postpone",
    ProvisionPostponed = "provision.postponed",
    ProvisionBeforePark = "provision.before_park",
    /// The user and the event about it are committed.
    ProvisionParked = "provision.parked",

    /// Keycloak has the account of somebody who is being erased no more, and PostgreSQL still has the row.
    ErasureAccountDeleted = "erasure.account_deleted",
}

impl CrashPoint {
    /// The process is here now. Where `CRASH_AT=name:n` names this point, the n-th passing is its last; where
    /// `PANIC_AT=name:n` does, it is the last of this task.
    #[cfg(feature = "crash-points")]
    pub fn pass(self) {
        armed::passed(self);
    }

    /// The process is here now.
    #[cfg(not(feature = "crash-points"))]
    #[inline]
    pub const fn pass(self) {}
}

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    };

    use super::CrashPoint;

    struct Armed {
        point: CrashPoint,
        passings_left: AtomicU32,
        end: fn() -> !,
    }

    static ARMED: LazyLock<Option<Armed>> = LazyLock::new(|| {
        let crash = armed_by("CRASH_AT", || std::process::abort());
        crash.or_else(|| armed_by("PANIC_AT", || panic!("as PANIC_AT wants it")))
    });

    fn armed_by(variable: &str, end: fn() -> !) -> Option<Armed> {
        #[expect(clippy::disallowed_methods, reason = "no configuration of the service: release builds lack it")]
        let wanted = std::env::var(variable).ok()?;
        let armed = parse(&wanted, end);
        Some(armed.unwrap_or_else(|| panic!("{variable}={wanted} is not NAME:N with the name of a crash point")))
    }

    fn parse(wanted: &str, end: fn() -> !) -> Option<Armed> {
        let (name, passing) = wanted.split_once(':')?;
        let point = CrashPoint::ALL.iter().copied().find(|point| point.name() == name)?;
        Some(Armed { point, passings_left: AtomicU32::new(passing.parse().ok()?), end })
    }

    pub(super) fn passed(point: CrashPoint) {
        let Some(armed) = ARMED.as_ref().filter(|armed| armed.point == point) else { return };
        if armed.passings_left.fetch_sub(1, Ordering::Relaxed) == 1 {
            eprintln!("crashing at {}", point.name());
            (armed.end)();
        }
    }
}

//! Every crash point, by every way on which it lies: a real process dies there, and nobody is lost, doubled or hijacked.
//!
//! The tests are made from lists, and a test holds the lists against [`CrashPoint::ALL`]: a point that nobody dies at is
//! a failure, and so is one that is named and never passed.

mod trial;

use std::collections::HashSet;

use shared::crash_point::CrashPoint;

use trial::{Trial, Way};

/// One test for each point, in a module of the way's name.
macro_rules! deaths {
    ($module:ident, $way:ident: $($test:ident = $point:ident,)*) => {
        mod $module {
            use super::*;

            pub(super) const POINTS: &[CrashPoint] = &[$(CrashPoint::$point,)*];

            $(#[tokio::test]
            async fn $test() {
                Trial::begin(CrashPoint::$point, Way::$way).await.run().await;
            })*
        }
    };
}

/// Whoever is found by the sweep passes these, and no others.
macro_rules! deaths_without_events {
    ($module:ident, $way:ident) => {
        deaths! { $module, $way:
            sweep_found = SweepFound,
            provision_claimed = ProvisionClaimed,
            provision_account_made = ProvisionAccountMade,
            provision_synced = ProvisionSynced,
            provision_mail_begun = ProvisionMailBegun,
            provision_mail_accepted = ProvisionMailAccepted,
            provision_served = ProvisionServed,
            provision_before_postpone = ProvisionBeforePostpone,
            provision_postponed = ProvisionPostponed,
            provision_before_park = ProvisionBeforePark,
            provision_parked = ProvisionParked,
        }
    };
}

deaths! { by_event, Event:
    registration_before_commit = RegistrationBeforeCommit,
    registration_committed = RegistrationCommitted,
    mail_request_before_commit = MailRequestBeforeCommit,
    mail_request_committed = MailRequestCommitted,
    relay_claimed = RelayClaimed,
    relay_published = RelayPublished,
    relay_confirmed = RelayConfirmed,
    relay_before_commit = RelayBeforeCommit,
    relay_committed = RelayCommitted,
    consumer_delivered = ConsumerDelivered,
    consumer_before_ack = ConsumerBeforeAck,
    consumer_acked = ConsumerAcked,
    dead_letter_confirmed = DeadLetterConfirmed,
    provision_claimed = ProvisionClaimed,
    provision_account_made = ProvisionAccountMade,
    provision_synced = ProvisionSynced,
    provision_mail_begun = ProvisionMailBegun,
    provision_mail_accepted = ProvisionMailAccepted,
    provision_served = ProvisionServed,
    provision_before_postpone = ProvisionBeforePostpone,
    provision_postponed = ProvisionPostponed,
    provision_before_park = ProvisionBeforePark,
    provision_parked = ProvisionParked,
}

deaths! { by_own_mails, OwnMails:
    provision_synced = ProvisionSynced,
    provision_mail_begun = ProvisionMailBegun,
    provision_mail_accepted = ProvisionMailAccepted,
    provision_served = ProvisionServed,
    provision_before_postpone = ProvisionBeforePostpone,
    provision_postponed = ProvisionPostponed,
}

deaths! { by_another_mail, AnotherMail:
    provision_account_forgotten = ProvisionAccountForgotten,
    provision_account_deleted = ProvisionAccountDeleted,
    provision_account_made = ProvisionAccountMade,
}

deaths_without_events! { by_sweep, Sweep }
deaths_without_events! { by_replay, Replay }

/// Where nobody is led into Keycloak: `expiry.rs` dies there.
const BEYOND: [CrashPoint; 1] = [CrashPoint::ErasureAccountDeleted];

#[test]
fn somebody_dies_at_every_point() {
    let tried =
        [by_event::POINTS, by_own_mails::POINTS, by_another_mail::POINTS, by_sweep::POINTS, by_replay::POINTS, &BEYOND];
    let tried: HashSet<_> = tried.concat().into_iter().collect();
    let never: Vec<_> = CrashPoint::ALL.iter().filter(|point| !tried.contains(point)).collect();
    assert!(never.is_empty(), "nobody dies at {never:?}");
}

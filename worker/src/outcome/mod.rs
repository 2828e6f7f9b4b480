//! One table from everything that can go wrong with a user to what is done about it.
//!
//! - **snooze**: the fault is a downstream's or an operator's. Costs no attempt, however long it lasts.
//! - **retry**: an answer about this user that may change. Costs an attempt.
//! - **park**: an answer about this user that will not change. Waits for an operator, who is told why.
//!
//! What is said about accounts stands here; [`mail`] has the answers to mails, which come from more than one server.

mod mail;

use std::time::Duration;

use crate::{keycloak::error::KeycloakError, mailer::error::MailError};

/// Why a run did not reach its end.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    #[error("the account could not be made sure of")]
    Account(#[source] KeycloakError),
    #[error("somebody else has an account with this username or e-mail address")]
    Conflict,
    #[error("the account is in the realm {kept}, and this worker serves another one")]
    OtherRealm { kept: String },
    #[error("the set-up mail was not accepted")]
    Mail(#[source] MailError),
    #[error("no mails are sent at the moment")]
    MailPaused,
    #[error("more mails are waiting than may leave now (MAIL_RATE)")]
    MailPaced { wait: Duration },
    #[error("{step} took too long")]
    TooSlow { step: Step },
    /// Not begun: it might have gone on when somebody else had the user already.
    #[error("{step} would have outlived the lease")]
    LeaseTooShort { step: Step },
    #[error("no attempt is left; workers died in the last ones")]
    BudgetSpent,
}

/// The two steps that leave the house.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Account,
    Mail,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Account => "making sure of the account",
            Self::Mail => "sending the set-up mail",
        })
    }
}

/// What is done about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Snooze { at_least: Option<Duration> },
    Retry,
    Park { reason: &'static str },
}

/// What is known beside the answer itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The run before this one got the same kind of answer.
    pub again: bool,
    /// Several users in a row got this very refusal.
    pub others_alike: bool,
    /// Since this user's last mail failed, mails of others were accepted.
    pub others_served: bool,
}

/// Whom a failure speaks against, for the breakers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    Keycloak,
    Mail,
    Nobody,
}

const SNOOZE: Verdict = Verdict::Snooze { at_least: None };
const GONE: Verdict = Verdict::Park { reason: GONE_IN_KEYCLOAK };

impl Failure {
    pub fn verdict(&self, circumstances: Circumstances) -> Verdict {
        match self {
            Self::Account(error) => account_verdict(error, circumstances),
            Self::Mail(error) => mail::verdict(error, circumstances),
            Self::Conflict => Verdict::Park { reason: CONFLICT },
            Self::BudgetSpent => Verdict::Park { reason: BUDGET_SPENT },
            Self::MailPaced { wait } => Verdict::Snooze { at_least: Some(*wait) },
            Self::OtherRealm { .. } | Self::MailPaused | Self::TooSlow { .. } | Self::LeaseTooShort { .. } => SNOOZE,
        }
    }

    pub fn blame(&self) -> Blame {
        match self {
            Self::Account(error) if says_nothing_of_the_user(error) => Blame::Keycloak,
            Self::TooSlow { step: Step::Account } => Blame::Keycloak,
            Self::Mail(error) => mail::blame(error),
            Self::TooSlow { step: Step::Mail } => Blame::Mail,
            _ => Blame::Nobody,
        }
    }

    /// Whether Keycloak, having been asked, may not have answered: then it says nothing good of Keycloak either.
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Account(error) => error.is_silence(),
            Self::Mail(error) => error.is_silence_of_keycloak(),
            Self::TooSlow { .. } => true,
            _ => false,
        }
    }

    /// Whether it tells what became of a mail that was about to be sent: after silence one may have left unseen.
    pub fn answers_a_mail(&self) -> bool {
        match self {
            Self::Mail(error) => !error.may_have_left(),
            Self::LeaseTooShort { step } => *step == Step::Mail,
            _ => false,
        }
    }

    /// Whether it is certain that somebody must change a configuration before any mail can leave.
    pub fn needs_an_operator(&self) -> bool {
        matches!(self, Self::Mail(error) if error.needs_an_operator())
    }

    /// For the row, which only operators read: the other side's own words included.
    pub fn describe(&self) -> String {
        let detail = match self {
            Self::Account(error) => error.detail(),
            Self::Mail(error) => error.detail(),
            _ => None,
        };
        let text = shared::telemetry::chain(self);
        detail.map_or_else(|| text.clone(), |detail| format!("{text}: {detail}"))
    }

    /// A text that is the same for users whose accounts were refused for the same reason.
    pub fn refusal(&self) -> Option<&str> {
        match self {
            Self::Account(error @ KeycloakError::Refused { .. }) => error.detail(),
            _ => None,
        }
    }

    /// The same for users whose mails were.
    pub fn mail_refusal(&self) -> Option<String> {
        match self {
            Self::Mail(MailError::Smtp(error)) => error.refusal(),
            _ => None,
        }
    }
}

/// Somebody else has an account with this username or address.
pub const CONFLICT: &str = "conflict";
/// Keycloak refused to make the account, twice.
pub const REFUSED: &str = "refused";
/// There is nobody to mail: the mail server or Keycloak said so.
pub const MAIL_REFUSED: &str = "mail_refused";
/// The account was made, and has been deleted since.
pub const GONE_IN_KEYCLOAK: &str = "gone_in_keycloak";
/// Every attempt was used up.
pub const BUDGET_SPENT: &str = "budget_spent";

/// Why users are parked (`docs/operations.md` tells what to do about each).
pub const REASONS: [&str; 5] = [CONFLICT, REFUSED, MAIL_REFUSED, GONE_IN_KEYCLOAK, BUDGET_SPENT];

fn account_verdict(error: &KeycloakError, circumstances: Circumstances) -> Verdict {
    match error {
        // Everybody is refused alike: somebody changed the realm. Nobody is parked for that.
        KeycloakError::Refused { .. } if circumstances.others_alike => SNOOZE,
        KeycloakError::Refused { .. } if circumstances.again => Verdict::Park { reason: REFUSED },
        // The first time it may still turn out that everybody is.
        KeycloakError::Refused { .. } => Verdict::Retry,
        // Somebody has the name, and a moment later nobody does.
        KeycloakError::Taken { .. } => Verdict::Retry,
        KeycloakError::UserMissing { .. } => GONE,
        _ => Verdict::Snooze { at_least: error.retry_after() },
    }
}

fn says_nothing_of_the_user(error: &KeycloakError) -> bool {
    error.is_transient() || matches!(error, KeycloakError::Denied { .. } | KeycloakError::RealmMissing { .. })
}

#[cfg(test)]
mod tests {
    use reqwest::StatusCode;

    use super::*;

    pub(super) const DOING: &str = "test";

    pub(super) fn refused(detail: &str) -> KeycloakError {
        KeycloakError::Refused { doing: DOING, status: StatusCode::BAD_REQUEST, detail: detail.to_owned() }
    }

    pub(super) fn unavailable(status: u16, retry_after: Option<Duration>) -> KeycloakError {
        KeycloakError::Unavailable { doing: DOING, status: StatusCode::from_u16(status).unwrap(), retry_after }
    }

    pub(super) fn denied(status: u16) -> KeycloakError {
        KeycloakError::Denied { doing: DOING, status: StatusCode::from_u16(status).unwrap() }
    }

    #[test]
    fn every_answer_has_its_verdict() {
        let none = Circumstances::default();
        let again = Circumstances { again: true, ..none };
        let alike = Circumstances { others_alike: true, again: true, ..none };
        let served = Circumstances { others_served: true, ..none };
        let park = |reason| Verdict::Park { reason };
        let minute = Some(Duration::from_mins(1));
        let account = Failure::Account;
        let table = [
            (account(unavailable(503, None)), none, SNOOZE, Blame::Keycloak),
            (account(unavailable(500, None)), served, SNOOZE, Blame::Keycloak),
            (account(unavailable(429, minute)), none, Verdict::Snooze { at_least: minute }, Blame::Keycloak),
            (account(denied(401)), none, SNOOZE, Blame::Keycloak),
            (account(denied(403)), again, SNOOZE, Blame::Keycloak),
            (account(KeycloakError::RealmMissing { doing: DOING }), again, SNOOZE, Blame::Keycloak),
            (account(KeycloakError::Unreadable { doing: DOING }), none, SNOOZE, Blame::Keycloak),
            (account(refused("error-invalid-length")), none, Verdict::Retry, Blame::Nobody),
            (account(refused("error-invalid-length")), again, park("refused"), Blame::Nobody),
            (account(refused("error-invalid-length")), alike, SNOOZE, Blame::Nobody),
            (account(KeycloakError::Taken { detail: String::new() }), none, Verdict::Retry, Blame::Nobody),
            (account(KeycloakError::UserMissing { doing: DOING }), none, GONE, Blame::Nobody),
            (Failure::Conflict, none, park("conflict"), Blame::Nobody),
            (Failure::OtherRealm { kept: "old".to_owned() }, none, SNOOZE, Blame::Nobody),
            (Failure::TooSlow { step: Step::Account }, none, SNOOZE, Blame::Keycloak),
            (Failure::TooSlow { step: Step::Mail }, none, SNOOZE, Blame::Mail),
            (Failure::LeaseTooShort { step: Step::Mail }, none, SNOOZE, Blame::Nobody),
            (Failure::MailPaused, none, SNOOZE, Blame::Nobody),
            (Failure::BudgetSpent, none, park("budget_spent"), Blame::Nobody),
            (
                Failure::MailPaced { wait: Duration::MAX },
                none,
                Verdict::Snooze { at_least: Some(Duration::MAX) },
                Blame::Nobody,
            ),
        ];
        for (failure, circumstances, verdict, blame) in table {
            assert_eq!(failure.verdict(circumstances), verdict, "{failure:?} {circumstances:?}");
            assert_eq!(failure.blame(), blame, "{failure:?}");
            assert!(
                !matches!(verdict, Verdict::Park { reason } if !REASONS.contains(&reason)),
                "{verdict:?} is not counted"
            );
        }
    }

    #[test]
    fn only_an_answer_of_keycloak_says_what_became_of_a_mail() {
        for (status, answers) in [(500, true), (503, true), (429, true), (502, false), (504, false)] {
            assert_eq!(
                Failure::Mail(MailError::Keycloak(unavailable(status, None))).answers_a_mail(),
                answers,
                "{status}"
            );
        }
        assert!(!Failure::TooSlow { step: Step::Mail }.answers_a_mail());
        assert!(Failure::LeaseTooShort { step: Step::Mail }.answers_a_mail(), "none left");
        assert!(!Failure::MailPaused.answers_a_mail(), "none was begun");
    }

    #[test]
    fn the_row_is_told_more_than_the_log() {
        let failure = Failure::Account(refused("ada@example.org is not welcome"));
        assert!(failure.describe().contains("ada@example.org"));
        assert!(!shared::telemetry::chain(&failure).contains("ada@example.org"));
    }
}

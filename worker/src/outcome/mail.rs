//! What the answers to a mail mean: Keycloak's, when it was asked for a mail or for a link, and the mail server's own.

use reqwest::StatusCode;

use super::{Blame, Circumstances, GONE, SNOOZE, Verdict, says_nothing_of_the_user};
use crate::{
    keycloak::error::KeycloakError,
    mailer::error::MailError,
    smtp::error::{SmtpError, Step},
};

const MAIL_REFUSED: Verdict = Verdict::Park { reason: super::MAIL_REFUSED };

pub(super) fn verdict(error: &MailError, circumstances: Circumstances) -> Verdict {
    match error {
        MailError::Keycloak(error) => keycloaks_mail_verdict(error, circumstances),
        MailError::Link(error) => keycloaks_mail_verdict(error, Circumstances::default()),
        MailError::Smtp(error) => smtp_verdict(error, circumstances),
        MailError::Letter(_) => MAIL_REFUSED,
        // Of our own making, and so everybody's.
        MailError::Template(_) => SNOOZE,
    }
}

fn keycloaks_mail_verdict(error: &KeycloakError, circumstances: Circumstances) -> Verdict {
    match error {
        KeycloakError::UserMissing { .. } => GONE,
        KeycloakError::Refused { detail, .. } if is_about_the_user(detail) => MAIL_REFUSED,
        KeycloakError::Unavailable { status: StatusCode::INTERNAL_SERVER_ERROR, .. } if circumstances.others_served => {
            Verdict::Retry
        }
        _ => Verdict::Snooze { at_least: error.retry_after() },
    }
}

fn smtp_verdict(error: &SmtpError, circumstances: Circumstances) -> Verdict {
    match error {
        // Everybody is refused alike: the server does not know us any more, or we are not let through to it.
        SmtpError::Refused { .. } if circumstances.others_alike => SNOOZE,
        SmtpError::Refused { .. } if circumstances.again || error.is_about_the_mailbox() => MAIL_REFUSED,
        // The first time it may still turn out that everybody is.
        SmtpError::Refused { .. } => Verdict::Retry,
        SmtpError::Unavailable { step: Step::Recipient | Step::Content, .. }
        | SmtpError::Rejected { step: Step::Recipient | Step::Content, .. }
            if circumstances.others_served =>
        {
            Verdict::Retry
        }
        _ => SNOOZE,
    }
}

/// Whom a mail's failure speaks against.
pub(super) fn blame(error: &MailError) -> Blame {
    match error {
        // Keycloak answers 500 when its mail server did not take the mail, and nothing while that one is silent.
        MailError::Keycloak(KeycloakError::Unavailable { status: StatusCode::INTERNAL_SERVER_ERROR, .. }) => {
            Blame::Mail
        }
        MailError::Keycloak(KeycloakError::Unreachable { source, .. }) if source.is_timeout() => Blame::Mail,
        MailError::Keycloak(error) | MailError::Link(error) if says_nothing_of_the_user(error) => Blame::Keycloak,
        MailError::Keycloak(KeycloakError::Refused { detail, .. })
        | MailError::Link(KeycloakError::Refused { detail, .. })
            if !is_about_the_user(detail) =>
        {
            Blame::Mail
        }
        MailError::Link(KeycloakError::ProviderMissing { .. }) | MailError::Template(_) => Blame::Mail,
        MailError::Smtp(SmtpError::Refused { .. }) => Blame::Nobody,
        MailError::Smtp(_) => Blame::Mail,
        MailError::Keycloak(_) | MailError::Link(_) | MailError::Letter(_) => Blame::Nobody,
    }
}

/// Keycloak's refusals of a mail that an operator of the realm cannot mend; all others are about client or redirect.
fn is_about_the_user(detail: &str) -> bool {
    ["User is disabled", "User email missing"].iter().any(|text| detail.contains(text))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lettre::transport::smtp::response::{Category, Code, Detail, Severity};

    use super::*;
    use crate::{
        mailer::letter::LetterError,
        outcome::tests::{DOING, denied, refused, unavailable},
    };

    const NONE: Circumstances = Circumstances { again: false, others_alike: false, others_served: false };
    const AGAIN: Circumstances = Circumstances { again: true, ..NONE };
    const ALIKE: Circumstances = Circumstances { again: true, others_alike: true, ..NONE };
    const SERVED: Circumstances = Circumstances { others_served: true, ..NONE };

    fn check(table: impl IntoIterator<Item = (MailError, Circumstances, Verdict, Blame)>) {
        for (error, circumstances, expected, blamed) in table {
            assert_eq!(verdict(&error, circumstances), expected, "{error:?} {circumstances:?}");
            assert_eq!(blame(&error), blamed, "{error:?}");
        }
    }

    #[test]
    fn every_answer_of_keycloak_has_its_verdict() {
        let (mail, link) = (MailError::Keycloak, MailError::Link);
        let minute = Some(Duration::from_mins(1));
        check([
            (mail(unavailable(500, None)), NONE, SNOOZE, Blame::Mail),
            (mail(unavailable(500, None)), AGAIN, SNOOZE, Blame::Mail),
            (mail(unavailable(500, None)), SERVED, Verdict::Retry, Blame::Mail),
            (mail(unavailable(503, minute)), SERVED, Verdict::Snooze { at_least: minute }, Blame::Keycloak),
            (mail(denied(403)), NONE, SNOOZE, Blame::Keycloak),
            (mail(refused("Invalid redirect uri.")), AGAIN, SNOOZE, Blame::Mail),
            (mail(refused("User is disabled")), NONE, MAIL_REFUSED, Blame::Nobody),
            (mail(KeycloakError::UserMissing { doing: DOING }), NONE, GONE, Blame::Nobody),
            (link(unavailable(500, None)), SERVED, SNOOZE, Blame::Keycloak),
            (link(unavailable(503, minute)), NONE, Verdict::Snooze { at_least: minute }, Blame::Keycloak),
            (link(denied(403)), NONE, SNOOZE, Blame::Keycloak),
            (link(KeycloakError::ProviderMissing { doing: DOING }), AGAIN, SNOOZE, Blame::Mail),
            (link(refused("Invalid lifespan")), AGAIN, SNOOZE, Blame::Mail),
            (link(refused("User is disabled")), NONE, MAIL_REFUSED, Blame::Nobody),
            (link(KeycloakError::UserMissing { doing: DOING }), NONE, GONE, Blame::Nobody),
            (MailError::Letter(LetterError::Address), NONE, MAIL_REFUSED, Blame::Nobody),
        ]);
    }

    #[test]
    fn every_answer_of_a_mail_server_has_its_verdict() {
        use Step::{Connect, Content, LogIn, Recipient, Sender};
        let code = |severity| Code::new(severity, Category::MailSystem, Detail::Zero);
        let unavailable = |step| SmtpError::Unavailable {
            step,
            code: code(Severity::TransientNegativeCompletion),
            words: String::new(),
        };
        let refused = |words: &str| SmtpError::Refused {
            step: Recipient,
            code: code(Severity::PermanentNegativeCompletion),
            words: words.to_owned(),
        };
        let rejected = |step| SmtpError::Rejected {
            step,
            code: code(Severity::PermanentNegativeCompletion),
            words: String::new(),
        };
        let table = [
            (SmtpError::Unreachable { step: Connect, cause: String::new() }, SERVED, SNOOZE, Blame::Mail),
            (SmtpError::Silent { step: Content }, SERVED, SNOOZE, Blame::Mail),
            (SmtpError::Unreadable { step: Sender }, AGAIN, SNOOZE, Blame::Mail),
            (SmtpError::Lacking { what: "STARTTLS" }, AGAIN, SNOOZE, Blame::Mail),
            (rejected(LogIn), ALIKE, SNOOZE, Blame::Mail),
            (unavailable(Sender), SERVED, SNOOZE, Blame::Mail),
            (unavailable(Recipient), NONE, SNOOZE, Blame::Mail),
            (unavailable(Recipient), SERVED, Verdict::Retry, Blame::Mail),
            (unavailable(Content), SERVED, Verdict::Retry, Blame::Mail),
            (refused("5.1.1 no such user"), NONE, MAIL_REFUSED, Blame::Nobody),
            (refused("5.1.1 no such user"), ALIKE, SNOOZE, Blame::Nobody),
            (rejected(Recipient), NONE, SNOOZE, Blame::Mail),
            (rejected(Recipient), SERVED, Verdict::Retry, Blame::Mail),
            (refused("5.7.1 relay access denied"), NONE, Verdict::Retry, Blame::Nobody),
            (refused("5.7.1 relay access denied"), AGAIN, MAIL_REFUSED, Blame::Nobody),
            (refused("5.7.1 relay access denied"), ALIKE, SNOOZE, Blame::Nobody),
        ];
        check(
            table.map(|(error, circumstances, verdict, blame)| (MailError::Smtp(error), circumstances, verdict, blame)),
        );
    }
}

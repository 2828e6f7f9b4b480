//! What a mail server's answers mean.

use std::{fmt, io};

use lettre::transport::smtp::{self, response::Code};

/// Where in the conversation something went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Connect,
    LogIn,
    Sender,
    Recipient,
    Content,
}

impl Step {
    fn knows_the_recipient(self) -> bool {
        matches!(self, Self::Recipient | Self::Content)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "talk to us",
            Self::LogIn => "log us in",
            Self::Sender => "take our sender address (MAIL_FROM)",
            Self::Recipient => "take the recipient's address",
            Self::Content => "take the mail",
        })
    }
}

/// Why a mail was not accepted.
///
/// Messages carry no personal data, so they may be logged; [`SmtpError::words`] may quote an address and may not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SmtpError {
    #[error("could not get the mail server to {step}: {cause}")]
    Unreachable { step: Step, cause: String },
    #[error("the mail server let the time pass instead of an answer, asked to {step}")]
    Silent { step: Step },
    #[error("could not understand the mail server, asked to {step}")]
    Unreadable { step: Step },
    #[error("the mail server is not able to {step} now: {code}")]
    Unavailable { step: Step, code: Code, words: String },
    /// Whoever it is for: the configuration is at fault, here or there.
    #[error("the mail server refused to {step}, which an operator must mend: {code} {}", sayable(.step, .words))]
    Rejected { step: Step, code: Code, words: String },
    #[error("the mail server does not offer {what}, which an operator must mend")]
    Lacking { what: &'static str },
    #[error("the mail server refused to {step}: {code}")]
    Refused { step: Step, code: Code, words: String },
}

impl From<(Step, io::Error)> for SmtpError {
    fn from((step, error): (Step, io::Error)) -> Self {
        Self::Unreachable { step, cause: error.to_string() }
    }
}

impl From<(Step, smtp::Error)> for SmtpError {
    fn from((step, error): (Step, smtp::Error)) -> Self {
        let words = || std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        match error.status() {
            Some(code) if error.is_transient() => Self::Unavailable { step, code, words: words() },
            Some(code) => Self::refusal_of(step, code, words()),
            None if error.is_client() => Self::Lacking { what: "a login by PLAIN or LOGIN" },
            // What was not understood is not quoted.
            None if error.is_response() => Self::Unreadable { step },
            None => Self::Unreachable { step, cause: error.to_string() },
        }
    }
}

impl SmtpError {
    /// Many servers keep what they have against us until they hear of a recipient.
    fn refusal_of(step: Step, code: Code, words: String) -> Self {
        if step.knows_the_recipient() && !is_about_us(code, &words) {
            Self::Refused { step, code, words }
        } else {
            Self::Rejected { step, code, words }
        }
    }

    /// Whether the mail may have been taken although there is no good answer.
    pub fn may_have_left(&self) -> bool {
        match self {
            Self::Unreachable { step, .. } | Self::Silent { step } | Self::Unreadable { step } => {
                *step == Step::Content
            }
            _ => false,
        }
    }

    /// Whether nothing is known but that a connection, which was kept from an earlier mail, is no longer good.
    pub(super) fn is_stale(&self) -> bool {
        match self {
            Self::Unreachable { step, .. } | Self::Unreadable { step } => *step == Step::Sender,
            Self::Unavailable { step: Step::Sender, code, .. } => u16::from(*code) == 421,
            _ => false,
        }
    }

    /// Whether the conversation can go on with another mail.
    pub(super) fn leaves_the_session_usable(&self) -> bool {
        match self {
            Self::Refused { .. } => true,
            Self::Unavailable { code, .. } => u16::from(*code) != 421,
            _ => false,
        }
    }

    /// Whether it was refused because of what the recipient is, for good: there is no such mailbox, or it takes nothing.
    pub fn is_about_the_mailbox(&self) -> bool {
        // RFC 3463: addressing, and the mailbox. After the contents the mailbox may be our own.
        matches!(self, Self::Refused { step: Step::Recipient, words, .. }
            if enhanced(words).is_some_and(|(_, subject, _)| matches!(subject, 1 | 2)))
    }

    /// A text that is the same for all who were refused for the same reason; the words name each of them.
    pub fn refusal(&self) -> Option<String> {
        let Self::Refused { code, words, .. } = self else { return None };
        Some(format!("{code} {:?}", enhanced(words)))
    }

    /// The server's own words, for the operator who looks at the row; never for a log.
    pub fn words(&self) -> Option<&str> {
        match self {
            Self::Unavailable { words, .. } | Self::Refused { words, .. } => Some(words),
            Self::Rejected { step, words, .. } if step.knows_the_recipient() => Some(words),
            _ => None,
        }
    }

    pub fn needs_an_operator(&self) -> bool {
        matches!(self, Self::Rejected { .. } | Self::Lacking { .. })
    }
}

/// Whether it would be said to us for any recipient: who must log in, or by TLS, or may not send as `MAIL_FROM`.
fn is_about_us(code: Code, words: &str) -> bool {
    // RFC 4954 and 3207 by number; RFC 3463 and 5248 by detail, and Exchange's SendAsDenied.
    matches!(u16::from(code), 530 | 534 | 535 | 538)
        || matches!(enhanced(words), Some((_, 1, 7 | 8) | (_, 7, 0 | 8..=11) | (_, 2, 252)))
}

/// What of a server's words can name nobody: all of them before it has heard of a recipient, the code in them later.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "that is how thiserror hands it over")]
fn sayable<'a>(step: &Step, words: &'a str) -> &'a str {
    if !step.knows_the_recipient() {
        return words;
    }
    enhanced(words).and_then(|_| words.split_whitespace().next()).unwrap_or_default()
}

/// The enhanced status code in front of the words, such as 5.1.1 (RFC 2034).
fn enhanced(words: &str) -> Option<(u16, u16, u16)> {
    let mut numbers = words.split_whitespace().next()?.splitn(3, '.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

#[cfg(test)]
mod tests {
    use lettre::transport::smtp::response::{Category, Detail, Severity};

    use super::*;

    fn refused(words: &str) -> SmtpError {
        let code = Code::new(Severity::PermanentNegativeCompletion, Category::MailSystem, Detail::Zero);
        SmtpError::Refused { step: Step::Recipient, code, words: words.to_owned() }
    }

    #[test]
    fn some_refusals_are_about_the_mailbox() {
        for (words, about_it) in [
            ("5.1.1 <ada@example.org>: no such user", true),
            ("5.1.10 null MX", true),
            ("5.2.1 mailbox disabled", true),
            ("5.7.1 <ada@example.org>: relay access denied", false),
            ("no such user", false),
            ("5.1 no such user", false),
            ("", false),
        ] {
            assert_eq!(refused(words).is_about_the_mailbox(), about_it, "{words}");
        }
    }

    #[test]
    fn what_is_about_us_is_told_by_its_codes_at_any_step() {
        let code = |number| {
            let severity = Severity::PermanentNegativeCompletion;
            if number == 530 {
                Code::new(severity, Category::Unspecified3, Detail::Zero)
            } else {
                Code::new(severity, Category::MailSystem, Detail::Four)
            }
        };
        for (number, words, about_us) in [
            (530, "Authentication required", true),
            (530, "5.7.0 Must issue a STARTTLS command first", true),
            (554, "5.2.252 SendAsDenied; usher not allowed to send as no-reply", true),
            (554, "5.1.8 <no-reply@example.org>: Sender address rejected: Domain not found", true),
            (554, "5.7.9 authentication mechanism is too weak", true),
            (554, "5.7.1 <no-reply@example.org>: Sender address rejected", false),
            (554, "5.1.1 no such user", false),
        ] {
            for step in [Step::Recipient, Step::Content] {
                let error = SmtpError::refusal_of(step, code(number), words.to_owned());
                assert_eq!(matches!(error, SmtpError::Rejected { .. }), about_us, "{step:?} {words}");
            }
        }
        let content = SmtpError::refusal_of(Step::Content, code(554), "5.2.3 too long for the mailbox".to_owned());
        assert!(!content.is_about_the_mailbox(), "it need not be the recipient's");
    }

    #[test]
    fn the_same_refusal_of_two_is_told_by_its_codes() {
        let one = refused("5.7.1 <ada@example.org>: relay access denied").refusal();
        assert_eq!(one, refused("5.7.1 <bob@example.org>: relay access denied").refusal());
        assert_ne!(one, refused("5.1.1 <bob@example.org>: no such user").refusal());
    }

    #[test]
    fn the_log_is_not_told_what_the_row_is() {
        let error = refused("5.1.1 <ada@example.org>: no such user");
        assert!(!error.to_string().contains("ada@example.org"));
        assert!(error.words().unwrap().contains("ada@example.org"));
        let code = Code::new(Severity::PermanentNegativeCompletion, Category::MailSystem, Detail::Zero);
        let error = SmtpError::refusal_of(Step::Recipient, code, "5.7.0 <ada@example.org>: log in first".to_owned());
        assert!(error.to_string().ends_with("550 5.7.0"), "{error}");
        assert!(error.words().unwrap().contains("ada@example.org"));
    }

    #[test]
    fn only_after_the_content_it_may_have_left() {
        for step in [Step::Connect, Step::LogIn, Step::Sender, Step::Recipient, Step::Content] {
            assert_eq!(SmtpError::Silent { step }.may_have_left(), step == Step::Content);
        }
        assert!(!refused("").may_have_left());
    }
}

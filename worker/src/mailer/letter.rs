//! A mail as it goes over the wire.
//!
//! Nothing that a person typed comes into a header, but the address, which is parsed once more: in Keycloak it may have
//! been changed to one that our rules would not take.

use lettre::{
    Address, Message,
    address::Envelope,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
};
use shared::store::provisioning::ClaimedUser;

use super::template::Words;
use crate::config::mail::OwnMail;

pub struct Letter {
    pub envelope: Envelope,
    /// ASCII throughout, whatever the words are.
    pub content: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    #[error("the address is none that a mail can be sent to")]
    Address,
    #[error("a mail was put together in a wrong way")]
    Build,
}

impl Letter {
    /// To the address that the account has in Keycloak.
    pub fn compose(mail: &OwnMail, user: &ClaimedUser, to: &str, words: Words) -> Result<Self, LetterError> {
        let address: Address = to.parse().map_err(|_| LetterError::Address)?;
        if !to.is_ascii() {
            return Err(LetterError::Address);
        }
        let mut message = Message::builder()
            .from(mail.from.clone())
            .to(Mailbox::new(None, address))
            .subject(one_line(&words.subject))
            .date_now()
            .message_id(Some(message_id(mail, user)))
            // Nobody's holiday note answers a machine (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ));
        if let Some(reply_to) = &mail.reply_to {
            message = message.reply_to(reply_to.clone());
        }
        let parts = MultiPart::alternative_plain_html(words.text, words.html);
        let message = message.multipart(parts).map_err(|_| LetterError::Build)?;
        Ok(Self { envelope: message.envelope().clone(), content: message.formatted() })
    }
}

/// The same for each try at the same mail, so that a duplicate can be known for one; another for the next request.
fn message_id(mail: &OwnMail, user: &ClaimedUser) -> String {
    format!("<{}.{}@{}>", user.id, user.mail_wanted, mail.from.email.domain())
}

/// A header is one line, whatever a template says.
fn one_line(subject: &str) -> String {
    let words: Vec<&str> = subject.split(|c: char| c.is_whitespace() || c.is_control()).collect();
    words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

//! Whom a set-up mail is asked for.

use sha2::{Digest as _, Sha256};

use super::{email::EmailAddress, username::Username};

/// A user, as somebody names one who need not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MailTarget {
    Username(Username),
    Email(EmailAddress),
}

impl MailTarget {
    /// What is kept of the name where the name itself must not be: SHA-256 of its lower-cased form.
    pub fn hash(&self) -> [u8; 32] {
        match self {
            Self::Username(username) => Sha256::digest(username.as_str()).into(),
            Self::Email(email) => Sha256::digest(email.to_lowercase()).into(),
        }
    }

    pub fn username(&self) -> Option<&str> {
        match self {
            Self::Username(username) => Some(username.as_str()),
            Self::Email(_) => None,
        }
    }

    /// In lower case.
    pub fn email(&self) -> Option<String> {
        match self {
            Self::Username(_) => None,
            Self::Email(email) => Some(email.to_lowercase()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_makes_no_difference() {
        let hash = |raw| MailTarget::Email(EmailAddress::parse(raw).unwrap()).hash();
        assert_eq!(hash("Ada@Example.org"), hash("ada@example.ORG"));
        assert_ne!(hash("ada@example.org"), hash("bob@example.org"));
        let hash = |raw| MailTarget::Username(Username::parse(raw).unwrap()).hash();
        assert_eq!(hash("ADA"), hash("ada"));
    }
}

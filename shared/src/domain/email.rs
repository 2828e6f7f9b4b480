//! E-mail addresses as Keycloak accepts them.

use std::fmt;

use serde::Serialize;

/// An e-mail address that Keycloak takes and a mail server can be handed.
///
/// Kept as typed, because the local part may be case-sensitive (RFC 5321, section 2.4); compared and made unique in
/// lower case, because Keycloak knows addresses in lower case only.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// Why a text is not an [`EmailAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEmail {
    #[error("must have the form name@example.org")]
    Form,
    #[error("must have at most 254 characters, at most 64 of them before the @")]
    TooLong,
    #[error("must consist of plain ASCII characters")]
    NotAscii,
    #[error("must end in a domain name with a dot, such as example.org")]
    Domain,
}

impl EmailAddress {
    /// Accepts a dot-atom local part (RFC 5322, section 3.2.3) at a domain name of two labels or more.
    pub fn parse(raw: &str) -> Result<Self, InvalidEmail> {
        let raw = raw.trim();
        if !raw.is_ascii() {
            return Err(InvalidEmail::NotAscii);
        }
        let (local, domain) = raw.split_once('@').ok_or(InvalidEmail::Form)?;
        if raw.len() > 254 || local.len() > 64 {
            return Err(InvalidEmail::TooLong);
        }
        if !local.split('.').all(is_atom) {
            return Err(InvalidEmail::Form);
        }
        if !is_domain_name(domain) {
            return Err(InvalidEmail::Domain);
        }
        Ok(Self(raw.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which Keycloak keeps it.
    pub fn to_lowercase(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

fn is_atom(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&b))
}

fn is_domain_name(domain: &str) -> bool {
    let labels: Vec<&str> = domain.split('.').collect();
    // A last label of digits would be an IP address.
    labels.len() >= 2
        && labels.iter().all(|label| is_label(label))
        && labels.last().is_some_and(|top| top.len() >= 2 && top.bytes().any(|b| b.is_ascii_alphabetic()))
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// Redacted: addresses do not belong in logs.
impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EmailAddress(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_people_have() {
        for good in
            ["ada@example.org", "Ada.Love+lace@mail.example.co.uk", "o'neil@example.org", "a@b.de", "x_y@1und1.de"]
        {
            assert_eq!(EmailAddress::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(EmailAddress::parse("  ada@example.org ").unwrap().as_str(), "ada@example.org");
        assert_eq!(EmailAddress::parse("Ada@Example.ORG").unwrap().to_lowercase(), "ada@example.org");
    }

    #[test]
    fn refuses_with_the_reason() {
        use InvalidEmail::{Domain, Form, NotAscii, TooLong};
        let long_local = format!("{}@example.org", "a".repeat(65));
        let long = format!("a@{}.org", "b.".repeat(130));
        for (bad, why) in [
            ("", Form),
            ("ada", Form),
            ("@example.org", Form),
            (".ada@example.org", Form),
            ("ada..l@example.org", Form),
            ("ada l@example.org", Form),
            ("\"ada\"@example.org", Form),
            ("ada\r\nBcc: x@example.org", Form),
            ("ada@example", Domain),
            ("ada@example.org@example.org", Domain),
            ("ada@-example.org", Domain),
            ("ada@127.0.0.1", Domain),
            ("ada@[127.0.0.1]", Domain),
            ("ada@example..org", Domain),
            ("ädä@example.org", NotAscii),
            (&long_local, TooLong),
            (&long, TooLong),
        ] {
            assert_eq!(EmailAddress::parse(bad), Err(why), "{bad}");
        }
    }
}

//! E-mail addresses as Keycloak accepts them.

use std::fmt;

use serde::Serialize;

use super::examples::Examples;

/// An e-mail address that Keycloak takes and a mail server can be handed: a dot-atom at a domain name.
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
    pub fn parse(raw: &str) -> Result<Self, InvalidEmail> {
        let address = raw.trim();
        is_ascii(address)?;
        let (local, domain) = address.split_once('@').ok_or(InvalidEmail::Form)?;
        has_length(raw, local)?;
        is_dot_atom(local)?;
        is_domain_name(domain)?;
        Ok(Self(address.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which Keycloak keeps it.
    pub fn to_lowercase(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    pub const EXAMPLES: Examples<InvalidEmail> = Examples {
        accepted: &[
            ("ada@example.org", "ada@example.org"),
            ("Ada.Love+lace@Mail.Example.co.uk", "Ada.Love+lace@Mail.Example.co.uk"),
            ("  ada@example.org ", "ada@example.org"),
            ("o'neil@example.org", "o'neil@example.org"),
            ("a@b.de", "a@b.de"),
            ("x_y@1und1.de", "x_y@1und1.de"),
            ("ada@xn--mller-kva.example", "ada@xn--mller-kva.example"),
            (
                "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01@example.org",
                "abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz01@example.org",
            ),
        ],
        refused: &[
            ("", InvalidEmail::Form),
            ("ada", InvalidEmail::Form),
            ("@example.org", InvalidEmail::Form),
            (".ada@example.org", InvalidEmail::Form),
            ("ada..l@example.org", InvalidEmail::Form),
            ("ada l@example.org", InvalidEmail::Form),
            ("\"ada\"@example.org", InvalidEmail::Form),
            ("ada\r\nBcc: x@example.org", InvalidEmail::Form),
            ("Ada <ada@example.org>", InvalidEmail::Form),
            ("ada@example", InvalidEmail::Domain),
            ("ada@example.org@example.org", InvalidEmail::Domain),
            ("ada@-example.org", InvalidEmail::Domain),
            ("ada@127.0.0.1", InvalidEmail::Domain),
            ("ada@[127.0.0.1]", InvalidEmail::Domain),
            ("ada@example..org", InvalidEmail::Domain),
            ("ada@example.org.", InvalidEmail::Domain),
            ("ädä@example.org", InvalidEmail::NotAscii),
            ("ada@müller.example", InvalidEmail::NotAscii),
            ("abcdefghijklmnopqrstuvwxyz0123456789abcdefghijklmnopqrstuvwxyz012@example.org", InvalidEmail::TooLong),
        ],
    };
}

/// Keycloak refuses another local part (`error-non-ascii-local-part-email`) unless its mail server is said to take
/// UTF-8; a domain is written as it stands in the DNS (RFC 5890, A-label).
fn is_ascii(address: &str) -> Result<(), InvalidEmail> {
    if address.is_ascii() { Ok(()) } else { Err(InvalidEmail::NotAscii) }
}

/// RFC 5321, section 4.5.3.1, and its erratum 1690.
/// White space around the address counts, as it does for whoever reads the length in the description of the interface.
fn has_length(raw: &str, local: &str) -> Result<(), InvalidEmail> {
    if raw.chars().count() <= 254 && local.len() <= 64 { Ok(()) } else { Err(InvalidEmail::TooLong) }
}

/// RFC 5322, section 3.2.3. Quoted local parts are allowed by it, used by nobody and mistaken by many.
fn is_dot_atom(local: &str) -> Result<(), InvalidEmail> {
    let is_atext = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&b);
    let is_atom = |part: &str| !part.is_empty() && part.bytes().all(is_atext);
    if local.split('.').all(is_atom) { Ok(()) } else { Err(InvalidEmail::Form) }
}

/// Two labels or more, the last with a letter: no name of a host in our own network, and no IP address.
fn is_domain_name(domain: &str) -> Result<(), InvalidEmail> {
    let labels: Vec<&str> = domain.split('.').collect();
    let is_public = labels.len() >= 2
        && labels.iter().all(|label| is_label(label))
        && labels.last().is_some_and(|top| top.len() >= 2 && top.bytes().any(|b| b.is_ascii_alphabetic()));
    if is_public { Ok(()) } else { Err(InvalidEmail::Domain) }
}

/// RFC 1123, section 2.1.
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
    fn the_examples_hold() {
        for (typed, kept) in EmailAddress::EXAMPLES.accepted {
            assert_eq!(EmailAddress::parse(typed).unwrap().as_str(), *kept, "{typed}");
        }
        for (typed, why) in EmailAddress::EXAMPLES.refused {
            assert_eq!(EmailAddress::parse(typed), Err(*why), "{typed:?}");
        }
    }

    #[test]
    fn the_whole_is_limited_too() {
        let domain = |labels: usize| format!("a@{}org", "b.".repeat(labels));
        assert!(EmailAddress::parse(&domain(124)).is_ok());
        assert_eq!(EmailAddress::parse(&domain(125)), Err(InvalidEmail::TooLong));
        assert_eq!(EmailAddress::parse(&format!("{:255}", "ada@example.org")), Err(InvalidEmail::TooLong));
        assert_eq!(EmailAddress::parse("Ada@Example.ORG").unwrap().to_lowercase(), "ada@example.org");
    }
}

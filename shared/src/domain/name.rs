//! First and last names as Keycloak accepts them.

use std::fmt;

use serde::Serialize;

/// A first or last name: 1 to 100 characters of any script.
///
/// Refused are the characters that Keycloak's `person-name-prohibited-characters` validator refuses
/// (`<>&"$%!#?§;*~/\|^=[]{}()` and control characters), and the invisible ones that turn or hide text.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct PersonName(String);

/// Why a text is not a [`PersonName`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("must not be empty")]
    Empty,
    #[error("must have at most 100 characters")]
    TooLong,
    #[error("must not contain control characters or any of < > & \" $ % ! # ? § ; * ~ / \\ | ^ = [ ] {{ }} ( )")]
    Character,
}

impl PersonName {
    pub fn parse(raw: &str) -> Result<Self, InvalidName> {
        let name = raw.trim();
        if name.is_empty() {
            return Err(InvalidName::Empty);
        }
        if name.chars().count() > 100 {
            return Err(InvalidName::TooLong);
        }
        if name.chars().any(is_prohibited) {
            return Err(InvalidName::Character);
        }
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_prohibited(c: char) -> bool {
    c.is_control() || "<>&\"$%!#?§;*~/\\|^=[]{}()".contains(c) || is_invisible(c)
}

/// Line and paragraph separators, zero-width and bidirectional formatting characters, the byte order mark.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

/// Redacted: names do not belong in logs.
impl fmt::Debug for PersonName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonName(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_names_of_the_world() {
        for good in ["Ada", "Jean-Luc", "O'Brien", "Müller", "李小龍", "María José", "Nguyễn", "J.R.R.", "عائشة"]
        {
            assert_eq!(PersonName::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(PersonName::parse(" Ada ").unwrap().as_str(), "Ada");
    }

    #[test]
    fn refuses_with_the_reason() {
        assert_eq!(PersonName::parse("  "), Err(InvalidName::Empty));
        assert_eq!(PersonName::parse(&"x".repeat(101)), Err(InvalidName::TooLong));
        for bad in ["<script>", "a\r\nBcc: x", "50%", "a\u{202E}b", "a\0b", "{{name}}"] {
            assert_eq!(PersonName::parse(bad), Err(InvalidName::Character), "{bad:?}");
        }
    }
}

//! Usernames as Keycloak accepts and keeps them.

use std::fmt;

use serde::Serialize;

/// A username: 3 to 64 of `a-z 0-9 . _ -`, beginning and ending with a letter or digit, in lower case.
///
/// Keycloak lower-cases usernames and asks for 3 characters or more; ASCII alone rules out look-alike names.
#[derive(Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Username(String);

/// Why a text is not a [`Username`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    #[error("must have 3 to 64 characters")]
    Length,
    #[error("must consist of letters a to z, digits, dots, hyphens and underscores")]
    Character,
    #[error("must begin and end with a letter or a digit")]
    Edge,
}

impl Username {
    /// Upper case is taken and lowered, as Keycloak does it.
    pub fn parse(raw: &str) -> Result<Self, InvalidUsername> {
        let name = raw.to_ascii_lowercase();
        if !(3..=64).contains(&name.chars().count()) {
            return Err(InvalidUsername::Length);
        }
        if !name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b)) {
            return Err(InvalidUsername::Character);
        }
        if !name.starts_with(|c: char| c.is_ascii_alphanumeric())
            || !name.ends_with(|c: char| c.is_ascii_alphanumeric())
        {
            return Err(InvalidUsername::Edge);
        }
        Ok(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Redacted: names do not belong in logs.
impl fmt::Debug for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Username(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_and_lowers() {
        assert_eq!(Username::parse("Ada.Lovelace-1815_x").unwrap().as_str(), "ada.lovelace-1815_x");
        assert_eq!(Username::parse("abc").unwrap().as_str(), "abc");
        assert!(Username::parse(&"a".repeat(64)).is_ok());
    }

    #[test]
    fn refuses_with_the_reason() {
        use InvalidUsername::{Character, Edge, Length};
        for (bad, why) in [
            ("", Length),
            ("ab", Length),
            ("ada lovelace", Character),
            ("ada\n", Character),
            ("ädä", Character),
            ("аdа", Character), // Cyrillic а
            ("ada@example.org", Character),
            (".ada", Edge),
            ("ada-", Edge),
        ] {
            assert_eq!(Username::parse(bad), Err(why), "{bad}");
        }
        assert_eq!(Username::parse(&"a".repeat(65)), Err(Length));
    }
}

//! Usernames as Keycloak accepts and keeps them.

use std::fmt;

use serde::Serialize;

use super::examples::Examples;

/// A username: 3 to 64 of `a-z 0-9 . _ -`, beginning and ending with a letter or digit, in lower case.
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
    #[error("must not begin with service-account-")]
    Reserved,
}

impl Username {
    pub fn parse(raw: &str) -> Result<Self, InvalidUsername> {
        let name = lowered(raw);
        has_length(&name)?;
        has_plain_characters(&name)?;
        has_firm_edges(&name)?;
        is_a_persons(&name)?;
        Ok(Self(name))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub const EXAMPLES: Examples<InvalidUsername> = Examples {
        accepted: &[
            ("ada", "ada"),
            ("Ada.Lovelace-1815_x", "ada.lovelace-1815_x"),
            ("007", "007"),
            ("a__b", "a__b"),
            ("service-accountant", "service-accountant"),
            (
                "abcdefghijklmnopqrstuvwxyz-0123456789.ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                "abcdefghijklmnopqrstuvwxyz-0123456789.abcdefghijklmnopqrstuvwxyz",
            ),
        ],
        refused: &[
            ("", InvalidUsername::Length),
            ("ab", InvalidUsername::Length),
            ("abcdefghijklmnopqrstuvwxyz-0123456789-abcdefghijklmnopqrstuvwxyz-", InvalidUsername::Length),
            ("ada lovelace", InvalidUsername::Character),
            (" ada", InvalidUsername::Character),
            ("ada\n", InvalidUsername::Character),
            ("ada\0", InvalidUsername::Character),
            ("ädä", InvalidUsername::Character),
            ("\u{430}d\u{430}", InvalidUsername::Character),
            ("ada@example.org", InvalidUsername::Character),
            (".ada", InvalidUsername::Edge),
            ("ada-", InvalidUsername::Edge),
            ("___", InvalidUsername::Edge),
            ("Service-Account-usher-app", InvalidUsername::Reserved),
        ],
    };
}

/// Keycloak lower-cases usernames (`UserModel.setUsername`), so two that differ in case are one.
fn lowered(raw: &str) -> String {
    raw.to_ascii_lowercase()
}

/// Keycloak's default user profile asks for 3 to 255 (`error-invalid-length`); 64 is enough for a name that is typed.
fn has_length(name: &str) -> Result<(), InvalidUsername> {
    if (3..=64).contains(&name.chars().count()) { Ok(()) } else { Err(InvalidUsername::Length) }
}

/// Less than Keycloak takes (`username-prohibited-characters`): with ASCII alone no two names look alike (UTS 39).
fn has_plain_characters(name: &str) -> Result<(), InvalidUsername> {
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b".-_".contains(&b);
    if name.bytes().all(is_plain) { Ok(()) } else { Err(InvalidUsername::Character) }
}

/// So that a name can stand in a sentence, and is never `.`, `..` or an option of a command.
fn has_firm_edges(name: &str) -> Result<(), InvalidUsername> {
    let is_firm = |c: char| c.is_ascii_alphanumeric();
    if name.starts_with(is_firm) && name.ends_with(is_firm) { Ok(()) } else { Err(InvalidUsername::Edge) }
}

/// Keycloak gives such names to the accounts of clients (`ServiceAccountConstants.SERVICE_ACCOUNT_USER_PREFIX`).
fn is_a_persons(name: &str) -> Result<(), InvalidUsername> {
    if name.starts_with("service-account-") { Err(InvalidUsername::Reserved) } else { Ok(()) }
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
    fn the_examples_hold() {
        for (typed, kept) in Username::EXAMPLES.accepted {
            assert_eq!(Username::parse(typed).unwrap().as_str(), *kept, "{typed}");
        }
        for (typed, why) in Username::EXAMPLES.refused {
            assert_eq!(Username::parse(typed), Err(*why), "{typed:?}");
        }
    }
}

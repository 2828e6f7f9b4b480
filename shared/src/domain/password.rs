//! Passwords, where one is given to us rather than to Keycloak.

use secrecy::{ExposeSecret as _, SecretString};

use super::{email::EmailAddress, examples::Examples, username::Username};

/// A password that keeps the rules; kept as typed, because any change of it would lock its owner out.
#[derive(Debug, Clone)]
pub struct Password(SecretString);

/// What is asked of a password. The policy of the development realm asks for the same, as far as Keycloak can say it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each class is asked for or not, whatever the others are")]
pub struct PasswordRules {
    pub min_length: usize,
    pub lower: bool,
    pub upper: bool,
    pub digit: bool,
    /// One of `@$!%*#?&.`
    pub special: bool,
}

/// Why a text is not a [`Password`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPassword {
    #[error("must have at least {0} characters")]
    TooShort(usize),
    #[error("must have at most {MAX_LENGTH} characters")]
    TooLong,
    #[error("must contain a lower-case letter")]
    Lower,
    #[error("must contain an upper-case letter")]
    Upper,
    #[error("must contain a digit")]
    Digit,
    #[error("must contain one of {SPECIAL}")]
    Special,
    #[error("must not contain control characters")]
    Control,
    #[error("must not be the username")]
    Username,
    #[error("must not be the e-mail address, nor what stands before its @")]
    Email,
}

/// Whoever hashes it works on all of it: a password of megabytes would be an attack.
const MAX_LENGTH: usize = 128;

const SPECIAL: &str = "@$!%*#?&.";

const LONGEST: &str = concat!(
    "Aa1.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
);

const TOO_LONG: &str = concat!(
    "Aa1.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
);

/// Those of the service that this one succeeds:
/// `^(?=.*[a-z])(?=.*[A-Z])(?=.*\d)(?=.*[@$!%*#?&.]).{8,}$`. It took no other characters beside these; there is no
/// reason to refuse them (NIST SP 800-63B, section 3.1.1.2).
impl Default for PasswordRules {
    fn default() -> Self {
        Self { min_length: 8, lower: true, upper: true, digit: true, special: true }
    }
}

impl Password {
    /// Of whom it is, nothing need be known.
    pub fn parse(
        raw: SecretString,
        rules: &PasswordRules,
        username: Option<&Username>,
        email: Option<&EmailAddress>,
    ) -> Result<Self, InvalidPassword> {
        let text = raw.expose_secret();
        has_length(text, rules.min_length)?;
        has_no_control_character(text)?;
        has_classes(text, rules)?;
        username.map_or(Ok(()), |username| is_not_the_username(text, username))?;
        email.map_or(Ok(()), |email| is_not_the_address(text, email))?;
        Ok(Self(raw))
    }

    /// By the default rules, for [`Password::EXAMPLE_OF`].
    pub const EXAMPLES: Examples<InvalidPassword> = Examples {
        accepted: &[
            ("Right-1.", "Right-1."),
            ("Aa1@Aa1@", "Aa1@Aa1@"),
            (" Aa1. Aa1. ", " Aa1. Aa1. "),
            ("Pässwort-1.", "Pässwort-1."),
            ("Aa1.🦀🦀🦀🦀", "Aa1.🦀🦀🦀🦀"),
            (LONGEST, LONGEST),
        ],
        refused: &[
            ("", InvalidPassword::TooShort(8)),
            ("Aa1.Aa1", InvalidPassword::TooShort(8)),
            (TOO_LONG, InvalidPassword::TooLong),
            ("RIGHT-1.", InvalidPassword::Lower),
            ("right-1.", InvalidPassword::Upper),
            ("Right-A.", InvalidPassword::Digit),
            ("Right111", InvalidPassword::Special),
            // Special enough for Keycloak.
            ("Right-11", InvalidPassword::Special),
            ("Right 11", InvalidPassword::Special),
            ("Right-1.\n", InvalidPassword::Control),
            ("Ada.1815", InvalidPassword::Username),
            ("Ada.King1@example.org", InvalidPassword::Email),
            ("ada.King1@Example.org", InvalidPassword::Email),
            ("Ada.King1", InvalidPassword::Email),
        ],
    };

    /// Username and address of whom the examples are about.
    pub const EXAMPLE_OF: (&str, &str) = ("ada.1815", "Ada.King1@example.org");

    /// To be sealed or sent, and for nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

fn has_length(password: &str, min: usize) -> Result<(), InvalidPassword> {
    match password.chars().count() {
        length if length < min => Err(InvalidPassword::TooShort(min)),
        length if length > MAX_LENGTH => Err(InvalidPassword::TooLong),
        _ => Ok(()),
    }
}

/// They cannot be typed on every keyboard, and some get lost on the way.
fn has_no_control_character(password: &str) -> Result<(), InvalidPassword> {
    if password.chars().any(char::is_control) { Err(InvalidPassword::Control) } else { Ok(()) }
}

fn has_classes(password: &str, rules: &PasswordRules) -> Result<(), InvalidPassword> {
    let lacks = |class: fn(char) -> bool| !password.chars().any(class);
    for (asked, is_lacking, why) in [
        (rules.lower, lacks(|c| c.is_ascii_lowercase()), InvalidPassword::Lower),
        (rules.upper, lacks(|c| c.is_ascii_uppercase()), InvalidPassword::Upper),
        (rules.digit, lacks(|c| c.is_ascii_digit()), InvalidPassword::Digit),
        (rules.special, lacks(|c| SPECIAL.contains(c)), InvalidPassword::Special),
    ] {
        if asked && is_lacking {
            return Err(why);
        }
    }
    Ok(())
}

/// The first thing that is tried (NIST SP 800-63B, section 3.1.1.2).
fn is_not_the_username(password: &str, username: &Username) -> Result<(), InvalidPassword> {
    if password.to_lowercase() == username.as_str() { Err(InvalidPassword::Username) } else { Ok(()) }
}

/// The second one.
fn is_not_the_address(password: &str, email: &EmailAddress) -> Result<(), InvalidPassword> {
    let (password, email) = (password.to_lowercase(), email.to_lowercase());
    let local = email.split('@').next().unwrap_or_default();
    if password == email || password == local { Err(InvalidPassword::Email) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &str, rules: &PasswordRules) -> Result<String, InvalidPassword> {
        let (username, email) = Password::EXAMPLE_OF;
        let (username, email) = (Username::parse(username).unwrap(), EmailAddress::parse(email).unwrap());
        let password = Password::parse(raw.into(), rules, Some(&username), Some(&email));
        password.map(|password| password.expose().to_owned())
    }

    #[test]
    fn the_examples_hold() {
        for (typed, kept) in Password::EXAMPLES.accepted {
            assert_eq!(parse(typed, &PasswordRules::default()).as_deref(), Ok(*kept));
        }
        for (typed, why) in Password::EXAMPLES.refused {
            assert_eq!(parse(typed, &PasswordRules::default()), Err(*why), "{typed}");
        }
        assert_eq!(LONGEST.chars().count(), MAX_LENGTH);
        assert_eq!(TOO_LONG.chars().count(), MAX_LENGTH + 1);
    }

    #[test]
    fn what_is_not_asked_for_need_not_be_there() {
        let lax = PasswordRules { min_length: 4, lower: false, upper: false, digit: false, special: false };
        assert!(parse("....", &lax).is_ok());
        assert_eq!(parse("ADA.1815", &lax), Err(InvalidPassword::Username));
    }
}

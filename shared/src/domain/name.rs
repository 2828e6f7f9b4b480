//! First and last names as Keycloak accepts them.

use std::fmt;

use serde::Serialize;
use unicode_normalization::UnicodeNormalization as _;

use super::examples::Examples;

/// A first or last name: 1 to 100 characters of any script, in normal form C.
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
    #[error("must not contain characters that are invisible or turn the direction of text")]
    Invisible,
}

impl PersonName {
    pub fn parse(raw: &str) -> Result<Self, InvalidName> {
        let typed = composed(raw);
        is_short(&typed)?;
        let name = typed.trim();
        is_given(name)?;
        has_no_prohibited_character(name)?;
        has_no_invisible_character(name)?;
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub const EXAMPLES: Examples<InvalidName> = Examples {
        accepted: &[
            ("Ada", "Ada"),
            (" Ada ", "Ada"),
            ("Jean-Luc", "Jean-Luc"),
            ("O'Brien", "O'Brien"),
            ("O’Brien", "O’Brien"),
            ("Müller", "Müller"),
            // Written with a combining character.
            ("Mu\u{308}ller", "Müller"),
            ("李小龍", "李小龍"),
            ("María José", "María José"),
            ("Nguyễn", "Nguyễn"),
            ("J.R.R.", "J.R.R."),
            ("عائشة", "عائشة"),
            ("Þórunn", "Þórunn"),
            ("नरेन्द्र", "नरेन्द्र"),
            ("X", "X"),
            ("Louis XIV, 5th", "Louis XIV, 5th"),
            // With joiners: without them each would be spelt another way.
            ("مه\u{200C}لقا", "مه\u{200C}لقا"),
            ("ශ්\u{200D}රී", "ශ්\u{200D}රී"),
            ("র\u{200D}্যাম", "র\u{200D}্যাম"),
        ],
        refused: &[
            ("", InvalidName::Empty),
            (" \u{3000}", InvalidName::Empty),
            ("<script>", InvalidName::Character),
            ("a\r\nBcc: x", InvalidName::Character),
            ("50%", InvalidName::Character),
            ("a\0b", InvalidName::Character),
            ("a\u{85}b", InvalidName::Character),
            ("{{name}}", InvalidName::Character),
            // Reads as its mirror image.
            ("a\u{202E}b", InvalidName::Invisible),
            ("a\u{2066}b", InvalidName::Invisible),
            ("A\u{200B}da", InvalidName::Invisible),
            ("A\u{200D}da", InvalidName::Invisible),
            ("\u{200C}مه", InvalidName::Invisible),
            ("مه\u{200C}", InvalidName::Invisible),
            ("مه\u{200C} لقا", InvalidName::Invisible),
            ("مه\u{200C}\u{200C}لقا", InvalidName::Invisible),
            ("مه\u{200C}Lqa", InvalidName::Invisible),
            ("A\u{FEFF}da", InvalidName::Invisible),
            ("A\u{AD}da", InvalidName::Invisible),
            ("\u{2800}", InvalidName::Invisible),
            ("A\u{FDD0}da", InvalidName::Invisible),
            ("A\u{FFFE}da", InvalidName::Invisible),
            ("A\u{1FFFF}da", InvalidName::Invisible),
            ("A\u{E0041}da", InvalidName::Invisible),
        ],
    };
}

/// One spelling for what looks the same (UAX 15), so that two who search for a name find the same.
fn composed(name: &str) -> String {
    name.nfc().collect()
}

/// Keycloak's default user profile takes 255; 100 holds every name we know of and fits into a mail's first line. White
/// space around the name counts, as it does for whoever reads the length in the description of the interface.
fn is_short(typed: &str) -> Result<(), InvalidName> {
    if typed.chars().count() <= 100 { Ok(()) } else { Err(InvalidName::TooLong) }
}

fn is_given(name: &str) -> Result<(), InvalidName> {
    if name.is_empty() { Err(InvalidName::Empty) } else { Ok(()) }
}

/// What Keycloak's `person-name-prohibited-characters` refuses. It also keeps markup out of mails and pages.
fn has_no_prohibited_character(name: &str) -> Result<(), InvalidName> {
    let is_prohibited = |c: char| c.is_control() || "<>&\"$%!#?§;*~/\\|^=[]{}()".contains(c);
    if name.chars().any(is_prohibited) { Err(InvalidName::Character) } else { Ok(()) }
}

/// Default-ignorable and bidirectional characters, as RFC 8264 (section 9.13) refuses them, noncharacters (9.9), and the
/// Braille pattern without a dot: with them a name could look like another, or turn the text around it. Joiners may stand where letters join (RFC 8264, section 5.2.2).
fn has_no_invisible_character(name: &str) -> Result<(), InvalidName> {
    let characters: Vec<char> = name.chars().collect();
    let stands_well = |at: usize| !is_invisible(characters[at]) || joins(&characters, at);
    if (0..characters.len()).all(stands_well) { Ok(()) } else { Err(InvalidName::Invisible) }
}

/// A zero-width joiner or non-joiner between two characters of the scripts that need it to be spelt: Arabic to Sinhala,
/// which Unicode keeps side by side.
fn joins(characters: &[char], at: usize) -> bool {
    let may_be_joined = |at: usize| characters.get(at).is_some_and(|c| ('\u{620}'..='\u{DFF}').contains(c));
    matches!(characters[at], '\u{200C}' | '\u{200D}') && at > 0 && may_be_joined(at - 1) && may_be_joined(at + 1)
}

fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{AD}' | '\u{34F}' | '\u{61C}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{180B}'..='\u{180F}'
        | '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{3164}'
        | '\u{2800}' | '\u{FDD0}'..='\u{FDEF}' | '\u{FE00}'..='\u{FE0F}' | '\u{FEFF}' | '\u{FFA0}' | '\u{FFF0}'..='\u{FFFB}'
        | '\u{E000}'..='\u{F8FF}' | '\u{1BCA0}'..='\u{1BCA3}' | '\u{1D173}'..='\u{1D17A}'
        | '\u{E0000}'..='\u{10FFFF}')
        || u32::from(c) & 0xFFFE == 0xFFFE
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
    fn the_examples_hold() {
        for (typed, kept) in PersonName::EXAMPLES.accepted {
            assert_eq!(PersonName::parse(typed).unwrap().as_str(), *kept, "{typed}");
        }
        for (typed, why) in PersonName::EXAMPLES.refused {
            assert_eq!(PersonName::parse(typed), Err(*why), "{typed:?}");
        }
    }

    #[test]
    fn the_length_counts_composed_characters() {
        assert!(PersonName::parse(&"u\u{308}".repeat(100)).is_ok());
        assert_eq!(PersonName::parse(&"x".repeat(101)), Err(InvalidName::TooLong));
        assert_eq!(PersonName::parse(&format!("{:101}", "x")), Err(InvalidName::TooLong));
    }
}

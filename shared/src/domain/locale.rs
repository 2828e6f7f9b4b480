//! The language that somebody wants to be written to in.

use serde::Serialize;

use super::examples::Examples;

/// A language tag (RFC 5646), such as `de` or `pt-br`: a language of two or three letters, and up to four parts that say
/// more. Kept in lower case, by which it is compared. Which languages there are is not asked here: there is always one
/// to fall back on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Locale(String);

/// Why a text is not a [`Locale`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLocale {
    #[error("must be a language tag such as de or pt-BR")]
    Form,
}

impl Locale {
    pub fn parse(raw: &str) -> Result<Self, InvalidLocale> {
        let tag = raw.replace('_', "-").to_ascii_lowercase();
        let mut parts = tag.split('-');
        let language = parts.next().unwrap_or_default();
        let is_language = (2..=3).contains(&language.len()) && language.bytes().all(|b| b.is_ascii_alphabetic());
        let is_part = |part: &str| (2..=8).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_alphanumeric());
        let rest: Vec<&str> = parts.collect();
        let is_tag = is_language && rest.len() <= 4 && rest.into_iter().all(is_part);
        if is_tag { Ok(Self(tag)) } else { Err(InvalidLocale::Form) }
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub const EXAMPLES: Examples<InvalidLocale> = Examples {
        accepted: &[
            ("de", "de"),
            ("pt-br", "pt-br"),
            ("zh-hant-tw", "zh-hant-tw"),
            ("de-AT", "de-at"),
            ("de_CH", "de-ch"),
            ("de-CH-1996", "de-ch-1996"),
            ("tlh", "tlh"),
        ],
        refused: &[
            ("", InvalidLocale::Form),
            ("d", InvalidLocale::Form),
            ("german", InvalidLocale::Form),
            ("de-", InvalidLocale::Form),
            ("-de", InvalidLocale::Form),
            ("de--at", InvalidLocale::Form),
            ("de-a", InvalidLocale::Form),
            ("de-österreich", InvalidLocale::Form),
            ("de-austriaca", InvalidLocale::Form),
            ("de-aa-bb-cc-dd-ee", InvalidLocale::Form),
            (" de", InvalidLocale::Form),
            ("de/../../etc", InvalidLocale::Form),
            ("*", InvalidLocale::Form),
        ],
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_hold() {
        for (typed, kept) in Locale::EXAMPLES.accepted {
            assert_eq!(Locale::parse(typed).unwrap().as_str(), *kept, "{typed}");
        }
        for (typed, why) in Locale::EXAMPLES.refused {
            assert_eq!(Locale::parse(typed), Err(*why), "{typed:?}");
        }
    }
}

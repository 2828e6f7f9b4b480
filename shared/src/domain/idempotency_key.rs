//! Keys with which a client marks two requests as one.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The value of a header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07), taken as it stands: the
/// quotes that the draft asks for are part of it, because most clients send none.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// Why a text is not an [`IdempotencyKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    pub fn parse(raw: &[u8]) -> Result<Self, InvalidIdempotencyKey> {
        let raw = str::from_utf8(raw).map_err(|_| InvalidIdempotencyKey)?;
        let is_key = (1..=255).contains(&raw.len()) && raw.bytes().all(|b| b.is_ascii_graphic());
        if is_key { Ok(Self(raw.to_owned())) } else { Err(InvalidIdempotencyKey) }
    }

    /// What is kept of it: who reads the table must not be able to use the keys.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

/// Redacted: whoever has the key can ask for the answer again.
impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IdempotencyKey(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_short_and_visible() {
        let longest = "k".repeat(255);
        for good in ["k", "8e03978e-40d5-43dd-bc93-6894a57f9324", "\"quoted\"", &longest] {
            assert!(IdempotencyKey::parse(good.as_bytes()).is_ok(), "{good}");
        }
        let too_long = "k".repeat(256);
        for bad in ["", "a b", "a\tb", "schlüssel", &too_long] {
            assert_eq!(IdempotencyKey::parse(bad.as_bytes()), Err(InvalidIdempotencyKey), "{bad}");
        }
        assert_eq!(IdempotencyKey::parse(b"\xff"), Err(InvalidIdempotencyKey));
    }
}

//! How a password is sealed: AES-256-GCM (NIST SP 800-38D) with a random nonce, bound to its user.
//!
//! A sealed password is `KEY-ID.BASE64(nonce, ciphertext, tag)`. The id says with which key, so that a new key can be
//! brought in while passwords under the old one are still on their way.

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use secrecy::{ExposeSecret as _, SecretString};

use crate::domain::{password::Password, user::UserId};

const KEY_LENGTH: usize = 32;
const NONCE_LENGTH: usize = 12;
/// What is sealed is filled up to a multiple of this with zeros, which no password has: its length tells nothing.
const BLOCK: usize = 512;

/// The first key seals; all of them open.
#[derive(Debug)]
pub struct Keys(Vec<Key>);

#[derive(Debug)]
struct Key {
    id: String,
    key: RandomizedNonceKey,
}

/// Why a text is not a list of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a list of keys such as 2026a:BASE64 with 32 bytes each, the one that seals first")]
pub struct InvalidKeys;

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the cipher failed")]
pub struct SealError;

/// Why a sealed password stays closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("it is none of ours")]
    Form,
    #[error("none of our keys has the id that it names")]
    UnknownKey,
    #[error("it was changed, or belongs to another user")]
    Forged,
}

impl Keys {
    /// `ID:BASE64,ID:BASE64`, with each id once.
    pub fn parse(raw: &SecretString) -> Result<Self, InvalidKeys> {
        let keys: Option<Vec<Key>> = raw.expose_secret().split(',').map(|key| Key::parse(key.trim())).collect();
        let keys = keys.ok_or(InvalidKeys)?;
        let repeated = keys.iter().enumerate().any(|(n, key)| keys[..n].iter().any(|other| other.id == key.id));
        if repeated { Err(InvalidKeys) } else { Ok(Self(keys)) }
    }

    pub(super) fn seal(&self, user: UserId, password: &Password) -> Result<String, SealError> {
        let key = self.0.first().ok_or(SealError)?;
        let mut text = password.expose().as_bytes().to_vec();
        text.resize(text.len().next_multiple_of(BLOCK), 0);
        let nonce = key.key.seal_in_place_append_tag(bound_to(user), &mut text).map_err(|_| SealError)?;
        Ok(format!("{}.{}", key.id, BASE64.encode([&nonce.as_ref()[..], &text].concat())))
    }

    pub(super) fn open(&self, user: UserId, sealed: &str) -> Result<SecretString, OpenError> {
        let (id, sealed) = sealed.split_once('.').ok_or(OpenError::Form)?;
        let key = self.0.iter().find(|key| key.id == id).ok_or(OpenError::UnknownKey)?;
        let sealed = BASE64.decode(sealed).map_err(|_| OpenError::Form)?;
        let (nonce, sealed) = sealed.split_at_checked(NONCE_LENGTH).ok_or(OpenError::Form)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| OpenError::Form)?;
        let mut text = sealed.to_vec();
        let text = key.key.open_in_place(nonce, bound_to(user), &mut text).map_err(|_| OpenError::Forged)?;
        let text = std::str::from_utf8(text).map_err(|_| OpenError::Form)?;
        Ok(text.trim_end_matches('\0').into())
    }
}

impl Key {
    fn parse(raw: &str) -> Option<Self> {
        let (id, key) = raw.split_once(':')?;
        let named = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let key = BASE64.decode(key).ok().filter(|key| named && key.len() == KEY_LENGTH)?;
        Some(Self { id: id.to_owned(), key: RandomizedNonceKey::new(&AES_256_GCM, &key).ok()? })
    }
}

/// Under another user's id it does not open.
fn bound_to(user: UserId) -> Aad<[u8; 16]> {
    Aad::from(user.as_uuid().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{email::EmailAddress, password::PasswordRules, username::Username};

    fn key(id: &str, byte: u8) -> String {
        format!("{id}:{}", BASE64.encode([byte; KEY_LENGTH]))
    }

    fn keys(list: &[String]) -> Keys {
        Keys::parse(&list.join(",").into()).unwrap()
    }

    fn password(text: &str) -> Password {
        let (username, email) = (Username::parse("ada").unwrap(), EmailAddress::parse("ada@example.org").unwrap());
        Password::parse(text.into(), &PasswordRules::default(), Some(&username), Some(&email)).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_for_its_user_alone() {
        let (keys, ada, bob) = (keys(&[key("a", 1)]), UserId::generate(), UserId::generate());
        let sealed = keys.seal(ada, &password("Pässwort-1.")).unwrap();
        assert_eq!(keys.open(ada, &sealed).unwrap().expose_secret(), "Pässwort-1.");
        assert_eq!(keys.open(bob, &sealed).unwrap_err(), OpenError::Forged);
        assert_ne!(keys.seal(ada, &password("Pässwort-1.")).unwrap(), sealed, "each has a nonce of its own");
    }

    #[test]
    fn the_length_of_a_password_is_not_seen() {
        let keys = keys(&[key("a", 1)]);
        let length = |text| keys.seal(UserId::generate(), &password(text)).unwrap().len();
        assert_eq!(length("Right-1."), length("Much-longer-than-that-1."));
    }

    #[test]
    fn an_old_key_still_opens_and_the_new_one_seals() {
        let (old, new, user) = (key("old", 1), key("new", 2), UserId::generate());
        let sealed = keys(std::slice::from_ref(&old)).seal(user, &password("Right-1.")).unwrap();
        let both = keys(&[new.clone(), old]);
        assert_eq!(both.open(user, &sealed).unwrap().expose_secret(), "Right-1.");
        assert!(both.seal(user, &password("Right-1.")).unwrap().starts_with("new."));
        assert_eq!(keys(&[new]).open(user, &sealed).unwrap_err(), OpenError::UnknownKey);
        // The same name for another key.
        assert_eq!(keys(&[key("old", 3)]).open(user, &sealed).unwrap_err(), OpenError::Forged);
    }

    #[test]
    fn what_is_none_of_ours_stays_closed() {
        let (keys, user) = (keys(&[key("a", 1)]), UserId::generate());
        for (text, error) in [
            ("", OpenError::Form),
            ("Right-1.", OpenError::UnknownKey),
            ("a.!", OpenError::Form),
            ("a.AAAA", OpenError::Form),
            ("a.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", OpenError::Forged),
        ] {
            assert_eq!(keys.open(user, text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn keys_are_named_and_long_enough() {
        for bad in ["", "a:", ":AAAA", "a:AAAA", &format!("{},{}", key("a", 1), key("a", 2)), &key("a.b", 1)] {
            assert!(Keys::parse(&bad.into()).is_err(), "{bad}");
        }
    }
}

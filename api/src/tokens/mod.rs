//! Tokens: handed out by Keycloak, and checked here.
//!
//! In reading order: what a caller asks for ([`request`], [`bearer`]), who hands a token out ([`issuer`]), how one is
//! checked without asking anybody ([`validator`], [`claims`], [`keys`], [`key_set`]) or by asking ([`introspection`]),
//! all through one client of one realm ([`realm`]).
//!
//! Nothing of this is on the way of a registration: Keycloak may be away when the api starts, and while it serves.
//! No credential, token or username is ever part of an address, a log, a span or an error.

pub mod bearer;
pub mod request;

pub mod issuer;

pub mod claims;
pub mod introspection;
pub mod key_set;
pub mod keys;
pub mod validator;

pub mod error;
pub mod realm;

use std::sync::Arc;

use self::{keys::Keys, realm::Realm, validator::Validator};
use crate::config::{keycloak::KeycloakConfig, tokens::TokenConfig};

/// What the token endpoints work with.
#[derive(Debug)]
pub struct Tokens {
    pub realm: Arc<Realm>,
    pub keys: Arc<Keys>,
    pub validator: Validator,
}

impl Tokens {
    /// Connects to nothing yet.
    pub fn new(keycloak: &KeycloakConfig, tokens: &TokenConfig) -> Result<Self, reqwest::Error> {
        let realm = Arc::new(Realm::new(keycloak)?);
        let keys = Arc::new(Keys::new(Arc::clone(&realm), tokens.keys));
        let validator = Validator::new(Arc::clone(&keys), keycloak, tokens);
        Ok(Self { realm, keys, validator })
    }
}

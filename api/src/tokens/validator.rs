//! Whether a token is good, found out without asking anybody (RFC 7519, section 7.2; RFC 8725; RFC 9068, section 4).

use std::{sync::Arc, time::Duration};

use chrono::Utc;
use jsonwebtoken::{Algorithm, Header, Validation, decode, decode_header, errors::ErrorKind};
use secrecy::{ExposeSecret as _, SecretString};

use super::{
    claims::Claims,
    error::{AuthError, TokenFault},
    key_set::TrustedKey,
    keys::Keys,
};
use crate::config::{keycloak::KeycloakConfig, tokens::TokenConfig};

/// Keycloak's tokens with many roles have some kilobytes; to look at more costs, before anything is known about it.
const LONGEST: usize = 8 * 1024;

/// What a key may sign with. `none` and shared secrets are not in it.
const ALGORITHMS: [Algorithm; 3] = [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256];

/// Checks tokens of one realm that are meant for this service.
#[derive(Debug)]
pub struct Validator {
    keys: Arc<Keys>,
    issuer: String,
    audience: String,
    clients: Vec<String>,
    leeway: Duration,
}

impl Validator {
    pub fn new(keys: Arc<Keys>, keycloak: &KeycloakConfig, tokens: &TokenConfig) -> Self {
        Self {
            keys,
            issuer: keycloak.issuer.clone(),
            audience: keycloak.audience.clone(),
            clients: tokens.clients.clone(),
            leeway: tokens.leeway,
        }
    }

    /// The claims of a token that is good.
    pub async fn validate(&self, token: &SecretString) -> Result<Claims, AuthError> {
        let token = token.expose_secret();
        let kid = kid(token)?;
        let key = self.keys.find(&kid).await?.ok_or(TokenFault::Signature)?;
        let claims = self.verified(token, &key)?;
        self.check(&claims)?;
        Ok(claims)
    }

    /// The signature, and the claims that every JWT has. All of them are required: by itself jsonwebtoken checks `iss`
    /// and `aud` only if they are there.
    fn verified(&self, token: &str, key: &TrustedKey) -> Result<Claims, TokenFault> {
        let mut validation = Validation::new(key.algorithm);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_audience(&[&self.audience]);
        validation.validate_nbf = true;
        validation.leeway = self.leeway.as_secs();
        let token = decode::<Claims>(token, &key.key, &validation).map_err(|error| fault(error.kind()))?;
        Ok(token.claims)
    }

    /// What tells an access token of Keycloak from its other tokens, and our clients from others.
    fn check(&self, claims: &Claims) -> Result<(), TokenFault> {
        if claims.typ.as_deref() != Some("Bearer") {
            return Err(TokenFault::Kind);
        }
        if !claims.azp.as_ref().is_some_and(|azp| self.clients.contains(azp)) {
            return Err(TokenFault::Client);
        }
        let made_at = claims.iat.ok_or(TokenFault::Incomplete)?;
        if made_at > seconds_now() + self.leeway.as_secs_f64() {
            return Err(TokenFault::Immature);
        }
        Ok(())
    }
}

/// The name of the key, from a header that is fit to be looked at. Keys that a token brings along or points at (`jwk`,
/// `jku`, `x5c`, `x5u`) are nobody's: RFC 8725, section 3.10.
fn kid(token: &str) -> Result<String, TokenFault> {
    if token.len() > LONGEST {
        return Err(TokenFault::TooLong);
    }
    let header: Header = decode_header(token).map_err(|error| fault(error.kind()))?;
    if !ALGORITHMS.contains(&header.alg) {
        return Err(TokenFault::Algorithm);
    }
    if !is_access_token(header.typ.as_deref()) {
        return Err(TokenFault::Kind);
    }
    // Names what a receiver must understand (RFC 7515, section 4.1.11), and there is nothing that we would.
    if header.crit.is_some() {
        return Err(TokenFault::Malformed);
    }
    header.kid.ok_or(TokenFault::Signature)
}

/// `at+jwt` is RFC 9068's, which Keycloak uses when told to.
fn is_access_token(typ: Option<&str>) -> bool {
    let types = ["JWT", "at+jwt", "application/at+jwt"];
    typ.is_some_and(|typ| types.iter().any(|known| typ.eq_ignore_ascii_case(known)))
}

fn fault(error: &ErrorKind) -> TokenFault {
    match error {
        ErrorKind::InvalidSignature => TokenFault::Signature,
        ErrorKind::InvalidAlgorithm => TokenFault::Algorithm,
        ErrorKind::ExpiredSignature => TokenFault::Expired,
        ErrorKind::ImmatureSignature => TokenFault::Immature,
        ErrorKind::InvalidIssuer => TokenFault::Issuer,
        ErrorKind::InvalidAudience => TokenFault::Audience,
        ErrorKind::MissingRequiredClaim(_) => TokenFault::Incomplete,
        _ => TokenFault::Malformed,
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds are exact for some hundred thousand years")]
fn seconds_now() -> f64 {
    Utc::now().timestamp_millis() as f64 / 1000.0
}

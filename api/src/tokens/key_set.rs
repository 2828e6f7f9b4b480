//! The keys that a realm signs with, out of its JWKS (RFC 7517).

use std::collections::HashMap;

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;

/// A key, and the one algorithm that it is good for.
#[derive(Debug, Clone)]
pub struct TrustedKey {
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

/// By `kid`.
#[derive(Debug)]
pub struct KeySet(HashMap<String, TrustedKey>);

/// As it comes: what cannot be read of it is skipped key by key (RFC 7517, section 5).
#[derive(Deserialize)]
pub(super) struct RawKeySet {
    keys: Vec<Value>,
}

impl KeySet {
    /// None if there is no key that signs.
    pub(super) fn of(raw: RawKeySet) -> Option<Self> {
        let jwks = raw.keys.into_iter().filter_map(|key| serde_json::from_value::<Jwk>(key).ok());
        let keys: HashMap<_, _> = jwks.filter_map(|jwk| trusted(&jwk)).collect();
        (!keys.is_empty()).then_some(Self(keys))
    }

    pub(super) fn get(&self, kid: &str) -> Option<&TrustedKey> {
        self.0.get(kid)
    }
}

/// Keycloak shows keys to encrypt with as well.
fn trusted(jwk: &Jwk) -> Option<(String, TrustedKey)> {
    if jwk.common.public_key_use != Some(PublicKeyUse::Signature) {
        return None;
    }
    let kid = jwk.common.key_id.clone()?;
    Some((kid, TrustedKey { algorithm: algorithm_of(jwk)?, key: DecodingKey::from_jwk(jwk).ok()? }))
}

/// The key says how it signs, never the token: a public key taken for a shared secret would let anybody sign (RFC 8725,
/// section 2.1).
fn algorithm_of(jwk: &Jwk) -> Option<Algorithm> {
    match (&jwk.algorithm, jwk.common.key_algorithm) {
        (AlgorithmParameters::RSA(_), None | Some(KeyAlgorithm::RS256)) => Some(Algorithm::RS256),
        (AlgorithmParameters::RSA(_), Some(KeyAlgorithm::PS256)) => Some(Algorithm::PS256),
        (AlgorithmParameters::EllipticCurve(curve), None | Some(KeyAlgorithm::ES256)) => {
            (curve.curve == EllipticCurve::P256).then_some(Algorithm::ES256)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn algorithms(keys: &Value) -> Option<Vec<(String, Algorithm)>> {
        let set = KeySet::of(serde_json::from_value(json!({ "keys": keys })).unwrap())?;
        let mut found: Vec<_> = set.0.into_iter().map(|(kid, key)| (kid, key.algorithm)).collect();
        found.sort_by(|one, other| one.0.cmp(&other.0));
        Some(found)
    }

    #[test]
    fn a_key_is_good_for_what_it_says() {
        let rsa = |kid: &str, alg: &str| json!({ "kid": kid, "kty": "RSA", "use": "sig", "alg": alg, "n": "AQAB", "e": "AQAB" });
        let found = algorithms(&json!([
            rsa("a", "RS256"),
            rsa("b", "PS256"),
            { "kid": "c", "kty": "RSA", "use": "sig", "n": "AQAB", "e": "AQAB" },
            { "kid": "d", "kty": "EC", "use": "sig", "crv": "P-256", "x": "AQAB", "y": "AQAB" },
        ]));
        let expected = [Algorithm::RS256, Algorithm::PS256, Algorithm::RS256, Algorithm::ES256];
        assert_eq!(found.unwrap().into_iter().map(|(_, algorithm)| algorithm).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_does_not_sign_is_no_key() {
        for key in [
            json!({ "kid": "a", "kty": "RSA", "use": "enc", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB" }),
            json!({ "kid": "a", "kty": "RSA", "use": "enc", "n": "AQAB", "e": "AQAB" }),
            json!({ "kid": "a", "kty": "RSA", "alg": "RS256", "n": "AQAB", "e": "AQAB" }),
            json!({ "kid": "a", "kty": "RSA", "use": "sig", "alg": "RS512", "n": "AQAB", "e": "AQAB" }),
            json!({ "kid": "a", "kty": "RSA", "use": "sig", "alg": "HS256", "n": "AQAB", "e": "AQAB" }),
            json!({ "kid": "a", "kty": "EC", "use": "sig", "crv": "P-384", "x": "AQAB", "y": "AQAB" }),
            json!({ "kid": "a", "kty": "oct", "use": "sig", "alg": "HS256", "k": "AQAB" }),
            json!({ "kty": "RSA", "use": "sig", "alg": "RS256", "n": "AQAB", "e": "AQAB" }),
            json!({ "kid": "a", "kty": "RSA", "use": "sig", "alg": "RS256" }),
            json!("no key at all"),
        ] {
            assert!(algorithms(&json!([key])).is_none(), "{key}");
        }
    }
}

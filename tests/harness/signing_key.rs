//! Tokens as nobody but an issuer, or somebody who would like to be one, makes them.

use aws_lc_rs::{
    encoding::{AsDer as _, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, crypto, jwk::Jwk};
use serde_json::{Value, json};
use uuid::Uuid;

use super::keycloak_access::KeycloakAccess;

/// What stands before the PKCS #1 key of 2048 bits in its PKCS #8 form: the version and the algorithm, always the same.
const PKCS8_HEADER: usize = 26;

/// An RSA key that signs.
pub struct SigningKey {
    pub kid: String,
    key: EncodingKey,
}

impl SigningKey {
    pub fn generate() -> Self {
        let pair = KeyPair::generate(KeySize::Rsa2048).expect("a key can be made");
        let der: Pkcs8V1Der<'_> = pair.as_der().expect("a key can be written");
        Self { kid: Uuid::new_v4().to_string(), key: EncodingKey::from_rsa_der(&der.as_ref()[PKCS8_HEADER..]) }
    }

    /// As a JWKS shows it.
    pub fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, Algorithm::RS256).expect("the key has a public half");
        let mut jwk = serde_json::to_value(jwk).expect("a JWK is JSON");
        jwk["kid"] = json!(self.kid);
        jwk["use"] = json!("sig");
        jwk
    }

    pub fn header(&self) -> Value {
        json!({ "alg": "RS256", "typ": "JWT", "kid": self.kid })
    }

    /// A token with this header and these claims, whatever they say.
    pub fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_by(Algorithm::RS256, header, claims)
    }

    pub fn sign_by(&self, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
        signed(&self.key, algorithm, header, claims)
    }
}

/// A token signed with a secret that both sides share.
pub fn sign_with_secret(secret: &[u8], header: &Value, claims: &Value) -> String {
    signed(&EncodingKey::from_secret(secret), Algorithm::HS256, header, claims)
}

fn signed(key: &EncodingKey, algorithm: Algorithm, header: &Value, claims: &Value) -> String {
    let message = format!("{}.{}", part(header), part(claims));
    let signature = crypto::sign(message.as_bytes(), key, algorithm).expect("the key signs");
    format!("{message}.{signature}")
}

/// One part of a token.
pub fn part(value: &Value) -> String {
    URL_SAFE_NO_PAD.encode(value.to_string())
}

/// What a part of a token says: 0 is the header, 1 the claims.
pub fn read_part(token: &str, number: usize) -> Value {
    let part = token.split('.').nth(number).expect("a token has three parts");
    let json = URL_SAFE_NO_PAD.decode(part).expect("a part is base64");
    serde_json::from_slice(&json).expect("a part is JSON")
}

/// What stands in an access token of this Keycloak.
pub fn claims(keycloak: &KeycloakAccess) -> Value {
    let now = Utc::now().timestamp();
    json!({
        "iss": keycloak.issuer(),
        "aud": ["usher-api", keycloak.client_id],
        "sub": "4f1c1b0e-6a0e-4d9a-9f5e-0c9d7d3a5a11",
        "typ": "Bearer",
        "azp": keycloak.client_id,
        "iat": now,
        "exp": now + 300,
        "preferred_username": "ada",
        "email": "ada@example.org",
        "email_verified": true,
        "given_name": "Ada",
        "family_name": "Lovelace",
        "realm_access": { "roles": ["reader", "writer"] },
    })
}

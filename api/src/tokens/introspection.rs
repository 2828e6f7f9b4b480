//! Asking Keycloak whether a token still holds: unlike the token itself, it knows of logouts and disabled users.

use axum::http::StatusCode;
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    claims::Claims,
    error::{AuthError, TokenFault, UpstreamError},
    realm::Realm,
};

/// RFC 7662, section 2.2.
#[derive(Deserialize)]
struct Introspection {
    active: bool,
}

impl Realm {
    /// For a token that was found good; `claims` are what stands in it.
    pub async fn is_active(&self, token: &SecretString, claims: &Claims) -> Result<(), AuthError> {
        let answer = self.introspect(token).await?;
        if answer.status() != StatusCode::OK {
            return Err(answer.misconfigured().into());
        }
        match answer.read::<Introspection>()?.active {
            true => Ok(()),
            // Or Keycloak only keeps it from us: then to call it inactive could be wrong.
            false if !claims.audience.names(self.client_id()) => Err(UpstreamError::NotInAudience.into()),
            false => Err(TokenFault::Inactive.into()),
        }
    }
}

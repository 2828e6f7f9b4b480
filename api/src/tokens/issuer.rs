//! Having Keycloak hand out a token.

use axum::http::StatusCode;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;

use super::{
    error::{AuthError, UpstreamError},
    realm::{Answer, Realm},
    request::Grant,
};

/// What Keycloak says instead of "Invalid user credentials" to who has the right password and open required actions.
const NOT_SET_UP: &str = "Account is not fully set up";

/// Without `openid` Keycloak gives tokens that its own userinfo endpoint refuses, and no ID token.
const SCOPE: &str = "openid";

/// Keycloak reads no longer parameter (`DefaultHttpRequest` drops it) and then calls the request itself wrong. It makes
/// no refresh token of this size.
const LONGEST_REFRESH_TOKEN: usize = 4000;

/// Keycloak's answer, word for word.
#[derive(Debug)]
pub struct TokenAnswer(pub SecretString);

#[derive(Deserialize)]
struct Refusal {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// Nothing of it is kept; that it is there shows that this is a token answer.
#[derive(Deserialize)]
struct Issued {
    #[serde(rename = "access_token")]
    _access_token: SecretString,
}

impl Realm {
    /// Asks Keycloak once: a second try could count a wrong password twice.
    pub async fn issue(&self, grant: &Grant) -> Result<TokenAnswer, AuthError> {
        let answer = match grant {
            Grant::Password { username, password } => {
                let (username, password) = (username.expose_secret(), password.expose_secret());
                let form = [("username", username), ("password", password), ("scope", SCOPE)];
                self.token(&[&[("grant_type", "password")], &form[..]].concat()).await?
            }
            Grant::RefreshToken(token) if token.expose_secret().len() > LONGEST_REFRESH_TOKEN => {
                return Err(AuthError::InvalidCredentials);
            }
            Grant::RefreshToken(token) => {
                self.token(&[("grant_type", "refresh_token"), ("refresh_token", token.expose_secret())]).await?
            }
        };
        read(answer)
    }
}

fn read(answer: Answer) -> Result<TokenAnswer, AuthError> {
    match answer.status() {
        StatusCode::OK => {
            answer.read::<Issued>()?;
            Ok(TokenAnswer(answer.into_body()))
        }
        StatusCode::BAD_REQUEST => Err(refused(&answer)?),
        _ => Err(answer.misconfigured().into()),
    }
}

/// RFC 6749, section 5.2. Keycloak words `invalid_grant` in many ways ("Invalid user credentials", "Account disabled",
/// "Token is not active", "Session not active", …). Every other code is about the client.
fn refused(answer: &Answer) -> Result<AuthError, UpstreamError> {
    let refusal: Refusal = answer.read()?;
    Ok(match (refusal.error.as_str(), refusal.error_description.as_str()) {
        ("invalid_grant", NOT_SET_UP) => AuthError::AccountSetupRequired,
        ("invalid_grant", _) => AuthError::InvalidCredentials,
        _ => answer.misconfigured().into(),
    })
}

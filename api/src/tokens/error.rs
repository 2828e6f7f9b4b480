//! Why there is no token, or why a token is not taken.

use std::fmt::Write as _;

use axum::http::StatusCode;

/// Why Keycloak gave no answer that could be used. The messages name nobody, so they may be logged.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    #[error("could not reach Keycloak to have it {doing}")]
    Unreachable {
        doing: &'static str,
        #[source]
        source: reqwest::Error,
    },
    #[error("Keycloak is not able to {doing} now: {status}")]
    Unavailable { doing: &'static str, status: StatusCode },
    #[error("Keycloak does not {doing} for this client or realm: {status}, {code}")]
    Misconfigured { doing: &'static str, status: StatusCode, code: String },
    #[error("could not understand what Keycloak answered when asked to {doing}")]
    Unreadable { doing: &'static str },
    /// Since 26.6.2 Keycloak calls every token inactive whose `aud` does not name who asks.
    #[error(
        "Keycloak tells this client nothing about tokens whose aud does not name it: give the client an audience mapper for itself"
    )]
    NotInAudience,
}

/// What is wrong with a token. The texts stand in `error_description` of RFC 6750, section 3: plain ASCII, without
/// quotes and backslashes, and about nothing that its holder could not read in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    #[error("the token is longer than 8 KiB")]
    TooLong,
    #[error("the token is not a JWT that this service can read")]
    Malformed,
    #[error("the token is not signed in a way that this service takes")]
    Algorithm,
    #[error("the token is not signed by a key of the issuer")]
    Signature,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    Immature,
    #[error("the token is from another issuer")]
    Issuer,
    #[error("the token is meant for another service")]
    Audience,
    #[error("the token is not an access token")]
    Kind,
    #[error("the token was issued to another client")]
    Client,
    #[error("the token lacks a claim that this service needs")]
    Incomplete,
    #[error("the token, its session or its user is no longer active")]
    Inactive,
}

/// What a token endpoint answers instead of success.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// One answer for all of them, so that nobody learns who exists, who is locked out and who is disabled.
    #[error("the credentials are not right")]
    InvalidCredentials,
    /// Keycloak says so only to who has the right password.
    #[error(
        "the account is not fully set up: follow the link in the mail, or ask for another one with \
         POST /users/send-password-setup-email"
    )]
    AccountSetupRequired,
    #[error("the body must be sent as application/x-www-form-urlencoded or application/json")]
    MediaType,
    #[error("a bearer token is needed in the header Authorization")]
    MissingToken,
    #[error("the header Authorization must be there once, with the word Bearer and one token")]
    MalformedHeader,
    #[error("the only query parameter is introspect, and it is true or false")]
    Query,
    #[error("{0}")]
    InvalidToken(TokenFault),
    #[error("tokens cannot be checked right now; try again in a few seconds")]
    KeysUnavailable,
    #[error("this is not possible right now; try again in a few seconds")]
    Unavailable(#[source] UpstreamError),
    #[error("this is not possible until an operator has looked at it")]
    Misconfigured(#[source] UpstreamError),
}

impl AuthError {
    /// The status, and the code for programs.
    pub fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::InvalidCredentials => (StatusCode::UNAUTHORIZED, "invalid_credentials"),
            Self::AccountSetupRequired => (StatusCode::FORBIDDEN, "account_setup_required"),
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::MissingToken => (StatusCode::UNAUTHORIZED, "token_required"),
            Self::MalformedHeader | Self::Query => (StatusCode::BAD_REQUEST, INVALID_REQUEST),
            Self::InvalidToken(_) => (StatusCode::UNAUTHORIZED, INVALID_TOKEN),
            Self::KeysUnavailable => (StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable"),
            Self::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::Misconfigured(_) => (StatusCode::SERVICE_UNAVAILABLE, "upstream_misconfigured"),
        }
    }

    /// `WWW-Authenticate`, which every 401 must have (RFC 9110, section 15.5.2). It says why (RFC 6750, section 3), but
    /// not to who has shown no token at all (section 3.1).
    pub fn challenge(&self) -> Option<String> {
        let mut challenge = "Bearer realm=\"usher\"".to_owned();
        let error = match self {
            Self::InvalidToken(_) => Some(INVALID_TOKEN),
            Self::MalformedHeader => Some(INVALID_REQUEST),
            Self::InvalidCredentials | Self::MissingToken => None,
            _ => return None,
        };
        if let Some(error) = error {
            // Writing to a String cannot fail.
            write!(challenge, ", error=\"{error}\", error_description=\"{self}\"").ok();
        }
        Some(challenge)
    }
}

const INVALID_REQUEST: &str = "invalid_request";
const INVALID_TOKEN: &str = "invalid_token";

impl From<UpstreamError> for AuthError {
    fn from(error: UpstreamError) -> Self {
        match error {
            UpstreamError::Misconfigured { .. } | UpstreamError::NotInAudience => Self::Misconfigured(error),
            _ => Self::Unavailable(error),
        }
    }
}

impl From<TokenFault> for AuthError {
    fn from(fault: TokenFault) -> Self {
        Self::InvalidToken(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_why_only_to_who_showed_a_token() {
        let expired = AuthError::InvalidToken(TokenFault::Expired).challenge().unwrap();
        let reason = "error=\"invalid_token\", error_description=\"the token has expired\"";
        assert_eq!(expired, format!("Bearer realm=\"usher\", {reason}"));
        assert_eq!(AuthError::MissingToken.challenge().unwrap(), "Bearer realm=\"usher\"");
        assert_eq!(AuthError::InvalidCredentials.challenge().unwrap(), "Bearer realm=\"usher\"");
        assert_eq!(AuthError::AccountSetupRequired.challenge(), None);
    }

    #[test]
    fn the_fault_of_an_operator_is_not_told_as_a_passing_one() {
        let refused = UpstreamError::Misconfigured {
            doing: "issue a token",
            status: StatusCode::UNAUTHORIZED,
            code: "invalid_client".to_owned(),
        };
        assert_eq!(AuthError::from(refused).kind().1, "upstream_misconfigured");
        assert_eq!(AuthError::from(UpstreamError::NotInAudience).kind().1, "upstream_misconfigured");
        assert_eq!(AuthError::from(UpstreamError::Unreadable { doing: "issue a token" }).kind().1, "unavailable");
    }
}

//! Everything a request can be answered with instead of success.
//!
//! The texts are the `detail` of the answer, so they are written here or in the domain; what a driver says stays in
//! the source and goes into the log.

use std::time::Duration;

use axum::http::StatusCode;
use shared::{domain::idempotency_key::InvalidIdempotencyKey, passwords::PasswordError};

use crate::{database::DatabaseError, fields::Fault, registration::RegisterError, tokens::error::AuthError};

/// Why a request was not answered with success.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("the body must be sent as application/json")]
    MediaType,
    #[error("the body must not be longer than 16 KiB")]
    TooLarge,
    #[error("the body did not arrive in time")]
    SlowBody,
    #[error("the body did not arrive completely")]
    BrokenBody,
    #[error("the body is not valid JSON: {0}")]
    Syntax(serde_json::Error),
    #[error("the body has faults; errors lists all of them")]
    Invalid(Vec<Fault>),
    #[error("somebody else has what errors lists")]
    Taken { username: bool, email: bool },
    #[error("the header Idempotency-Key {0}")]
    IdempotencyKey(#[source] InvalidIdempotencyKey),
    #[error("this Idempotency-Key was sent with another body; take a new key for a new registration")]
    KeyReused,
    #[error("there is no user with this id")]
    UnknownUser,
    #[error("too many requests; try again when Retry-After says")]
    TooMany { wait: Duration },
    #[error("more is being asked than can be done at once; try again in a moment")]
    Overloaded,
    #[error("this is not possible right now; try again in a few seconds")]
    Unavailable(#[source] DatabaseError),
    #[error("a password cannot be taken right now; try again in a few seconds, or register without one")]
    NoPasswords(#[source] PasswordError),
    #[error("the request took too long; try again in a few seconds")]
    Late,
    #[error("something went wrong on our side")]
    Internal(#[source] DatabaseError),
    #[error("something went wrong on our side")]
    Panicked,
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// An error that the router or the file server answered by itself.
    #[error("{}", plainly(*.0))]
    Plain(StatusCode),
}

impl ApiError {
    /// The status, and the code for programs; neither ever changes its meaning.
    pub fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::SlowBody => (StatusCode::REQUEST_TIMEOUT, "body_too_slow"),
            Self::BrokenBody => (StatusCode::BAD_REQUEST, "broken_body"),
            Self::Syntax(_) => (StatusCode::BAD_REQUEST, "malformed_json"),
            Self::Invalid(_) => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_fields"),
            Self::Taken { username: true, .. } => (StatusCode::CONFLICT, USERNAME_TAKEN),
            Self::Taken { username: false, .. } => (StatusCode::CONFLICT, EMAIL_TAKEN),
            Self::IdempotencyKey(_) => (StatusCode::BAD_REQUEST, "invalid_idempotency_key"),
            Self::KeyReused => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            Self::TooMany { .. } => (StatusCode::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
            Self::UnknownUser => (StatusCode::NOT_FOUND, "user_not_found"),
            Self::Unavailable(_) | Self::Late => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            Self::NoPasswords(_) => (StatusCode::SERVICE_UNAVAILABLE, "password_unavailable"),
            Self::Internal(_) | Self::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, INTERNAL),
            Self::Auth(error) => error.kind(),
            Self::Plain(StatusCode::NOT_FOUND) => (StatusCode::NOT_FOUND, "not_found"),
            Self::Plain(StatusCode::METHOD_NOT_ALLOWED) => (StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Plain(status) if status.is_client_error() => (*status, "bad_request"),
            Self::Plain(status) => (*status, INTERNAL),
        }
    }

    /// In how many seconds it is worth to ask again, where that is known.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            // Rounded up: a second too early is refused again.
            Self::TooMany { wait } => Some(wait.as_secs() + 1),
            Self::Overloaded => Some(1),
            _ if self.kind().0 == StatusCode::SERVICE_UNAVAILABLE => Some(5),
            _ => None,
        }
    }

    /// `WWW-Authenticate`.
    pub fn challenge(&self) -> Option<String> {
        match self {
            Self::Auth(error) => error.challenge(),
            _ => None,
        }
    }

    /// What is wrong with which field.
    pub fn faults(&self) -> Vec<Fault> {
        match self {
            Self::Invalid(faults) => faults.clone(),
            Self::Taken { username, email } => {
                let username = username.then(|| Fault::new(USERNAME_TAKEN, "is taken", "username"));
                let email = email.then(|| Fault::new(EMAIL_TAKEN, "is taken", "email"));
                username.into_iter().chain(email).collect()
            }
            _ => Vec::new(),
        }
    }
}

fn plainly(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "there is nothing at this address",
        StatusCode::METHOD_NOT_ALLOWED => {
            "this address does not take this method; the header Allow says which it takes"
        }
        _ => "the request could not be answered",
    }
}

const USERNAME_TAKEN: &str = "username_taken";
const EMAIL_TAKEN: &str = "email_taken";
const INTERNAL: &str = "internal";

impl From<DatabaseError> for ApiError {
    fn from(error: DatabaseError) -> Self {
        match error {
            DatabaseError::Late | DatabaseError::Busy | DatabaseError::Away(_) => Self::Unavailable(error),
            DatabaseError::Refused(_) => Self::Internal(error),
        }
    }
}

impl From<RegisterError> for ApiError {
    fn from(error: RegisterError) -> Self {
        match error {
            RegisterError::Taken { username, email } => Self::Taken { username, email },
            RegisterError::OtherRequest => Self::KeyReused,
            RegisterError::Commit(error) => error.into(),
            RegisterError::Password(error) => Self::NoPasswords(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::store::StoreError;

    use super::*;

    fn refused() -> DatabaseError {
        DatabaseError::Refused(StoreError::Query { doing: "test", source: sqlx::Error::ColumnNotFound("x".to_owned()) })
    }

    #[test]
    fn each_error_has_its_status_and_code() {
        for (error, status, code) in [
            (ApiError::MediaType, 415, "unsupported_media_type"),
            (ApiError::TooLarge, 413, "body_too_large"),
            (ApiError::SlowBody, 408, "body_too_slow"),
            (ApiError::BrokenBody, 400, "broken_body"),
            (ApiError::Invalid(vec![]), 422, "invalid_fields"),
            (ApiError::Taken { username: true, email: false }, 409, "username_taken"),
            (ApiError::Taken { username: false, email: true }, 409, "email_taken"),
            (ApiError::Taken { username: true, email: true }, 409, "username_taken"),
            (ApiError::UnknownUser, 404, "user_not_found"),
            (ApiError::IdempotencyKey(InvalidIdempotencyKey), 400, "invalid_idempotency_key"),
            (ApiError::KeyReused, 422, "idempotency_key_reused"),
            (ApiError::TooMany { wait: Duration::ZERO }, 429, "too_many_requests"),
            (ApiError::Overloaded, 503, "overloaded"),
            (DatabaseError::Late.into(), 503, "unavailable"),
            (refused().into(), 500, "internal"),
            (ApiError::Late, 503, "unavailable"),
            (ApiError::NoPasswords(PasswordError::Late { doing: "test" }), 503, "password_unavailable"),
            (ApiError::Panicked, 500, "internal"),
            (ApiError::Plain(StatusCode::NOT_FOUND), 404, "not_found"),
            (ApiError::Plain(StatusCode::METHOD_NOT_ALLOWED), 405, "method_not_allowed"),
            (ApiError::Plain(StatusCode::URI_TOO_LONG), 414, "bad_request"),
            (ApiError::Plain(StatusCode::BAD_GATEWAY), 502, "internal"),
        ] {
            assert_eq!(error.kind(), (StatusCode::from_u16(status).unwrap(), code), "{error:?}");
        }
    }

    #[test]
    fn whoever_may_ask_again_is_told_when() {
        assert_eq!(ApiError::TooMany { wait: Duration::from_millis(5_001) }.retry_after(), Some(6));
        assert_eq!(ApiError::Overloaded.retry_after(), Some(1));
        assert_eq!(ApiError::from(DatabaseError::Late).retry_after(), Some(5));
        assert_eq!(ApiError::UnknownUser.retry_after(), None);
    }

    #[test]
    fn both_that_are_taken_are_named() {
        let faults = ApiError::Taken { username: true, email: true }.faults();
        let named: Vec<_> = faults.iter().map(|fault| (fault.code, fault.pointer.as_str())).collect();
        assert_eq!(named, [("username_taken", "#/username"), ("email_taken", "#/email")]);
    }
}

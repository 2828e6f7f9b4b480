//! What Keycloak's answers mean.

use std::time::Duration;

use chrono::{DateTime, Utc};
use reqwest::{StatusCode, header::RETRY_AFTER};

/// Longest wait that a Retry-After is granted.
const LONGEST_WAIT: Duration = Duration::from_hours(1);

/// Why a question has no good answer, by what was asked.
///
/// Messages carry no personal data, so they may be logged; [`KeycloakError::detail`] quotes Keycloak and may not.
#[derive(Debug, thiserror::Error)]
pub enum KeycloakError {
    #[error("could not reach Keycloak to {doing}")]
    Unreachable {
        doing: &'static str,
        #[source]
        source: reqwest::Error,
    },
    #[error("Keycloak is not able to {doing} now: {status}")]
    Unavailable { doing: &'static str, status: StatusCode, retry_after: Option<Duration> },
    #[error("Keycloak does not let the service account {doing}: {status}")]
    Denied { doing: &'static str, status: StatusCode },
    #[error("Keycloak has no such realm or client, asked to {doing}")]
    RealmMissing { doing: &'static str },
    #[error(
        "Keycloak is not able to {doing}: it lacks the provider usher-action-link, which MAIL_VIA=smtp needs and \
         deploy/keycloak/action-link/README.md shows how to install"
    )]
    ProviderMissing { doing: &'static str },
    #[error("Keycloak refused to {doing}: {status}")]
    Refused { doing: &'static str, status: StatusCode, detail: String },
    #[error("Keycloak knows another user with this username or e-mail address")]
    Taken { detail: String },
    #[error("Keycloak no longer has the user, asked to {doing}")]
    UserMissing { doing: &'static str },
    #[error("could not understand Keycloak's answer to: {doing}")]
    Unreadable { doing: &'static str },
}

impl KeycloakError {
    /// Whether the same question may be answered well a moment later.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Unavailable { .. } | Self::Unreadable { .. })
    }

    /// Whether no connection was made, so that the question had no effect.
    pub fn was_not_heard(&self) -> bool {
        matches!(self, Self::Unreachable { source, .. } if source.is_connect())
    }

    /// Whether Keycloak itself has not answered: what a gateway says of it is a guess.
    pub fn is_silence(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Unavailable { status, .. } => [StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT].contains(status),
            _ => false,
        }
    }

    /// Whether the question may have had its effect although there is no good answer.
    pub fn may_have_happened(&self) -> bool {
        match self {
            Self::Unreachable { .. } => !self.was_not_heard(),
            Self::Unavailable { status, .. } => *status != StatusCode::TOO_MANY_REQUESTS,
            Self::Unreadable { .. } | Self::Refused { .. } | Self::Taken { .. } => true,
            Self::Denied { .. }
            | Self::RealmMissing { .. }
            | Self::ProviderMissing { .. }
            | Self::UserMissing { .. } => false,
        }
    }

    /// How long Keycloak asked us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Unavailable { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Keycloak's own words, for the operator who looks at the row; never for a log.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Refused { detail, .. } | Self::Taken { detail } => Some(detail),
            _ => None,
        }
    }

    /// Reads an answer that is not a success.
    pub(super) async fn from_answer(doing: &'static str, answer: reqwest::Response) -> Self {
        let status = answer.status();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()).and_then(parse_wait);
        // The body only helps a human; without it the status says enough.
        let detail: String = answer.text().await.unwrap_or_default().chars().take(500).collect();
        Self::classify(doing, status, retry_after, detail)
    }

    fn classify(doing: &'static str, status: StatusCode, retry_after: Option<Duration>, detail: String) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Denied { doing, status },
            StatusCode::NOT_FOUND if detail.contains("User not found") => Self::UserMissing { doing },
            StatusCode::NOT_FOUND => Self::RealmMissing { doing },
            StatusCode::CONFLICT => Self::Taken { detail },
            StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT => {
                Self::Unavailable { doing, status, retry_after }
            }
            status if status.is_server_error() => Self::Unavailable { doing, status, retry_after },
            status if status.is_client_error() => Self::Refused { doing, status, detail },
            _ => Self::Unreadable { doing },
        }
    }
}

/// Seconds or an HTTP date (RFC 9110, section 10.2.3), an hour at most.
fn parse_wait(value: &str) -> Option<Duration> {
    let wait = match value.trim().parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => (DateTime::parse_from_rfc2822(value).ok()?.to_utc() - Utc::now()).to_std().unwrap_or_default(),
    };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_and_bounded() {
        assert_eq!(parse_wait("7"), Some(Duration::from_secs(7)));
        assert_eq!(parse_wait("86400"), Some(LONGEST_WAIT));
        assert_eq!(parse_wait("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let tomorrow = (Utc::now() + Duration::from_hours(24)).format("%a, %d %b %Y %H:%M:%S GMT").to_string();
        assert_eq!(parse_wait(&tomorrow), Some(LONGEST_WAIT));
        assert_eq!(parse_wait("soon"), None);
    }

    #[test]
    fn two_kinds_of_not_found_are_told_apart() {
        let classify = |detail: &str| KeycloakError::classify("test", StatusCode::NOT_FOUND, None, detail.to_owned());
        assert!(matches!(classify(r#"{"error":"User not found"}"#), KeycloakError::UserMissing { .. }));
        assert!(matches!(classify(r#"{"error":"Realm not found."}"#), KeycloakError::RealmMissing { .. }));
    }
}

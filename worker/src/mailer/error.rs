//! Why no mail server has taken a mail.

use super::{letter::LetterError, template::TemplateError};
use crate::{keycloak::error::KeycloakError, smtp::error::SmtpError};

#[derive(Debug, thiserror::Error)]
pub enum MailError {
    #[error("Keycloak did not send it")]
    Keycloak(#[source] KeycloakError),
    #[error("there is no link for it")]
    Link(#[source] KeycloakError),
    #[error("it cannot be written")]
    Template(#[from] TemplateError),
    #[error("it cannot be addressed")]
    Letter(#[from] LetterError),
    #[error("the mail server did not take it")]
    Smtp(#[source] SmtpError),
}

impl MailError {
    /// Whether the mail may have been taken although there is no good answer.
    pub fn may_have_left(&self) -> bool {
        match self {
            Self::Keycloak(error) => error.is_silence() && !error.was_not_heard(),
            Self::Smtp(error) => error.may_have_left(),
            Self::Link(_) | Self::Template(_) | Self::Letter(_) => false,
        }
    }

    /// Whether Keycloak was asked and did not answer, so that it says nothing good of it either.
    pub fn is_silence_of_keycloak(&self) -> bool {
        matches!(self, Self::Keycloak(error) | Self::Link(error) if error.is_silence())
    }

    /// What somebody else's server said, for the operator who looks at the row; never for a log.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Keycloak(error) | Self::Link(error) => error.detail(),
            Self::Smtp(error) => error.words(),
            Self::Template(_) | Self::Letter(_) => None,
        }
    }

    /// Whether it stays so, for everybody, until somebody changes a configuration.
    pub fn needs_an_operator(&self) -> bool {
        match self {
            Self::Link(KeycloakError::ProviderMissing { .. }) | Self::Template(_) => true,
            Self::Smtp(error) => error.needs_an_operator(),
            _ => false,
        }
    }
}

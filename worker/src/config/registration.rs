//! Registrations that nobody confirms.

use std::time::Duration;

use serde::Deserialize;
use shared::config::Environment;

/// `REGISTRATION_*`
#[derive(Debug, Default, Deserialize)]
pub struct RegistrationSection {
    expires: Option<String>,
}

impl RegistrationSection {
    pub const PREFIX: &'static str = "REGISTRATION_";

    /// How long after the last mail they are erased, if ever.
    #[expect(clippy::option_option, reason = "it may be absent, and reading it may fail")]
    pub(super) fn read(environment: &mut Environment) -> Option<Option<Duration>> {
        let raw: Self = environment.section(Self::PREFIX);
        environment.if_set("REGISTRATION_EXPIRES", raw.expires)
    }
}

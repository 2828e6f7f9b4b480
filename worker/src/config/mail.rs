//! The set-up mail.

use std::time::Duration;

use serde::Deserialize;
use shared::config::Environment;
use url::Url;

use super::{keycloak::KeycloakSection, seconds};

#[derive(Debug, Clone)]
pub struct MailConfig {
    /// The client that stands in the link.
    pub client_id: String,
    /// Where the person is led afterwards.
    pub redirect_uri: Url,
    pub link_lifespan: Duration,
    pub deadline: Duration,
    /// What the timeouts of the realm's SMTP settings add up to.
    pub(super) realm_timeout: Duration,
}

/// `MAIL_*`
#[derive(Debug, Default, Deserialize)]
pub struct MailSection {
    redirect_uri: Option<String>,
    link_lifespan: Option<String>,
    deadline: Option<String>,
    realm_timeout: Option<String>,
}

impl MailSection {
    pub const PREFIX: &'static str = "MAIL_";

    pub(super) fn read(environment: &mut Environment) -> Option<MailConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let keycloak: KeycloakSection = environment.section(KeycloakSection::PREFIX);
        let client_id =
            environment.required("KEYCLOAK_MAIL_CLIENT_ID (or KEYCLOAK_CLIENT_ID)", keycloak.mail_client_id());
        let redirect_uri = environment.required("MAIL_REDIRECT_URI", raw.redirect_uri);
        let link_lifespan = environment.or("MAIL_LINK_LIFESPAN", raw.link_lifespan, seconds(12 * 3600));
        let deadline = environment.or("MAIL_DEADLINE", raw.deadline, seconds(15));
        let realm_timeout = environment.or("MAIL_REALM_TIMEOUT", raw.realm_timeout, seconds(13));
        Some(MailConfig {
            client_id: client_id?,
            redirect_uri: redirect_uri?,
            link_lifespan: link_lifespan?,
            deadline: deadline?,
            realm_timeout: realm_timeout?,
        })
    }
}

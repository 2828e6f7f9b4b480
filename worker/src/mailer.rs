//! The set-up mail: Keycloak composes and sends it, with its own SMTP settings, while we wait.

use std::sync::Arc;

use shared::store::provisioning::Account;

use crate::{
    config::mail::MailConfig,
    keycloak::{client::KeycloakClient, error::KeycloakError, users::SetupMail},
};

pub struct Mailer {
    keycloak: Arc<KeycloakClient>,
    config: MailConfig,
}

impl Mailer {
    pub fn new(keycloak: Arc<KeycloakClient>, config: MailConfig) -> Self {
        Self { keycloak, config }
    }

    /// Success says that a mail server took the mail.
    pub async fn send_setup(&self, account: &Account) -> Result<(), KeycloakError> {
        let mail = SetupMail {
            account: account.id,
            client_id: &self.config.client_id,
            redirect_uri: self.config.redirect_uri.as_str(),
            lifespan: self.config.link_lifespan,
            deadline: self.config.deadline,
        };
        self.keycloak.send_setup_mail(&mail).await
    }
}

//! Keycloak composes and sends the mail, with its own SMTP settings, while we wait.

use shared::store::provisioning::Account;

use crate::{
    config::mail::MailConfig,
    keycloak::{client::KeycloakClient, error::KeycloakError, users::SetupMail},
};

pub(super) async fn send_setup(
    keycloak: &KeycloakClient,
    config: &MailConfig,
    account: &Account,
) -> Result<(), KeycloakError> {
    let mail = SetupMail {
        account: account.id,
        client_id: &config.client_id,
        redirect_uri: config.redirect_uri.as_str(),
        lifespan: config.link_lifespan,
        deadline: config.deadline,
    };
    keycloak.send_setup_mail(&mail).await
}

//! Keycloak composes and sends the mail, with its own SMTP settings, while we wait.

use shared::store::provisioning::Account;

use crate::{
    config::mail::MailConfig,
    keycloak::{
        client::KeycloakClient,
        error::KeycloakError,
        users::{AccountMail, Purpose},
    },
};

pub(super) async fn send(
    keycloak: &KeycloakClient,
    config: &MailConfig,
    account: &Account,
    purpose: Purpose,
) -> Result<(), KeycloakError> {
    let mail = AccountMail {
        account: account.id,
        purpose,
        client_id: &config.client_id,
        redirect_uri: config.redirect_uri.as_str(),
        lifespan: config.link_lifespan,
        deadline: config.deadline,
    };
    keycloak.send_mail(&mail).await
}

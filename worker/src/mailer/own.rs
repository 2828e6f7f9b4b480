//! Our own mail, with Keycloak's link in it.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::Context as _;
use secrecy::ExposeSecret as _;
use shared::{backoff::jittered, store::provisioning::ClaimedUser, telemetry::chain};

use super::{
    error::MailError,
    letter::Letter,
    template::{Lifespan, Variables},
};
use crate::{
    config::mail::OwnMail,
    keycloak::{client::KeycloakClient, error::KeycloakError, users::ActionLink},
    smtp::client::SmtpClient,
};

/// Between two looks for the provider, which is installed by restarting Keycloak.
const LOOK_AGAIN: Duration = Duration::from_secs(10);

pub(super) struct OwnPost {
    server: SmtpClient,
    mail: OwnMail,
}

impl OwnPost {
    pub(super) fn new(mail: &OwnMail) -> anyhow::Result<Self> {
        let server = SmtpClient::new(mail.server.clone()).context("the TLS of the mail server cannot be set up")?;
        Ok(Self { server, mail: mail.clone() })
    }

    pub(super) async fn deliver(
        &self,
        keycloak: &KeycloakClient,
        user: &ClaimedUser,
        asked: &ActionLink<'_>,
    ) -> Result<(), MailError> {
        let handed_out = keycloak.action_link(asked).await.map_err(MailError::Link)?;
        let words = self.mail.text.templates.words(
            asked.purpose.into(),
            user.locale.as_deref(),
            &Variables {
                product: &self.mail.text.product,
                username: &user.username,
                first_name: &user.first_name,
                last_name: &user.last_name,
                link: handed_out.link.expose_secret(),
                lifespan: Lifespan::of(asked.lifespan),
            },
        )?;
        let letter = Letter::compose(&self.mail, user, &handed_out.email, words)?;
        self.server.send(&letter.envelope, &letter.content).await.map_err(MailError::Smtp)
    }
}

/// An operator may be at it just now, and Keycloak may be down: it is asked again until the answer is good, and an
/// answer that is not good is told once, and shown by `missing`.
pub(super) async fn until_links_are_handed_out(keycloak: &KeycloakClient, missing: &AtomicBool) {
    while let Err(error) = keycloak.hands_out_links().await {
        if matches!(error, KeycloakError::ProviderMissing { .. }) && !missing.swap(true, Ordering::Relaxed) {
            tracing::error!(error = chain(&error), "no set-up mail can leave");
        }
        tokio::time::sleep(jittered(LOOK_AGAIN)).await;
    }
    missing.store(false, Ordering::Relaxed);
    tracing::info!("Keycloak hands out the links of our mails");
}

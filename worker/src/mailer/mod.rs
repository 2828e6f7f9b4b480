//! The set-up mail, or the one that only asks to confirm the address, by one of two ways: Keycloak composes and sends
//! it (`MAIL_VIA=keycloak`), or we do (`smtp`).
//!
//! For the latter [`own`] asks for the link alone, writes the [`letter`] from a [`template`], and hands it to our own
//! mail server. [`pace`] keeps to what the mail server's owner allows, [`error`] is what goes
//! wrong, and [`preview`] shows it all to an operator.

pub mod error;
pub mod letter;
pub mod pace;
pub mod preview;
pub mod template;

mod own;

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use shared::{
    domain::user::PasswordState,
    store::provisioning::{Account, ClaimedUser},
};
use tokio_util::sync::CancellationToken;

use self::{error::MailError, own::OwnPost, pace::Pace};
use crate::{
    config::mail::{MailConfig, MailVia},
    keycloak::{
        client::KeycloakClient,
        users::{ActionLink, Purpose},
    },
};

pub struct Mailer {
    keycloak: Arc<KeycloakClient>,
    config: MailConfig,
    /// Unless Keycloak sends.
    own: Option<OwnPost>,
    pace: Option<Pace>,
    lacks_links: AtomicBool,
}

impl Mailer {
    /// Connects to nothing yet.
    pub fn new(keycloak: Arc<KeycloakClient>, config: MailConfig) -> anyhow::Result<Self> {
        let own = match &config.via {
            MailVia::Keycloak { .. } => None,
            MailVia::Smtp(own) => Some(OwnPost::new(own)?),
        };
        let pace = config.per_second.map(Pace::new);
        Ok(Self { keycloak, config, own, pace, lacks_links: AtomicBool::new(false) })
    }

    /// Waits until it is the turn of another mail. The error says how long that is, if it is longer than `patience`.
    pub async fn turn(&self, patience: Duration) -> Result<(), Duration> {
        match &self.pace {
            Some(pace) => pace.turn(patience).await,
            None => Ok(()),
        }
    }

    /// Success says that a mail server took the mail.
    pub async fn send_setup(&self, user: &ClaimedUser, account: &Account) -> Result<(), MailError> {
        let link = ActionLink {
            account: account.id,
            purpose: purpose(user, account),
            client_id: &self.config.client_id,
            redirect_uri: self.config.redirect_uri.as_str(),
            lifespan: self.config.link_lifespan,
        };
        match &self.own {
            None => self.keycloak.send_mail(&link, self.config.deadline).await.map_err(MailError::Keycloak),
            // On the heap: it is many times as large as the other way, and every run has room for it.
            Some(own) => Box::pin(own.deliver(&self.keycloak, user, &link)).await,
        }
    }

    /// Whether Keycloak is known to hand out no links for mails of our own.
    pub fn lacks_links(&self) -> bool {
        self.lacks_links.load(Ordering::Relaxed)
    }

    /// Says at the start, and not only with the first mail, when Keycloak cannot hand out links.
    pub async fn look_for_links(self: Arc<Self>, shutdown: CancellationToken) -> Result<(), std::convert::Infallible> {
        if self.own.is_some() {
            shutdown.run_until_cancelled(own::until_links_are_handed_out(&self.keycloak, &self.lacks_links)).await;
        }
        shutdown.cancelled().await;
        Ok(())
    }
}

/// Whoever chose a password at the registration is asked to confirm the address, once. Every later mail sets a
/// password, whatever there is: the address need not be of whoever chose that one.
pub fn purpose(user: &ClaimedUser, account: &Account) -> Purpose {
    if user.chosen_password_counts() && account.password == Some(PasswordState::Set) {
        Purpose::EmailVerification
    } else {
        Purpose::PasswordSetup
    }
}

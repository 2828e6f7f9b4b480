//! Registrations that nobody confirmed: erased with their accounts, so that whoever owns the names can use them.
//!
//! Only where `REGISTRATION_EXPIRES` says after how long. That is longer than any link of ours is good for, so hardly
//! anybody is just about to confirm; whoever asks for another mail begins that time anew. Between the look at the account
//! and its deletion Keycloak leaves a moment. Any number of workers may do it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use shared::{
    domain::user::PasswordState,
    store::{
        expiry::{self, Overdue},
        hold,
        person::{self, Person},
    },
    telemetry::AUDIT,
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    config::WorkerConfig,
    erasure,
    keycloak::users::FoundAccount,
    metrics,
    own::{Whose, whose},
    provisioner::Provisioner,
};

/// Failures in a row after which a look ends.
const PATIENCE: u32 = 3;

pub struct Expiry {
    pool: PgPool,
    provisioner: Arc<Provisioner>,
    /// How long after the last mail.
    after: Duration,
    /// Between two looks.
    interval: Duration,
}

impl Expiry {
    pub fn wanted(config: &WorkerConfig, pool: &PgPool, provisioner: &Arc<Provisioner>) -> Option<Self> {
        let (pool, provisioner) = (pool.clone(), Arc::clone(provisioner));
        Some(Self { pool, provisioner, after: config.registration_expires?, interval: config.sweep_interval })
    }

    /// For the life of the process.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Infallible> {
        while !shutdown.is_cancelled() {
            if let Err(error) = self.look(&shutdown).await {
                tracing::warn!(error = format!("{error:#}"), "cannot look whose registration has expired");
            }
            shutdown.run_until_cancelled(tokio::time::sleep(self.interval)).await;
        }
        Ok(())
    }

    /// One after the other, so that it takes little of Keycloak from those who are on their way there. Whom it fails
    /// for stays held for the minute, so that the next one has a turn.
    async fn look(&self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let (keycloak, mut failures) = (self.provisioner.keycloak(), 0);
        while failures < PATIENCE && !shutdown.is_cancelled() && !self.provisioner.breakers.keycloak.is_open() {
            let Some(overdue) = expiry::take(&self.pool, keycloak.realm(), self.after).await? else { break };
            failures = match self.end(overdue).await {
                Ok(()) => 0,
                Err(error) => {
                    let (id, error) = (overdue.held.id, format!("{error:#}"));
                    tracing::warn!(user.id = %id, error, "a registration cannot expire yet");
                    failures + 1
                }
            };
        }
        Ok(())
    }

    async fn end(&self, Overdue { held, begun }: Overdue) -> anyhow::Result<()> {
        let (keycloak, passwords) = (self.provisioner.keycloak(), self.provisioner.passwords());
        let person = person::find(&self.pool, held.id).await?.context("somebody erased the user")?;
        let account = whose(keycloak, &person).await?;
        let expires = match &account {
            // Deleted by whoever had begun. Anybody else who deleted it may have had a reason to keep the names taken.
            Whose::Nobody => begun,
            Whose::Ours(account) => is_as_registered(account, &person),
            Whose::SomebodyElses => false,
        };
        if !expires {
            expiry::keep(&self.pool, held).await?;
            metrics::looked_at_an_expired(false);
            return Ok(());
        }
        if !expiry::begin(&self.pool, held).await? {
            // A mail was asked for meanwhile.
            return Ok(hold::let_go(&self.pool, held).await?);
        }
        erasure::erase(keycloak, passwords, &self.pool, held, &person, &account).await?;
        metrics::looked_at_an_expired(true);
        tracing::info!(target: AUDIT, action = "registration.expired", user.id = %held.id, "erased whom nobody confirmed");
        Ok(())
    }
}

/// Nobody has confirmed or changed the address, set a password, or disabled the account.
fn is_as_registered(account: &FoundAccount, person: &Person) -> bool {
    let with_password = person.progress.password_state.as_deref() == Some(PasswordState::Set.as_str());
    account.username == person.username
        && account.has_email(&person.email)
        && account.is_untouched()
        && account.has_password() == with_password
}

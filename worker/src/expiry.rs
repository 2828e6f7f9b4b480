//! Registrations that nobody confirmed: erased with their accounts, so that whoever owns the names can use them.
//!
//! Only where `REGISTRATION_EXPIRES` says after how long. That is longer than any link is good for, so nobody is just
//! about to confirm; whoever asks for another mail begins that time anew. Any number of workers may do it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use anyhow::Context as _;
use shared::{
    store::{expiry, hold::Held, person},
    telemetry::AUDIT,
};
use sqlx::PgPool;
use tokio_util::sync::CancellationToken;

use crate::{
    config::WorkerConfig,
    erasure, metrics,
    own::{Whose, whose},
    provisioner::Provisioner,
};

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

    /// One after the other, so that it takes little of Keycloak from those who are on their way there.
    async fn look(&self, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let keycloak = &self.provisioner.breakers.keycloak;
        while !shutdown.is_cancelled() && !keycloak.is_open() {
            let taken = expiry::take(&self.pool, self.provisioner.keycloak().realm(), self.after).await?;
            let Some(held) = taken else { break };
            self.end(held).await?;
        }
        Ok(())
    }

    /// Whom it fails for stays held for the minute, so that the next look is at somebody else.
    async fn end(&self, held: Held) -> anyhow::Result<()> {
        let (keycloak, passwords) = (self.provisioner.keycloak(), self.provisioner.passwords());
        let person = person::find(&self.pool, held.id).await?.context("somebody erased the user")?;
        let account = whose(keycloak, &person).await?;
        let expires = match &account {
            // Also for whoever stopped between the account and the row.
            Whose::Nobody => true,
            Whose::Ours(account) => {
                let as_registered = account.username == person.username && account.has_email(&person.email);
                as_registered && account.is_untouched()
            }
            Whose::SomebodyElses => false,
        };
        metrics::looked_at_an_expired(expires);
        if !expires {
            return Ok(expiry::keep(&self.pool, held).await?);
        }
        erasure::erase(keycloak, passwords, &self.pool, held, &person, &account).await?;
        tracing::info!(target: AUDIT, action = "registration.expired", user.id = %held.id, "erased whom nobody confirmed");
        Ok(())
    }
}

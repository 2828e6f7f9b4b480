//! `usher-worker doctor`: looks at everything that a worker depends on, as a worker uses it, and says what to do about
//! each fault. It changes nothing anywhere, so it may be run beside workers, at any time.
//!
//! A file for each dependency: [`database`], [`broker`], [`keycloak`], [`mail`], [`redis`]; [`clock`] compares clocks,
//! and [`finding`] is what is said.

mod broker;
mod clock;
mod database;
mod finding;
mod keycloak;
mod mail;
mod redis;

use std::sync::Arc;

use clap::Args;
use shared::{cli::answer::Format, config::Environment};

use self::finding::{Finding, State};
use crate::{config::WorkerConfig, keycloak::client::KeycloakClient};

#[derive(Args)]
pub struct Doctor {
    #[command(flatten)]
    format: Format,
}

/// Something has to be mended before all works.
#[derive(Debug, thiserror::Error)]
#[error("{faults} of {checks} checks found a fault")]
pub struct Unwell {
    faults: usize,
    checks: usize,
}

impl Doctor {
    pub async fn run(self) -> anyhow::Result<()> {
        let config = WorkerConfig::read(Environment::of_process())?;
        // On the heap: it asks everybody at once.
        let findings = Box::pin(examine(&config)).await?;
        self.format.print(&findings, "")?;
        let faults = findings.iter().filter(|finding| finding.state == State::Fault).count();
        if faults > 0 {
            return Err(Unwell { faults, checks: findings.len() }.into());
        }
        Ok(())
    }
}

async fn examine(config: &WorkerConfig) -> anyhow::Result<Vec<Finding>> {
    let client = Arc::new(KeycloakClient::new(&config.keycloak)?);
    let (database, broker, keycloak, mail, redis) = tokio::join!(
        database::examine(config),
        broker::examine(&config.broker),
        keycloak::examine(&client, config),
        mail::examine(&client, &config.mail),
        redis::examine(config.passwords.as_ref()),
    );
    Ok([database?, broker, keycloak, mail?, redis].concat())
}

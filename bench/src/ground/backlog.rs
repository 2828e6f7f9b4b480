//! People who are registered and whom no worker has seen yet.

use std::time::Duration;

use anyhow::Result;
use shared::store::registrations;

use super::Database;
use crate::load::person;

/// Longer than any benchmark: the sweep must not help the events.
const GRACE: Duration = Duration::from_hours(1);

/// Registers so many, each with an event in the outbox.
pub(crate) async fn register(database: &Database, people: usize) -> Result<()> {
    let mut transaction = database.pool.begin().await?;
    for _ in 0..people {
        registrations::register(&mut transaction, &person::candidate()?, GRACE).await?;
    }
    Ok(transaction.commit().await?)
}

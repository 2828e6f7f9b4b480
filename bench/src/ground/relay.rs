//! A worker's relay alone, inside this process: a whole worker would consume what it publishes, and the two would be
//! measured as one.

use std::{collections::BTreeMap, sync::Arc};

use anyhow::Result;
use shared::{
    config::Environment,
    store::{self, SessionLimits, bell, outbox::LowMark},
};
use tokio::{sync::Notify, task::JoinSet};
use tokio_util::sync::CancellationToken;
use worker::{broker::connection::Link, config::WorkerConfig, relay::Relay};

/// Ends when dropped.
pub(crate) struct OwnRelay {
    /// To be rung like the one that hears the api.
    pub(crate) rung: Arc<Notify>,
    shutdown: CancellationToken,
    tasks: JoinSet<()>,
}

impl OwnRelay {
    /// With the worker's own settings, its own limits and its ear for the api's bell.
    pub(crate) fn start(settings: BTreeMap<String, String>) -> Result<Self> {
        let config = WorkerConfig::read(Environment::of(settings))?;
        let database = &config.database;
        let pool = store::connect(&database.url, database.max_connections, SessionLimits::WORKER, "usher-bench")?;
        let (rung, shutdown) = (Arc::new(Notify::new()), CancellationToken::new());
        let link = Link::new("relay", &config.broker, shutdown.clone());
        let relay = Relay {
            pool: pool.clone(),
            config: config.relay,
            broker: config.broker,
            bell: Arc::clone(&rung),
            full_pass: LowMark::LAG / 2,
        };
        let (heard, stop, ear) = (Arc::clone(&rung), shutdown.clone(), shutdown.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            if let Err(error) = relay.run(link, stop).await {
                eprintln!("the relay ended: {error}");
            }
        });
        tasks.spawn(async move {
            match bell::listen(pool, heard, ear).await {
                Ok(()) => {}
            }
        });
        Ok(Self { rung, shutdown, tasks })
    }

    pub(crate) async fn stop(mut self) {
        self.shutdown.cancel();
        while self.tasks.join_next().await.is_some() {}
    }
}

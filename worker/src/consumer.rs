//! Broker to provisioner: decode, provision, settle.
//!
//! Paused while Keycloak or the database is down: messages then stay in the queue, where operators see them.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use futures_util::{Stream, StreamExt as _, stream};
use lapin::{
    Channel, Connection,
    message::Delivery,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use shared::{
    crash_point::CrashPoint::ConsumerDelivered,
    store,
    telemetry::{MILESTONE, chain},
};
use sqlx::PgPool;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::{
    broker::{
        connection::{BrokerError, Link, close, instance, within},
        message,
        topology::{self, WORK_QUEUES, WorkQueue},
    },
    metrics,
    provisioner::{Provisioned, Provisioner},
    settle::{Settlement, Settler},
};

pub struct Consumer {
    pub pool: PgPool,
    pub provisioner: Arc<Provisioner>,
    pub settler: Arc<Settler>,
    pub prefetch: u16,
    /// Set when a job found the database away, or closed to writing.
    pub database_away: watch::Sender<bool>,
}

/// A delivery and the queue it came from; `None` when the broker ended a consumer.
type Item = Option<(WorkQueue, lapin::Result<Delivery>)>;

impl Consumer {
    /// Consumes for the life of the process.
    pub async fn run(self: Arc<Self>, mut link: Link, shutdown: CancellationToken) -> Result<(), BrokerError> {
        let mut jobs = JoinSet::new();
        while let Some(connection) = link.connect().await {
            let ended = self.serve(&connection, &mut jobs, &shutdown).await;
            if shutdown.is_cancelled() {
                drain(&mut jobs).await;
            }
            link.ended(ended);
            close(connection).await;
        }
        drain(&mut jobs).await;
        Ok(())
    }

    async fn serve(
        self: &Arc<Self>,
        connection: &Connection,
        jobs: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> Result<(), BrokerError> {
        topology::declare(connection).await?;
        while shutdown.run_until_cancelled(self.until_downstreams_answer()).await.is_some() {
            // A channel for each time: closing it gives back what was fetched and not begun.
            let channel = within("open a channel", connection.create_channel()).await?;
            within("set the prefetch", channel.basic_qos(self.prefetch, BasicQosOptions::default())).await?;
            self.consume(&channel, jobs, shutdown).await?;
            drain(jobs).await;
            within("close a channel", channel.close(200, "paused".into())).await?;
        }
        Ok(())
    }

    /// Takes messages until the process ends, a downstream is down, or the broker ends it.
    async fn consume(
        self: &Arc<Self>,
        channel: &Channel,
        jobs: &mut JoinSet<()>,
        shutdown: &CancellationToken,
    ) -> Result<(), BrokerError> {
        let mut deliveries = std::pin::pin!(start(channel).await?);
        let mut keycloak = self.provisioner.breakers.keycloak.watch();
        let mut database = self.database_away.subscribe();
        loop {
            tokio::select! {
                item = deliveries.next() => {
                    if let ControlFlow::Break(ended) = self.take(item.flatten(), jobs) {
                        return Err(ended);
                    }
                }
                Some(ended) = jobs.join_next() => log_panic(&ended),
                Ok(_) = keycloak.wait_for(|open| *open) => break,
                Ok(_) = database.wait_for(|away| *away) => break,
                () = shutdown.cancelled() => break,
            }
        }
        cancel(channel).await
    }

    fn take(self: &Arc<Self>, item: Item, jobs: &mut JoinSet<()>) -> ControlFlow<BrokerError> {
        match item {
            Some((queue, Ok(delivery))) => {
                jobs.spawn(Arc::clone(self).work(queue, delivery));
                ControlFlow::Continue(())
            }
            Some((_, Err(source))) => ControlFlow::Break(BrokerError::Call { doing: "receive a message", source }),
            None => ControlFlow::Break(BrokerError::ConsumerEnded),
        }
    }

    /// The life of one message.
    async fn work(self: Arc<Self>, queue: WorkQueue, delivery: Delivery) {
        let _in_flight = metrics::in_flight();
        ConsumerDelivered.pass();
        let span = span_of(queue, &delivery);
        let settlement = match message::decode(&delivery) {
            Ok(hint) => {
                hint.trace_context.adopt(&span);
                self.provision(hint.user_id, &delivery).instrument(span.clone()).await
            }
            Err(undecodable) => Settlement::Dead { reason: undecodable.to_string() },
        };
        self.settler.settle(queue.name, &delivery, settlement).instrument(span).await;
    }

    async fn provision(&self, user: shared::domain::user::UserId, delivery: &Delivery) -> Settlement {
        tracing::debug!(target: MILESTONE, milestone = "consumed", "user.id" = %user, redelivered = delivery.redelivered, "an event was consumed");
        match self.provisioner.provision(user).await {
            Ok(Provisioned::Paused) => Settlement::Requeue,
            Ok(Provisioned::Unknown) => {
                tracing::warn!(user.id = %user, "an event about a user who does not exist (any more)");
                Settlement::Ack
            }
            Ok(_) => Settlement::Ack,
            Err(error) => {
                tracing::warn!(user.id = %user, error = chain(&error), "the database does not answer");
                self.database_away.send_replace(true);
                Settlement::Requeue
            }
        }
    }

    async fn until_downstreams_answer(&self) {
        let mut keycloak = self.provisioner.breakers.keycloak.watch();
        // Ends only with the breaker, which lives as long as we do.
        keycloak.wait_for(|open| !*open).await.ok();
        while *self.database_away.borrow() {
            match store::may_be_written(&self.pool).await {
                Ok(true) => _ = self.database_away.send_replace(false),
                Ok(false) | Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
            }
        }
    }
}

/// One for each message, in the trace that the message brings.
fn span_of(queue: WorkQueue, delivery: &Delivery) -> Span {
    tracing::info_span!(
        "process",
        "otel.name" = format!("process {}", queue.name),
        "otel.kind" = "consumer",
        "messaging.system" = "rabbitmq",
        "messaging.operation.name" = "process",
        "messaging.operation.type" = "process",
        "messaging.destination.name" = queue.name,
        "messaging.rabbitmq.message.delivery_tag" = delivery.delivery_tag,
    )
}

/// Consumes every work queue. A consumer that ends is an item too: its queue was deleted.
async fn start(channel: &Channel) -> Result<impl Stream<Item = Item>, BrokerError> {
    let mut streams = Vec::new();
    for queue in WORK_QUEUES {
        let options = BasicConsumeOptions::default();
        let consumer = channel.basic_consume(queue.name.into(), tag(queue).into(), options, FieldTable::default());
        let deliveries = within("consume a queue", consumer).await?.map(move |delivery| Some((queue, delivery)));
        streams.push(deliveries.chain(stream::iter([None])));
    }
    Ok(stream::select_all(streams))
}

async fn cancel(channel: &Channel) -> Result<(), BrokerError> {
    for queue in WORK_QUEUES {
        within("cancel a consumer", channel.basic_cancel(tag(queue).into(), BasicCancelOptions::default())).await?;
    }
    Ok(())
}

/// What an operator sees in the list of consumers.
fn tag(queue: WorkQueue) -> String {
    format!("{}@{}", queue.name, instance())
}

async fn drain(jobs: &mut JoinSet<()>) {
    while let Some(ended) = jobs.join_next().await {
        log_panic(&ended);
    }
}

/// The message of a job that panicked stays unsettled until the channel closes; the user's lease has to end first too.
fn log_panic(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(panic) = ended {
        tracing::error!(%panic, "a job panicked; the others go on");
    }
}

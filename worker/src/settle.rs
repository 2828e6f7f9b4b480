//! Telling the broker what became of a message. Nothing else acknowledges.

use lapin::{
    Channel, Confirmation, Connection,
    message::Delivery,
    options::{BasicAckOptions, BasicNackOptions, BasicPublishOptions, BasicRejectOptions},
};
use shared::{
    crash_point::CrashPoint::{ConsumerAcked, ConsumerBeforeAck, DeadLetterConfirmed},
    telemetry::chain,
};
use tokio::sync::Mutex;

use crate::{
    broker::{
        connection::{BrokerError, confirming_channel, within},
        dial::connect_to_any,
        message, topology,
    },
    config::broker::BrokerConfig,
    metrics,
};

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// The database knows the outcome.
    Ack,
    /// Not begun; another consumer, or this one later.
    Requeue,
    /// Not to be understood, for this reason.
    Dead { reason: String },
}

pub struct Settler {
    config: BrokerConfig,
    /// Dead letters are rare: one at a time, on a connection that is made when the first one comes, and never on the
    /// consumer's, which an alarm would then block.
    dead_letters: Mutex<Option<(Connection, Channel)>>,
}

impl Settler {
    pub fn new(config: BrokerConfig) -> Self {
        Self { config, dead_letters: Mutex::new(None) }
    }

    /// Settles one message of `queue`. A message that cannot be settled comes again, which harms nobody.
    pub async fn settle(&self, queue: &'static str, delivery: &Delivery, settlement: Settlement) {
        metrics::settled(queue, &settlement, delivery.redelivered);
        let settled = match settlement {
            Settlement::Ack => ack(delivery).await,
            Settlement::Requeue => requeue(delivery).await,
            Settlement::Dead { reason } => self.bury(queue, delivery, &reason).await,
        };
        match settled {
            Ok(true) => {}
            Ok(false) => tracing::info!("the connection was lost before the answer; the message comes again"),
            Err(error) => tracing::warn!(error = chain(&error), "a message could not be settled and comes again"),
        }
    }

    /// Publishes the original with the reason, and acknowledges once that is confirmed.
    async fn bury(&self, queue: &str, delivery: &Delivery, reason: &str) -> Result<bool, BrokerError> {
        tracing::error!(queue, reason, "a message cannot be understood and goes to the dead letters");
        match self.publish_dead(queue, delivery, reason).await {
            Ok(true) => {
                DeadLetterConfirmed.pass();
                ack(delivery).await
            }
            Ok(false) => reject(delivery).await,
            Err(error) => {
                tracing::warn!(error = chain(&error), "the reason of a dead letter is only in this log");
                reject(delivery).await
            }
        }
    }

    async fn publish_dead(&self, queue: &str, delivery: &Delivery, reason: &str) -> Result<bool, BrokerError> {
        let Some(dead_queue) = topology::dead_queue_of(queue) else {
            return Ok(false);
        };
        let mut link = self.dead_letters.lock().await;
        let (connection, channel) = match link.take().filter(|(_, channel)| channel.status().connected()) {
            Some(link) => link,
            None => self.connect().await?,
        };
        let confirmed = publish(&channel, dead_queue, delivery, reason).await?;
        *link = Some((connection, channel));
        Ok(confirmed)
    }

    async fn connect(&self) -> Result<(Connection, Channel), BrokerError> {
        let connection = connect_to_any("dead-letters", &self.config).await?;
        let channel = confirming_channel(&connection).await?;
        Ok((connection, channel))
    }
}

async fn publish(channel: &Channel, dead_queue: &str, delivery: &Delivery, reason: &str) -> Result<bool, BrokerError> {
    let properties = message::with_reason(&delivery.properties, reason);
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let sent = channel.basic_publish(topology::DEAD.into(), dead_queue.into(), options, &delivery.data, properties);
    let confirm = within("publish a dead letter", sent).await?;
    Ok(within("confirm a dead letter", confirm).await? == Confirmation::Ack(None))
}

pub(crate) async fn ack(delivery: &Delivery) -> Result<bool, BrokerError> {
    ConsumerBeforeAck.pass();
    let acked = within("acknowledge a message", delivery.ack(BasicAckOptions::default())).await;
    ConsumerAcked.pass();
    acked
}

async fn requeue(delivery: &Delivery) -> Result<bool, BrokerError> {
    let options = BasicNackOptions { requeue: true, ..BasicNackOptions::default() };
    within("give a message back", delivery.nack(options)).await
}

/// The queue's own dead-lettering takes it: the net under ours, which knows no reason.
async fn reject(delivery: &Delivery) -> Result<bool, BrokerError> {
    within("reject a message", delivery.reject(BasicRejectOptions { requeue: false })).await
}

//! The names of exchanges and queues, and their one declaration.
//!
//! `deploy/rabbitmq/definitions.json` says the same to a broker that starts empty. There is no alternate exchange on
//! purpose: with one, a message that no queue takes is confirmed and never returned, so nobody would learn of it.

use lapin::{
    Channel, Connection, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable},
};
use shared::event::EventType;

use super::connection::{BrokerError, within};

/// All events, by type. Other services bind their own queues here.
pub const EVENTS: &str = "usher.events";
/// Messages that could not be understood, by the name of their dead queue.
pub const DEAD: &str = "usher.dead";
/// Events about users who wait for an operator. Its depth is the alarm; a replay takes its user's out.
pub const PARKED: &str = "usher.parked";

/// A queue that workers consume, and its dead queue.
#[derive(Debug, Clone, Copy)]
pub struct WorkQueue {
    pub name: &'static str,
    pub dead: &'static str,
    events: &'static [EventType],
}

pub const WORK_QUEUES: [WorkQueue; 2] = [
    WorkQueue {
        name: "usher.user-created",
        dead: "usher.user-created.dead",
        events: &[EventType::UserCreated, EventType::UserReplayed],
    },
    WorkQueue {
        name: "usher.password-setup-requested",
        dead: "usher.password-setup-requested.dead",
        events: &[EventType::PasswordSetupRequested],
    },
];

/// Where the dead letters of a queue go.
pub fn dead_queue_of(queue: &str) -> Option<&'static str> {
    WORK_QUEUES.iter().find(|work| work.name == queue).map(|work| work.dead)
}

/// Declares everything. What exists with the same arguments stays as it is.
///
/// Runs on a channel of its own, because the broker closes the channel on which a declaration does not fit.
pub async fn declare(connection: &Connection) -> Result<(), BrokerError> {
    let channel = within("open a channel", connection.create_channel()).await?;
    for (name, kind) in exchanges() {
        declare_exchange(&channel, name, kind).await?;
    }
    for (name, arguments) in queues() {
        declare_queue(&channel, name, arguments).await?;
    }
    for queue in WORK_QUEUES {
        bind(&channel, queue.dead, DEAD, queue.dead).await?;
        for event in queue.events {
            bind(&channel, queue.name, EVENTS, event.as_str()).await?;
        }
    }
    bind(&channel, PARKED, EVENTS, EventType::UserParked.as_str()).await?;
    within("close a channel", channel.close(200, "declared".into())).await
}

pub fn exchanges() -> [(&'static str, ExchangeKind); 2] {
    [(EVENTS, ExchangeKind::Topic), (DEAD, ExchangeKind::Direct)]
}

/// With their arguments; a dead queue before the one that needs it.
pub fn queues() -> Vec<(&'static str, FieldTable)> {
    let pair = |queue: WorkQueue| [(queue.dead, quorum()), (queue.name, quorum_with_dead_letters(queue.dead))];
    WORK_QUEUES.into_iter().flat_map(pair).chain([(PARKED, quorum())]).collect()
}

/// Without a limit of its own a queue of RabbitMQ 4 drops a message at the 20th look. A huge one is good in 3.10 too.
fn quorum() -> FieldTable {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(1_000_000));
    arguments
}

/// The queue's own dead-lettering is only the net beneath ours; at-least-once needs the overflow rule.
fn quorum_with_dead_letters(dead: &'static str) -> FieldTable {
    let mut arguments = quorum();
    arguments.insert("x-dead-letter-exchange".into(), AMQPValue::LongString(DEAD.into()));
    arguments.insert("x-dead-letter-routing-key".into(), AMQPValue::LongString(dead.into()));
    arguments.insert("x-dead-letter-strategy".into(), AMQPValue::LongString("at-least-once".into()));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    arguments
}

pub async fn declare_exchange(channel: &Channel, name: &str, kind: ExchangeKind) -> Result<(), BrokerError> {
    let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    within("declare an exchange", channel.exchange_declare(name.into(), kind, options, FieldTable::default())).await
}

pub async fn declare_queue(channel: &Channel, name: &str, arguments: FieldTable) -> Result<(), BrokerError> {
    let declared = channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments);
    within("declare a queue", declared).await.map(drop)
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<(), BrokerError> {
    let options = QueueBindOptions::default();
    within(
        "bind a queue",
        channel.queue_bind(queue.into(), exchange.into(), key.into(), options, FieldTable::default()),
    )
    .await
}

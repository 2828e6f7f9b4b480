//! Looks into a virtual host, and meddles with it.
//!
//! What the management API tells about queues lags by seconds; so this asks by AMQP, on a connection of the test's own.

use std::collections::BTreeMap;

use lapin::{
    BasicProperties, Channel, Confirmation, Connection, ConnectionProperties, ErrorKind, Queue,
    message::BasicGetMessage,
    options::{
        BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeleteOptions, QueueBindOptions,
        QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
    },
    types::{AMQPValue, FieldTable, ShortString},
};
use serde_json::Value;

/// By which the probe's connections are spared when all others are closed.
pub(super) const NAME: &str = "usher-test/probe";

pub struct Probe {
    connection: Connection,
}

/// A message that was taken out of a queue.
#[derive(Debug)]
pub struct Message {
    pub exchange: String,
    pub routing_key: String,
    /// Texts as they are; everything else as it prints.
    pub headers: BTreeMap<String, String>,
    pub properties: BasicProperties,
    pub body: Vec<u8>,
}

impl Message {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the body is JSON")
    }

    pub fn message_id(&self) -> &str {
        self.properties.message_id().as_ref().map_or("", ShortString::as_str)
    }
}

impl Probe {
    pub async fn connect(amqp_url: &str) -> Self {
        let properties = ConnectionProperties::default().with_connection_name(NAME.into());
        let connection = Connection::connect(amqp_url, properties)
            .await
            .unwrap_or_else(|error| panic!("no RabbitMQ at AMQP_URL: {error}; run `cargo dev test`"));
        Self { connection }
    }

    /// Messages that wait to be delivered; `None`: there is no such queue.
    pub async fn depth(&self, queue: &str) -> Option<u32> {
        self.look_at(queue).await.map(|queue| queue.message_count())
    }

    pub async fn consumers(&self, queue: &str) -> Option<u32> {
        self.look_at(queue).await.map(|queue| queue.consumer_count())
    }

    async fn look_at(&self, queue: &str) -> Option<Queue> {
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        match self.channel().await.queue_declare(queue.into(), options, FieldTable::default()).await {
            Ok(queue) => Some(queue),
            Err(error) if is_not_found(&error) => None,
            Err(error) => panic!("{queue} cannot be looked at: {error}"),
        }
    }

    /// Takes the next message out of the queue.
    pub async fn get(&self, queue: &str) -> Option<Message> {
        let message = self.channel().await.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await;
        message.unwrap_or_else(|error| panic!("nothing can be taken from {queue}: {error}")).map(message_of)
    }

    /// Takes all of them.
    pub async fn drain(&self, queue: &str) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(message) = self.get(queue).await {
            messages.push(message);
        }
        messages
    }

    /// Returns once the broker has taken the message into a queue, and panics when it went nowhere.
    pub async fn publish(&self, exchange: &str, routing_key: &str, body: &[u8], properties: BasicProperties) {
        let channel = self.channel().await;
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms can be asked for");
        let options = BasicPublishOptions { mandatory: true, ..Default::default() };
        let confirm = channel.basic_publish(exchange.into(), routing_key.into(), options, body, properties).await;
        let confirmation = confirm.expect("a message can be sent").await.expect("the broker confirms");
        assert_eq!(confirmation, Confirmation::Ack(None), "{exchange} did not take {routing_key}");
    }

    /// `arguments` as in the management UI: `json!({ "x-max-length": 1, "x-overflow": "reject-publish" })`.
    pub async fn declare_queue(&self, queue: &str, arguments: &Value) {
        let declared = self.channel().await;
        let declared =
            declared.queue_declare(queue.into(), QueueDeclareOptions::durable(), field_table(arguments)).await;
        declared.unwrap_or_else(|error| panic!("{queue} cannot be declared: {error}"));
    }

    pub async fn bind(&self, queue: &str, exchange: &str, routing_key: &str) {
        let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
        let bound = self.channel().await;
        let bound = bound.queue_bind(queue.into(), exchange.into(), routing_key.into(), options, arguments).await;
        bound.unwrap_or_else(|error| panic!("{queue} cannot be bound to {exchange}: {error}"));
    }

    pub async fn unbind(&self, queue: &str, exchange: &str, routing_key: &str) {
        let unbound = self.channel().await;
        let unbound =
            unbound.queue_unbind(queue.into(), exchange.into(), routing_key.into(), FieldTable::default()).await;
        unbound.unwrap_or_else(|error| panic!("{queue} cannot be unbound from {exchange}: {error}"));
    }

    /// Says how many messages there were.
    pub async fn purge(&self, queue: &str) -> u32 {
        let purged = self.channel().await.queue_purge(queue.into(), QueuePurgeOptions::default()).await;
        purged.unwrap_or_else(|error| panic!("{queue} cannot be purged: {error}"))
    }

    /// Says how many messages there were.
    pub async fn delete_queue(&self, queue: &str) -> u32 {
        let deleted = self.channel().await.queue_delete(queue.into(), QueueDeleteOptions::default()).await;
        deleted.unwrap_or_else(|error| panic!("{queue} cannot be deleted: {error}"))
    }

    pub async fn delete_exchange(&self, exchange: &str) {
        let deleted = self.channel().await.exchange_delete(exchange.into(), ExchangeDeleteOptions::default()).await;
        deleted.unwrap_or_else(|error| panic!("{exchange} cannot be deleted: {error}"));
    }

    /// One for each request: a request that the broker refuses costs the channel.
    async fn channel(&self) -> Channel {
        self.connection.create_channel().await.expect("the probe's connection is open")
    }
}

fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == 404)
}

fn message_of(message: BasicGetMessage) -> Message {
    let delivery = message.delivery;
    let headers = delivery.properties.headers().as_ref().map(FieldTable::inner);
    Message {
        exchange: delivery.exchange.to_string(),
        routing_key: delivery.routing_key.to_string(),
        headers: headers.into_iter().flatten().map(|(name, value)| (name.to_string(), text_of(value))).collect(),
        properties: delivery.properties,
        body: delivery.data,
    }
}

fn text_of(value: &AMQPValue) -> String {
    match value {
        AMQPValue::LongString(text) => text.to_string(),
        AMQPValue::ShortString(text) => text.to_string(),
        other => format!("{other:?}"),
    }
}

fn field_table(arguments: &Value) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments.as_object().expect("arguments are a JSON object") {
        let value = match value {
            Value::String(text) => AMQPValue::LongString(text.as_str().into()),
            Value::Bool(flag) => AMQPValue::Boolean(*flag),
            Value::Number(number) => AMQPValue::LongLongInt(number.as_i64().expect("a whole number")),
            other => panic!("no argument of a queue looks like {other}"),
        };
        table.insert(name.as_str().into(), value);
    }
    table
}

//! The least that can publish: one channel, confirms, messages that are ready to send. It reads no database.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Result, ensure};
use chrono::Utc;
use lapin::{
    BasicProperties, Channel, Confirmation, Connection, PublisherConfirm,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use shared::{
    domain::user::UserId,
    event::{self, EventType, OutboxEvent},
    trace_context::TraceContext,
};
use tokio::time::Instant;
use uuid::Uuid;
use worker::broker::{message, topology};

/// Unconfirmed at once: measured, more of them only wait.
const WINDOW: usize = 512;
/// Sent together when as many are confirmed: measured, one at a time is slower by a twentieth, and half a window as
/// fast as an eighth or slower.
const BURST: usize = WINDOW / 8;

/// As a span's, of which the relay's messages bear one.
const TRACEPARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A message as it goes over the wire.
pub(crate) struct Message {
    key: String,
    properties: BasicProperties,
    body: Vec<u8>,
}

/// The very messages that the relay makes of events about so many people.
pub(crate) fn messages(count: usize) -> Vec<Message> {
    (0..count).map(|_| message_about(UserId::generate())).collect()
}

fn message_about(user_id: UserId) -> Message {
    let event = OutboxEvent {
        event_id: Uuid::now_v7(),
        event_type: EventType::UserCreated.as_str().to_owned(),
        user_id,
        data: event::about(user_id),
        trace_context: TraceContext::default(),
        created_at: Utc::now(),
        tries: 0,
    };
    let (properties, body) = message::encode(&event, &TraceContext::read(|_name| Some(TRACEPARENT)));
    Message { key: event.event_type, properties, body }
}

pub(crate) async fn channel(connection: &Connection) -> Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

/// Publishes one event about somebody, and waits until it is confirmed.
pub(crate) async fn publish_one(channel: &Channel, user: UserId) -> Result<()> {
    confirmed(send(channel, &message_about(user)).await?).await
}

/// Publishes all; returns how long it took until the last one was confirmed.
pub(crate) async fn publish(connection: &Connection, messages: &[Message]) -> Result<Duration> {
    let channel = channel(connection).await?;
    let (began, mut unconfirmed) = (Instant::now(), VecDeque::with_capacity(WINDOW));
    for message in messages {
        if unconfirmed.len() == WINDOW {
            for oldest in unconfirmed.drain(..BURST) {
                confirmed(oldest).await?;
            }
        }
        unconfirmed.push_back(send(&channel, message).await?);
    }
    for oldest in unconfirmed {
        confirmed(oldest).await?;
    }
    let took = began.elapsed();
    channel.close(200, "published".into()).await?;
    Ok(took)
}

async fn send(channel: &Channel, message: &Message) -> lapin::Result<PublisherConfirm> {
    let (key, properties) = (message.key.as_str().into(), message.properties.clone());
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    channel.basic_publish(topology::EVENTS.into(), key, options, &message.body, properties).await
}

async fn confirmed(oldest: PublisherConfirm) -> Result<()> {
    ensure!(matches!(oldest.await?, Confirmation::Ack(_)), "the broker refused a message");
    Ok(())
}

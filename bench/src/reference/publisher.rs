//! The least that can publish: one channel, confirms, messages that are ready to send. It reads no database.

use std::{collections::VecDeque, time::Duration};

use anyhow::{Result, ensure};
use lapin::{
    BasicProperties, Confirmation, Connection,
    options::{BasicPublishOptions, ConfirmSelectOptions},
};
use shared::event::OutboxEvent;
use tokio::time::Instant;
use worker::broker::{message, topology};

/// Unconfirmed at once: measured, more of them only wait.
const WINDOW: usize = 512;

/// A message as it goes over the wire.
pub(crate) struct Message {
    key: String,
    properties: BasicProperties,
    body: Vec<u8>,
}

/// The very messages that the relay makes of these events.
pub(crate) fn messages(events: &[OutboxEvent]) -> Vec<Message> {
    let encode = |event: &OutboxEvent| {
        let (properties, body) = message::encode(event, &event.trace_context);
        Message { key: event.event_type.clone(), properties, body }
    };
    events.iter().map(encode).collect()
}

/// Publishes all; returns how long it took until the last one was confirmed.
pub(crate) async fn publish(connection: &Connection, messages: &[Message]) -> Result<Duration> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    let (began, mut unconfirmed) = (Instant::now(), VecDeque::with_capacity(WINDOW));
    for message in messages {
        if unconfirmed.len() == WINDOW {
            confirmed(unconfirmed.pop_front()).await?;
        }
        let (key, properties) = (message.key.as_str().into(), message.properties.clone());
        let options = BasicPublishOptions::default();
        let sent = channel.basic_publish(topology::EVENTS.into(), key, options, &message.body, properties).await?;
        unconfirmed.push_back(sent);
    }
    while let Some(oldest) = unconfirmed.pop_front() {
        confirmed(Some(oldest)).await?;
    }
    let took = began.elapsed();
    channel.close(200, "published".into()).await?;
    Ok(took)
}

async fn confirmed(oldest: Option<lapin::PublisherConfirm>) -> Result<()> {
    let Some(oldest) = oldest else { return Ok(()) };
    ensure!(matches!(oldest.await?, Confirmation::Ack(_)), "the broker refused a message");
    Ok(())
}

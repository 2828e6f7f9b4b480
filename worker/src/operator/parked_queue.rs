//! What the queue `usher.parked` says, kept true: it speaks of users who are parked, and of nobody else.
//!
//! The row is the truth here too. A message is read first and its row second: whoever was replayed and parked again in
//! between is parked by the row, and the message stays.

use std::collections::{HashMap, HashSet};

use lapin::{Channel, message::Delivery, options::BasicGetOptions};
use serde::Serialize;
use shared::store::parked;
use sqlx::PgPool;
use uuid::Uuid;

use super::answer::Line;
use crate::{
    broker::{
        connection::{BrokerError, close, within},
        dial::connect_to_any,
        message,
        topology::PARKED,
    },
    config::broker::BrokerConfig,
    settle,
};

/// `parked tidy`: of how many messages the queue was freed, and how many stay.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tidied {
    pub(super) removed: u64,
    kept: u64,
}

/// For one look at the rows.
const BATCH: usize = 500;

/// Takes out what is about users who are not parked any more.
pub(super) async fn tidy(broker: &BrokerConfig, pool: &PgPool) -> anyhow::Result<Tidied> {
    let connection = connect_to_any("operator", broker).await?;
    let channel = within("open a channel", connection.create_channel()).await?;
    let mut tidied = Tidied::default();
    loop {
        let messages = take(&channel).await?;
        if messages.is_empty() {
            break;
        }
        let removed = remove_settled(&messages, pool).await?;
        tidied.removed += removed;
        tidied.kept += messages.len() as u64 - removed;
    }
    // What was looked at and not acknowledged is back in its place with that.
    close(connection).await;
    Ok(tidied)
}

/// The next messages, which nobody else sees until they are acknowledged or the channel ends.
async fn take(channel: &Channel) -> Result<Vec<Delivery>, BrokerError> {
    let mut messages = Vec::new();
    while messages.len() < BATCH {
        let options = BasicGetOptions { no_ack: false };
        let message = within("look into usher.parked", channel.basic_get(PARKED.into(), options)).await?;
        let Some(message) = message else { break };
        messages.push(message.delivery);
    }
    Ok(messages)
}

/// Says how many are gone. What names nobody is not ours to throw away.
async fn remove_settled(messages: &[Delivery], pool: &PgPool) -> anyhow::Result<u64> {
    let users: HashMap<u64, Uuid> = messages
        .iter()
        .filter_map(|message| Some((message.delivery_tag, message::decode(message).ok()?.user_id.as_uuid())))
        .collect();
    let ids: Vec<Uuid> = users.values().copied().collect();
    let parked: HashSet<Uuid> = parked::still_parked(pool, &ids).await?.into_iter().collect();
    let mut removed = 0;
    for message in messages {
        if users.get(&message.delivery_tag).is_some_and(|user| !parked.contains(user)) {
            removed += u64::from(settle::ack(message).await?);
        }
    }
    Ok(removed)
}

impl Line for Tidied {
    const COLUMNS: &'static [&'static str] = &["removed", "kept"];

    fn cells(&self) -> Vec<String> {
        vec![self.removed.to_string(), self.kept.to_string()]
    }
}

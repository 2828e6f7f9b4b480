//! RabbitMQ's part: by AMQP, because what the management API tells lags by seconds.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use lapin::{Connection, ConnectionProperties, ErrorKind, options::QueueDeclareOptions, types::FieldTable};

/// The queues that Usher declares; `tests/topology.rs` holds their names against the code.
const QUEUES: [&str; 5] = [
    "usher.user-created",
    "usher.user-created.dead",
    "usher.password-setup-requested",
    "usher.password-setup-requested.dead",
    "usher.parked",
];

/// Whether a message there is yet to be worked on; in the others it waits for an operator.
pub(super) fn is_work(queue: &str) -> bool {
    matches!(queue, "usher.user-created" | "usher.password-setup-requested")
}

/// Messages that wait, by queue. A queue that does not exist holds none.
pub(super) async fn depths(amqp_url: &str) -> Result<BTreeMap<String, u64>> {
    let connection = Connection::connect(amqp_url, ConnectionProperties::default()).await.context("reach RabbitMQ")?;
    let (mut depths, mut channels) = (BTreeMap::new(), Vec::new());
    for queue in QUEUES {
        // One for each queue: a refusal costs the channel.
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions { passive: true, ..Default::default() };
        match channel.queue_declare(queue.into(), options, FieldTable::default()).await {
            Ok(found) => _ = depths.insert(queue.to_owned(), found.message_count().into()),
            Err(error) if is_not_found(&error) => {}
            Err(error) => return Err(error).context(queue),
        }
        // Dropped now, it would be closing when the connection is closed, which lapin takes for a fault.
        channels.push(channel);
    }
    connection.close(200, "read".into()).await?;
    Ok(depths)
}

fn is_not_found(error: &lapin::Error) -> bool {
    matches!(error.kind(), ErrorKind::ProtocolError(error) if error.get_id() == 404)
}

//! A service that listens to Usher: billing wants an account of its own for each user who registers, once.
//!
//! `AMQP_URL` says where the broker is, `BILLING_DATABASE_URL` where billing keeps its accounts. `listener.py` does the
//! same in Python; `docs/integrating.md` says why it is done so.

use std::{convert::Infallible, time::Duration};

use anyhow::{Context as _, Result, bail};
use futures_util::StreamExt as _;
use lapin::{
    Channel, Connection, ConnectionProperties, ExchangeKind,
    message::Delivery,
    options::{
        BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions, ExchangeDeclareOptions,
        QueueBindOptions, QueueDeclareOptions,
    },
    types::{AMQPValue, FieldTable},
};
use serde::Deserialize;
use sqlx::PgPool;
use uuid::Uuid;

const QUEUE: &str = "billing.users";
const DEAD_EXCHANGE: &str = "billing.dead";
const DEAD_QUEUE: &str = "billing.users.dead";

/// Handed to us before we have said what became of the first of them.
const IN_FLIGHT: u16 = 20;
const PAUSE: Duration = Duration::from_secs(1);

#[tokio::main]
async fn main() -> Result<()> {
    let broker = variable("AMQP_URL")?;
    let accounts = PgPool::connect_lazy(&variable("BILLING_DATABASE_URL")?)?;
    loop {
        let Err(fault) = listen(&broker, &accounts).await;
        eprintln!("{fault:#}; again in {PAUSE:?}");
        tokio::time::sleep(PAUSE).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "read here, and nowhere else")]
fn variable(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| format!("{name} is not set"))
}

/// Until something breaks. What was not acknowledged by then comes again.
async fn listen(broker: &str, accounts: &PgPool) -> Result<Infallible> {
    let table = "CREATE TABLE IF NOT EXISTS accounts (user_id uuid PRIMARY KEY, event_id uuid NOT NULL UNIQUE)";
    sqlx::query(table).execute(accounts).await?;
    let name = ConnectionProperties::default().with_connection_name("billing".into());
    let connection = Connection::connect(broker, name).await?;
    let channel = connection.create_channel().await?;
    declare(&channel).await?;
    channel.basic_qos(IN_FLIGHT, BasicQosOptions::default()).await?;
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let mut messages = channel.basic_consume(QUEUE.into(), "".into(), options, none).await?;
    println!("listening");
    while let Some(message) = messages.next().await {
        take(&message?, accounts).await?;
    }
    bail!("RabbitMQ ended the consumer")
}

/// A queue of our own, which every event comes to, and where those go that nobody can read.
async fn declare(channel: &Channel) -> Result<()> {
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(DEAD_EXCHANGE.into(), ExchangeKind::Direct, durable, FieldTable::default()).await?;
    declare_queue(channel, DEAD_QUEUE, &[]).await?;
    bind(channel, DEAD_QUEUE, DEAD_EXCHANGE, DEAD_QUEUE).await?;
    let dead_letters = [
        ("x-dead-letter-exchange", DEAD_EXCHANGE),
        ("x-dead-letter-routing-key", DEAD_QUEUE),
        ("x-dead-letter-strategy", "at-least-once"),
        ("x-overflow", "reject-publish"),
    ];
    declare_queue(channel, QUEUE, &dead_letters).await?;
    bind(channel, QUEUE, "usher.events", "user.created").await
}

async fn declare_queue(channel: &Channel, name: &str, texts: &[(&str, &str)]) -> Result<()> {
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    // RabbitMQ 4 would take a message away at the 20th delivery: an outage of our database must not empty the queue.
    arguments.insert("x-delivery-limit".into(), AMQPValue::LongInt(1_000_000));
    for &(name, text) in texts {
        arguments.insert(name.into(), AMQPValue::LongString(text.into()));
    }
    channel.queue_declare(name.into(), QueueDeclareOptions::durable(), arguments).await?;
    Ok(())
}

async fn bind(channel: &Channel, queue: &str, exchange: &str, key: &str) -> Result<()> {
    let (options, none) = (QueueBindOptions::default(), FieldTable::default());
    Ok(channel.queue_bind(queue.into(), exchange.into(), key.into(), options, none).await?)
}

/// Acknowledged once the account is committed, and not before.
async fn take(message: &Delivery, accounts: &PgPool) -> Result<()> {
    let Some(event) = Event::read(message) else {
        message.reject(BasicRejectOptions { requeue: false }).await?;
        return Ok(());
    };
    if open_account(&event, accounts).await? {
        println!("opened an account for {}", event.user_id);
    }
    message.ack(BasicAckOptions::default()).await?;
    Ok(())
}

struct Event {
    id: Uuid,
    user_id: Uuid,
}

/// Fields that are not named here are left alone: there may be more some day.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    user_id: Uuid,
}

impl Event {
    fn read(message: &Delivery) -> Option<Self> {
        let id = message.properties.message_id().as_ref()?.as_str().parse().ok()?;
        let body: Body = serde_json::from_slice(&message.data).ok()?;
        Some(Self { id, user_id: body.user_id })
    }
}

/// What is done and the memory that it was done are one statement. False: this event came before.
async fn open_account(event: &Event, accounts: &PgPool) -> Result<bool> {
    let statement = "INSERT INTO accounts (user_id, event_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    let inserted = sqlx::query(statement).bind(event.user_id).bind(event.id).execute(accounts).await?;
    Ok(inserted.rows_affected() == 1)
}

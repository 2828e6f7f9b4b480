//! RabbitMQ: each node, the topology as it is declared, and what our login may do with it.
//!
//! A passive declaration does not look at arguments. A full one does, and changes nothing of what is there with the same
//! ones; so what is there is declared once more, and what is not there is left to a worker. Nothing is published and
//! nothing is taken: a publication is rolled back, and a consumer is asked for in a way that the broker refuses after it
//! has looked at the permission.

use lapin::{
    BasicProperties, Channel, Connection, ErrorKind, ExchangeKind,
    options::{BasicConsumeOptions, BasicPublishOptions, ExchangeDeclareOptions, QueueDeclareOptions},
    protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError},
    types::{AMQPValue, FieldTable},
};

use super::finding::{Finding, Findings};
use crate::{
    broker::{
        connection::{BrokerError, close, within},
        dial::connect,
        topology::{self, WORK_QUEUES},
    },
    config::broker::{BrokerAddress, BrokerConfig},
};

const ROLE: &str = "doctor";
/// `deploy/rabbitmq/README.md` says why.
const PERMISSIONS: &str = "rabbitmqctl set_permissions -p VHOST USER '^usher\\.' '^usher\\.' '^usher\\.'";
const DECLARE: &str = "start a worker, which declares what is missing, or load deploy/rabbitmq/definitions.json";
/// Only the management API tells of them, which no worker needs.
const NOT_SEEN: &str = "not to be seen by AMQP: `rabbitmqctl list_policies -p VHOST` should name none for usher.*; a \
                        worker binds its queues when it starts";

pub(super) async fn examine(config: &BrokerConfig) -> Vec<Finding> {
    let mut findings = Findings::of("rabbitmq");
    let mut connected = None;
    for address in config.addresses.all() {
        if let Some(connection) = node(address, &mut findings).await {
            // One of them is enough for the rest.
            match connected {
                None => connected = Some(connection),
                Some(_) => close(connection).await,
            }
        }
    }
    if let Some(connection) = connected {
        topology(&connection, &mut findings).await;
        close(connection).await;
    }
    findings.all()
}

async fn node(address: &BrokerAddress, findings: &mut Findings) -> Option<Connection> {
    let check = format!("node {address}");
    match connect(ROLE, address).await {
        Ok(connection) => {
            findings.ok(check, "takes connections");
            Some(connection)
        }
        Err(error) => {
            findings.failed(check, &error, unreachable(&error));
            None
        }
    }
}

fn unreachable(error: &BrokerError) -> &'static str {
    match refusal(error) {
        Some(AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED)) => "the user or the password in AMQP_URL is wrong",
        Some(AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED)) => {
            "there is no such virtual host, or the user has no permissions there: rabbitmqctl add_vhost, and then \
             set_permissions (deploy/rabbitmq/README.md)"
        }
        _ => "start the node, or mend its host and port in AMQP_URL",
    }
}

/// What the broker itself said no with.
fn refusal(error: &BrokerError) -> Option<&AMQPErrorKind> {
    match error {
        BrokerError::Call { source, .. } => match source.kind() {
            ErrorKind::ProtocolError(refusal) => Some(refusal.kind()),
            _ => None,
        },
        _ => None,
    }
}

fn is(error: &BrokerError, soft: &AMQPSoftError) -> bool {
    matches!(refusal(error), Some(AMQPErrorKind::Soft(refusal)) if refusal == soft)
}

async fn topology(connection: &Connection, findings: &mut Findings) {
    for (name, kind) in topology::exchanges() {
        let check = format!("exchange {name}");
        match exchange(connection, name, kind).await {
            Ok(()) => findings.ok(check, "as a worker declares it"),
            Err(error) => findings.failed(check, &error, misfit(&error)),
        }
    }
    for (name, arguments) in topology::queues() {
        let check = format!("queue {name}");
        match queue(connection, name, arguments).await {
            Ok((messages, consumers)) => {
                let found = format!("as a worker declares it; {messages} messages, {consumers} consumers");
                findings.ok(check, found);
            }
            Err(error) => findings.failed(check, &error, misfit(&error)),
        }
    }
    findings.ok("policies and bindings", NOT_SEEN);
    for (exchange, _) in topology::exchanges() {
        permitted(findings, format!("may publish to {exchange}"), may_publish(connection, exchange).await);
    }
    for queue in WORK_QUEUES {
        permitted(findings, format!("may consume {}", queue.name), may_consume(connection, queue.name).await);
    }
}

fn permitted(findings: &mut Findings, check: String, asked: Result<(), BrokerError>) {
    match asked {
        Ok(()) => findings.ok(check, "yes"),
        Err(error) if is(&error, &AMQPSoftError::NOTFOUND) => findings.failed(check, &error, DECLARE),
        Err(error) => findings.failed(check, &error, PERMISSIONS),
    }
}

fn misfit(error: &BrokerError) -> &'static str {
    if is(error, &AMQPSoftError::NOTFOUND) {
        DECLARE
    } else if is(error, &AMQPSoftError::ACCESSREFUSED) {
        PERMISSIONS
    } else if is(error, &AMQPSoftError::PRECONDITIONFAILED) {
        "somebody else declared it in another way: delete it in the management UI, and a worker declares it as it should \
         be; events that are lost with it are made up for by the sweep"
    } else {
        "look into RabbitMQ's log"
    }
}

/// On a channel of its own: the broker closes the one on which it says no.
async fn channel(connection: &Connection) -> Result<Channel, BrokerError> {
    within("open a channel", connection.create_channel()).await
}

async fn exchange(connection: &Connection, name: &str, kind: ExchangeKind) -> Result<(), BrokerError> {
    let channel = channel(connection).await?;
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let looked = channel.exchange_declare(name.into(), kind.clone(), passive, FieldTable::default());
    within("look at an exchange", looked).await?;
    topology::declare_exchange(&channel, name, kind).await?;
    within("close a channel", channel.close(200, "looked".into())).await
}

/// How many messages and consumers it has.
async fn queue(connection: &Connection, name: &str, arguments: FieldTable) -> Result<(u32, u32), BrokerError> {
    let channel = channel(connection).await?;
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let looked = channel.queue_declare(name.into(), passive, FieldTable::default());
    let looked = within("look at a queue", looked).await?;
    topology::declare_queue(&channel, name, arguments).await?;
    within("close a channel", channel.close(200, "looked".into())).await?;
    Ok((looked.message_count(), looked.consumer_count()))
}

/// The broker looks at the permission when a message comes, and routes it when the transaction is committed: this one
/// is not.
async fn may_publish(connection: &Connection, exchange: &str) -> Result<(), BrokerError> {
    let channel = channel(connection).await?;
    within("begin a transaction", channel.tx_select()).await?;
    let nothing = BasicProperties::default();
    let sent = channel.basic_publish(exchange.into(), ROLE.into(), BasicPublishOptions::default(), b"", nothing);
    within("publish", sent).await?;
    within("publish", channel.tx_rollback()).await?;
    within("close a channel", channel.close(200, "looked".into())).await
}

/// The broker looks at the permission first, and then at the arguments, of which this one has the wrong type: so it
/// says no to the one or to the other, and there is no consumer in either case.
async fn may_consume(connection: &Connection, queue: &str) -> Result<(), BrokerError> {
    let channel = channel(connection).await?;
    let mut arguments = FieldTable::default();
    arguments.insert("x-priority".into(), AMQPValue::LongString("none".into()));
    let asked = channel.basic_consume(queue.into(), ROLE.into(), BasicConsumeOptions::default(), arguments);
    match within("consume", asked).await {
        Err(error) if is(&error, &AMQPSoftError::PRECONDITIONFAILED) => Ok(()),
        Err(error) => Err(error),
        Ok(_consumer) => within("close a channel", channel.close(200, "looked".into())).await,
    }
}

//! Under which address, and with which login, each part of the stack is reached. The logins are the development
//! stack's own and open nothing else.

use crate::{ports::BrokerPorts, stack::Stack};

/// PostgreSQL's owner of everything.
pub(crate) const ROLE: &str = "usher";
pub(crate) const ROLE_PASSWORD: &str = "usher";
/// As `deploy/rabbitmq/definitions.json` has it.
const RABBITMQ_LOGIN: &str = "usher:usher";
pub(crate) const VHOST: &str = "usher";
/// The administrator of Keycloak's realm `master`.
pub(crate) const ADMINISTRATOR: &str = "admin";
pub(crate) const ADMINISTRATOR_PASSWORD: &str = "admin";

pub(crate) fn database(stack: &Stack, name: &str) -> String {
    format!("postgres://{ROLE}:{ROLE_PASSWORD}@127.0.0.1:{}/{name}", stack.ports.postgres)
}

/// Every node of the broker, separated by commas.
pub(crate) fn amqp(stack: &Stack) -> String {
    let nodes: Vec<_> = stack.ports.brokers.into_iter().take(stack.crew.brokers).map(amqp_of).collect();
    nodes.join(",")
}

pub(crate) fn amqp_of(node: BrokerPorts) -> String {
    format!("amqp://{RABBITMQ_LOGIN}@127.0.0.1:{}/{VHOST}", node.amqp)
}

pub(crate) fn rabbitmq_management(stack: &Stack) -> String {
    management_of(stack.ports.brokers[0])
}

pub(crate) fn management_of(node: BrokerPorts) -> String {
    format!("http://{RABBITMQ_LOGIN}@127.0.0.1:{}", node.management)
}

pub(crate) fn redis(stack: &Stack) -> String {
    format!("redis://127.0.0.1:{}/", stack.ports.redis)
}

pub(crate) fn keycloak(stack: &Stack) -> String {
    http(stack.ports.keycloak)
}

pub(crate) fn mail(stack: &Stack) -> String {
    http(stack.ports.mail)
}

pub(crate) fn api(stack: &Stack) -> String {
    http(stack.ports.api)
}

pub(crate) fn api_2(stack: &Stack) -> String {
    http(stack.ports.api_2)
}

pub(crate) fn api_ops(stack: &Stack) -> String {
    http(stack.ports.api_ops)
}

fn http(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

//! Under which address, and with which login, each part of the stack is reached. The logins are the development
//! stack's own and open nothing else.

use crate::stack::Stack;

/// PostgreSQL's owner of everything.
pub(crate) const ROLE: &str = "usher";
pub(crate) const ROLE_PASSWORD: &str = "usher";
/// As `deploy/rabbitmq/definitions.json` has it.
const RABBITMQ_LOGIN: &str = "usher:usher";
const VHOST: &str = "usher";
/// The administrator of Keycloak's realm `master`.
pub(crate) const ADMINISTRATOR: &str = "admin";
pub(crate) const ADMINISTRATOR_PASSWORD: &str = "admin";

pub(crate) fn database(stack: &Stack, name: &str) -> String {
    format!("postgres://{ROLE}:{ROLE_PASSWORD}@127.0.0.1:{}/{name}", stack.ports.postgres)
}

pub(crate) fn amqp(stack: &Stack) -> String {
    format!("amqp://{RABBITMQ_LOGIN}@127.0.0.1:{}/{VHOST}", stack.ports.amqp)
}

pub(crate) fn rabbitmq_management(stack: &Stack) -> String {
    format!("http://{RABBITMQ_LOGIN}@127.0.0.1:{}", stack.ports.rabbitmq_management)
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

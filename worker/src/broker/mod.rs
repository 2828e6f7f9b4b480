//! RabbitMQ: one connection per role, what is declared there, and what a message looks like.

pub mod connection;
pub mod dial;
pub mod message;
pub mod topology;

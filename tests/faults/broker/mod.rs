//! The broker is killed, frozen, alarmed, or somebody takes its queues away.

mod alarms;
mod operators;
mod outages;

//! Asking: by a client that costs little of the machine that it shares with what it measures.

pub(crate) mod client;
pub(crate) mod closed;
pub(crate) mod open;
pub(crate) mod person;

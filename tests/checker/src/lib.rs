//! Whether every acknowledged user arrived, once.
//!
//! A client notes what it attempted and what was acknowledged ([`client`]); when all is quiet ([`read::until_quiet`]),
//! PostgreSQL, the queues, Keycloak and the mail catcher are asked what they have ([`read`]); and [`verdict::check`]
//! compares. It is pure, so that its own tests can plant one fault of each kind and see it found. The idea is the queue
//! checker of Jepsen: attempted, acknowledged, lost, unexpected, duplicated.

pub mod client;
pub mod history;
pub mod read;
pub mod verdict;

pub use client::Client;
pub use history::{Attempt, History};
pub use read::{Administrator, Outside, Places};
pub use verdict::{Report, check};

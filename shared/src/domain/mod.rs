//! What a user is. Nothing here does I/O, and nothing outside checks again what is parsed here.

pub mod email;
pub mod examples;
pub mod idempotency_key;
pub mod locale;
pub mod mail_target;
pub mod name;
pub mod password;
pub mod user;
pub mod username;

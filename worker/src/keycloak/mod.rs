//! Keycloak's Admin REST API, as far as Usher needs it.
//!
//! [`users`], [`account`] and [`action_link`] say what can be asked ([`unset_password`]: of a new account; [`examination`]: whether it is set up as we need it), [`client`] how a question is put, [`token`] as whom, [`error`] what can go wrong.

pub mod account;
pub mod action_link;
pub mod client;
pub mod error;
pub mod examination;
pub mod token;
pub mod unset_password;
pub mod users;

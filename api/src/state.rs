//! What the handlers share.

use std::{sync::Arc, time::Duration};

use shared::store::{bell::Bell, mail_requests::Allowance};

use crate::{chosen_password::ChosenPasswords, database::Database, grouping::Groups, limits::Limits, tokens::Tokens};

/// Everything a request may touch: PostgreSQL, the bell that tells the relay, Redis for a password that comes with a
/// registration, and, to get and to check tokens, Keycloak.
#[derive(Debug, Clone)]
pub struct AppState {
    pub database: Database,
    pub bell: Bell,
    pub groups: Groups,
    /// How long the sweep leaves a user to the event.
    pub event_grace: Duration,
    /// For how long the answer to a registration can be asked for again.
    pub idempotency_ttl: Duration,
    /// Where passwords are taken at the registration.
    pub passwords: Option<ChosenPasswords>,
    pub mail_requests: Allowance,
    pub limits: Limits,
    /// For `/auth` alone: a registration must not need them.
    pub tokens: Arc<Tokens>,
}

//! What the handlers share.

use std::time::Duration;

use shared::store::bell::Bell;
use sqlx::PgPool;

/// Everything a request may touch: PostgreSQL, and the bell that tells the relay.
#[derive(Debug, Clone)]
pub struct AppState {
    pub pool: PgPool,
    pub bell: Bell,
    /// How long the sweep leaves a new user to the event.
    pub event_grace: Duration,
}

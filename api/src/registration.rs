//! Registering a user: one statement, committed, and that is all.
//!
//! Nothing but PostgreSQL is touched here. Whatever else has to happen for this user begins with the event that was
//! committed with the row, and is the worker's.

use chrono::{DateTime, Utc};
use shared::{
    domain::user::{NewUser, UserId},
    store::registrations::{self, Registered},
    telemetry::MILESTONE,
    trace_context::TraceContext,
};
use tracing::{Span, field::display};

use crate::{
    database::{self, DatabaseError},
    state::AppState,
};

/// A user who is committed.
#[derive(Debug, Clone)]
pub struct Created {
    pub id: UserId,
    pub created_at: DateTime<Utc>,
    pub user: NewUser,
}

/// Why somebody was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("somebody else has the username or the address")]
    Taken { username: bool, email: bool },
    #[error("could not commit the registration")]
    Commit(#[from] DatabaseError),
}

/// Commits the user together with the event, and lets the relay know.
pub async fn register(state: &AppState, user: NewUser) -> Result<Created, RegisterError> {
    let trace = TraceContext::current();
    match database::ask(registrations::register(&state.pool, &user, &trace, state.event_grace)).await? {
        Registered::Taken { username, email } => Err(RegisterError::Taken { username, email }),
        Registered::Created { id, created_at } => {
            state.bell.ring();
            Span::current().record("user.id", display(id));
            tracing::debug!(target: MILESTONE, milestone = "committed", "user.id" = %id, "the user is committed");
            Ok(Created { id, created_at, user })
        }
    }
}

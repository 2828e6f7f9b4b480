//! Registering a user: one statement, committed, and that is all. Who comes while others are being written shares it.
//!
//! Nothing but PostgreSQL is touched here. Whatever else has to happen for this user begins with the event that was
//! committed with the row, and is the worker's.

use chrono::{DateTime, Utc};
use shared::{
    crash_point::CrashPoint::{RegistrationBeforeCommit, RegistrationCommitted},
    domain::{
        idempotency_key::IdempotencyKey,
        user::{NewUser, UserId},
    },
    store::{
        idempotency_keys::Keyed,
        registrations::{Candidate, Registered},
    },
    telemetry::MILESTONE,
    trace_context::TraceContext,
};
use tracing::{Span, field::display};

use crate::{database::DatabaseError, state::AppState};

/// A user who is committed.
#[derive(Debug, Clone)]
pub struct Created {
    pub id: UserId,
    pub created_at: DateTime<Utc>,
    pub user: NewUser,
    /// By an earlier request with the same key.
    pub before: bool,
}

/// Why somebody was not registered.
#[derive(Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("somebody else has the username or the address")]
    Taken { username: bool, email: bool },
    #[error("the key belongs to another request")]
    OtherRequest,
    #[error("could not commit the registration")]
    Commit(#[from] DatabaseError),
}

/// Commits the user together with the event, and lets the relay know. What was committed under the same key before is
/// found instead.
pub async fn register(state: &AppState, user: NewUser, key: Option<IdempotencyKey>) -> Result<Created, RegisterError> {
    let (id, trace) = (UserId::generate(), TraceContext::current());
    let key = key.map(|key| Keyed { key, ttl: state.idempotency_ttl });
    let candidate = Candidate { id, user: user.clone(), trace, key };
    RegistrationBeforeCommit.pass();
    let (id, created_at, before) = match state.groups.register(&state.database, candidate).await? {
        Registered::Created { id, created_at } => (id, created_at, false),
        Registered::Before { id, created_at } => (id, created_at, true),
        Registered::OtherRequest => return Err(RegisterError::OtherRequest),
        Registered::Taken { username, email } => return Err(RegisterError::Taken { username, email }),
    };
    RegistrationCommitted.pass();
    Span::current().record("user.id", display(id));
    if !before {
        state.bell.ring();
        tracing::debug!(target: MILESTONE, milestone = "committed", "user.id" = %id, "the user is committed");
    }
    Ok(Created { id, created_at, user, before })
}

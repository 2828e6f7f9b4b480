//! Registering a user: one statement, committed, and that is all. Who comes while others are being written shares it.
//!
//! Nothing but PostgreSQL is touched here, unless a password was chosen, which waits in Redis. Whatever else has to
//! happen for this user begins with the event that was committed with the row, and is the worker's.

use chrono::{DateTime, Utc};
use shared::{
    crash_point::CrashPoint::{RegistrationBeforeCommit, RegistrationCommitted},
    domain::{
        idempotency_key::IdempotencyKey,
        password::Password,
        user::{NewUser, UserId},
    },
    passwords::PasswordError,
    store::{
        idempotency_keys::Keyed,
        registrations::{self, Candidate, Registered},
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
    #[error("could not keep the password")]
    Password(#[from] PasswordError),
}

/// Commits the user together with the event, and lets the relay know. What was committed under the same key before is
/// found instead. A password is kept first, and erased when it is certain that nobody was registered with it.
pub async fn register(
    state: &AppState,
    user: NewUser,
    password: Option<Password>,
    key: Option<IdempotencyKey>,
) -> Result<Created, RegisterError> {
    let chosen = state.passwords.as_ref().zip(password.as_ref());
    let key = key.map(|key| Keyed { key, ttl: state.idempotency_ttl });
    let trace = TraceContext::current();
    let candidate = Candidate { id: UserId::generate(), user, trace, with_password: chosen.is_some(), key };
    let Some((passwords, password)) = chosen else { return commit(state, candidate).await };
    let id = candidate.id;
    if let Err(error) = passwords.keep(id, password).await {
        // Who asks again needs no password to be kept.
        return found(state, &candidate).await?.ok_or(error.into());
    }
    let created = commit(state, candidate).await;
    match &created {
        Ok(created) if created.id == id => {}
        // The user may be there all the same, and the password is wanted then. Otherwise its time runs out.
        Err(RegisterError::Commit(_)) => {}
        _ => passwords.erase(id).await,
    }
    created
}

async fn commit(state: &AppState, candidate: Candidate) -> Result<Created, RegisterError> {
    let user = candidate.user.clone();
    RegistrationBeforeCommit.pass();
    let created = created(state.groups.register(&state.database, candidate).await?, user)?;
    RegistrationCommitted.pass();
    if !created.before {
        state.bell.ring();
        tracing::debug!(target: MILESTONE, milestone = "committed", "user.id" = %created.id, "the user is committed");
    }
    Ok(created)
}

/// What was committed under the candidate's key before.
async fn found(state: &AppState, candidate: &Candidate) -> Result<Option<Created>, RegisterError> {
    if candidate.key.is_none() {
        return Ok(None);
    }
    let known = state.database.ask(async |connection| registrations::known(connection, candidate).await).await?;
    known.map(|known| created(known, candidate.user.clone())).transpose()
}

fn created(registered: Registered, user: NewUser) -> Result<Created, RegisterError> {
    let (id, created_at, before) = match registered {
        Registered::Created { id, created_at } => (id, created_at, false),
        Registered::Before { id, created_at } => (id, created_at, true),
        Registered::OtherRequest => return Err(RegisterError::OtherRequest),
        Registered::Taken { username, email } => return Err(RegisterError::Taken { username, email }),
    };
    Span::current().record("user.id", display(id));
    Ok(Created { id, created_at, user, before })
}

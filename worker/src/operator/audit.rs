//! Who did what to whom, in the log: by ids alone, and whatever `RUST_LOG` says.

use nix::unistd::{Uid, User};
use shared::{
    domain::user::UserId,
    telemetry::{self, AUDIT, AnswerLog, TelemetryConfig},
};

/// Writes down what one command does. Where there is no log there is no command.
pub struct Audit {
    action: &'static str,
    operator: String,
    _log: AnswerLog,
}

impl Audit {
    /// Says what is about to be done, so that nothing happens of which the log knows nothing. `what` names no person.
    pub fn begin(action: &'static str, what: &str, config: &TelemetryConfig) -> anyhow::Result<Self> {
        let log = telemetry::start_beside_an_answer(config)?;
        let operator = operator();
        tracing::info!(target: AUDIT, operator, action, what, "an operator begins");
        Ok(Self { action, operator, _log: log })
    }

    /// Says what was done to somebody.
    pub fn user(&self, user: UserId, outcome: &str) {
        let Self { action, operator, .. } = self;
        tracing::info!(target: AUDIT, operator, action, user.id = %user, outcome, "an operator did something to a user");
    }

    /// Says what was done to something that is no user.
    pub fn done(&self, outcome: &str) {
        let Self { action, operator, .. } = self;
        tracing::info!(target: AUDIT, operator, action, outcome, "an operator did something");
    }
}

/// By the account of the operating system, and its number where that has no name, as in a container.
fn operator() -> String {
    let id = Uid::current();
    User::from_uid(id).ok().flatten().map_or_else(|| format!("uid {id}"), |user| user.name)
}

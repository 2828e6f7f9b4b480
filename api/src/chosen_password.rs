//! A password that is chosen at the registration: the one thing for which a registration needs more than PostgreSQL.

use shared::{
    domain::{
        password::{Password, PasswordRules},
        user::UserId,
    },
    passwords::{PasswordError, Passwords, config::PasswordConfig},
    telemetry::chain,
};

/// How a password gets from a registration to the worker.
#[derive(Clone)]
pub struct ChosenPasswords {
    kept: Passwords,
    pub rules: PasswordRules,
}

impl ChosenPasswords {
    /// Connects to nothing yet.
    pub fn new(config: &PasswordConfig) -> Result<Self, redis::RedisError> {
        Ok(Self { kept: Passwords::new(config)?, rules: config.rules })
    }

    /// Before the user is committed: whoever is registered with a password finds it waiting.
    pub async fn keep(&self, user: UserId, password: &Password) -> Result<(), PasswordError> {
        self.kept.keep(user, password).await
    }

    /// Of somebody who was not registered. Where that fails, its time runs out.
    pub async fn erase(&self, user: UserId) {
        if let Err(error) = self.kept.erase(user).await {
            tracing::warn!(error = chain(&error), "a password stays until its time is over");
        }
    }
}

impl std::fmt::Debug for ChosenPasswords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ChosenPasswords").field("rules", &self.rules).finish_non_exhaustive()
    }
}

//! Passwords that somebody chose at the registration, on their way from the api to the worker.
//!
//! Each is kept [sealed](sealing), in Redis alone, under the user's id and for a while: never in PostgreSQL, an event or
//! a log. Who reads Redis lacks the key, and who has the key lacks Redis. To lose one costs its owner a click: the set-up
//! mail goes out instead.

pub mod config;
pub mod sealing;

use std::{sync::Arc, time::Duration};

use redis::{Cmd, FromRedisValue, RedisError, aio::ConnectionManager};
use secrecy::SecretString;
use tokio::time::timeout;

use self::{
    config::PasswordConfig,
    sealing::{Keys, OpenError, SealError},
};
use crate::{
    domain::{password::Password, user::UserId},
    redis::connect,
};

/// Who waits for Redis waits no longer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The passwords that wait for their users' accounts.
#[derive(Clone)]
pub struct Passwords {
    redis: ConnectionManager,
    keys: Arc<Keys>,
    ttl: Duration,
}

/// Why a password was not kept, found or erased.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    #[error("Redis could not {doing}")]
    Redis {
        doing: &'static str,
        #[source]
        source: RedisError,
    },
    #[error("Redis did not {doing} in time")]
    Late { doing: &'static str },
    #[error("a password could not be sealed")]
    Seal(#[from] SealError),
    #[error("a sealed password could not be opened")]
    Open(#[from] OpenError),
}

impl Passwords {
    /// Connects to nothing yet.
    pub fn new(config: &PasswordConfig) -> Result<Self, RedisError> {
        Ok(Self { redis: connect(&config.redis)?, keys: Arc::clone(&config.keys), ttl: config.ttl })
    }

    /// Keeps a password until it is erased, or its time is over.
    pub async fn keep(&self, user: UserId, password: &Password) -> Result<(), PasswordError> {
        let sealed = self.keys.seal(user, password)?;
        let seconds = self.ttl.as_secs().max(1);
        self.ask("keep a password", &Cmd::set_ex(key(user), sealed, seconds)).await
    }

    /// `None` when there is none any more.
    pub async fn find(&self, user: UserId) -> Result<Option<SecretString>, PasswordError> {
        let sealed: Option<String> = self.ask("find a password", &Cmd::get(key(user))).await?;
        Ok(sealed.map(|sealed| self.keys.open(user, &sealed)).transpose()?)
    }

    pub async fn erase(&self, user: UserId) -> Result<(), PasswordError> {
        self.ask("erase a password", &Cmd::del(key(user))).await
    }

    /// Once more when the connection is lost: one that was closed while it was idle shows only with the next question,
    /// and all of these may be asked twice.
    async fn ask<T: FromRedisValue>(&self, doing: &'static str, question: &Cmd) -> Result<T, PasswordError> {
        let mut redis = self.redis.clone();
        let answer = async {
            match question.query_async(&mut redis).await {
                Err(error) if error.is_io_error() => question.query_async(&mut redis).await,
                answer => answer,
            }
        };
        match timeout(PATIENCE, answer).await {
            Ok(answer) => answer.map_err(|source| PasswordError::Redis { doing, source }),
            Err(_elapsed) => Err(PasswordError::Late { doing }),
        }
    }
}

fn key(user: UserId) -> String {
    format!("usher:password:{user}")
}

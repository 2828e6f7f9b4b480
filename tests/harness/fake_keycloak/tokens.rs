//! The tokens of the service account.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use serde_json::json;
use uuid::Uuid;

use super::Answer;

pub(super) struct Tokens {
    lifetime: Duration,
    good_until: HashMap<String, Instant>,
}

impl Default for Tokens {
    fn default() -> Self {
        Self { lifetime: Duration::from_mins(5), good_until: HashMap::new() }
    }
}

impl Tokens {
    pub(super) fn set_lifetime(&mut self, lifetime: Duration) {
        self.lifetime = lifetime;
    }

    pub(super) fn revoke(&mut self) {
        self.good_until.clear();
    }

    pub(super) fn issue(&mut self) -> Answer {
        let token = Uuid::new_v4().to_string();
        self.good_until.insert(token.clone(), Instant::now() + self.lifetime);
        Answer::new(200).json(json!({
            "access_token": token,
            "expires_in": self.lifetime.as_secs(),
            "refresh_expires_in": 0,
            "token_type": "Bearer",
            "not-before-policy": 0,
            "scope": "profile email",
        }))
    }

    pub(super) fn is_good(&self, token: &str) -> bool {
        self.good_until.get(token).is_some_and(|good_until| Instant::now() < *good_until)
    }
}

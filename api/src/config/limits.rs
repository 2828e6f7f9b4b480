//! How often somebody may ask, and how much is done at once.

use serde::Deserialize;
use shared::config::Environment;

use crate::limits::rate::Rate;

/// `LIMIT_*`
#[derive(Debug, Default, Deserialize)]
pub struct LimitSection {
    register: Option<String>,
    mail_request: Option<String>,
    token: Option<String>,
    token_account: Option<String>,
    validate_token: Option<String>,
    concurrency: Option<String>,
}

/// By client address, unless said otherwise.
#[derive(Debug, Clone)]
pub struct LimitConfig {
    pub register: Rate,
    pub mail_request: Rate,
    pub token: Rate,
    /// By the name that somebody tries to log in with. Several times `token`, or one address could keep anybody out.
    pub token_account: Rate,
    pub validate_token: Rate,
    /// Requests worked on at once; what waits for Keycloak is counted apart.
    pub concurrency: u32,
}

impl LimitSection {
    pub const PREFIX: &'static str = "LIMIT_";

    pub fn read(environment: &mut Environment) -> Option<LimitConfig> {
        let raw: Self = environment.section(Self::PREFIX);
        let register = environment.or("LIMIT_REGISTER", raw.register, Rate::per_minute(10));
        let mail_request = environment.or("LIMIT_MAIL_REQUEST", raw.mail_request, Rate::per_minute(5));
        let token = environment.or("LIMIT_TOKEN", raw.token, Rate::per_minute(10));
        let token_account = environment.or("LIMIT_TOKEN_ACCOUNT", raw.token_account, Rate::per_minute(60));
        let validate_token = environment.or("LIMIT_VALIDATE_TOKEN", raw.validate_token, Rate::per_minute(600));
        let concurrency = environment.or("LIMIT_CONCURRENCY", raw.concurrency, 256);
        Some(LimitConfig {
            register: register?,
            mail_request: mail_request?,
            token: token?,
            token_account: token_account?,
            validate_token: validate_token?,
            concurrency: concurrency?,
        })
    }
}

//! Redis, where passwords wait that were chosen at the registration.

use shared::{passwords::config::PasswordConfig, redis};

use super::finding::{Finding, Findings};

pub(super) async fn examine(passwords: Option<&PasswordConfig>) -> Vec<Finding> {
    let mut findings = Findings::of("redis");
    match passwords {
        None => findings.ok("connection", "not needed: no passwords are taken at the registration (PASSWORD_KEYS)"),
        Some(passwords) => match redis::ping(passwords.redis()).await {
            Ok(()) => findings.ok("connection", "answers"),
            Err(error) => findings.failed(
                "connection",
                &error,
                "start Redis, or mend its address and login in REDIS_URL; until then nobody's chosen password is taken \
                 over, and set-up mails are sent instead",
            ),
        },
    }
    findings.all()
}

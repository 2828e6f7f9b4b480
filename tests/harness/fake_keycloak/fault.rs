//! What can be made to go wrong, where, for whom and how often.

use std::time::Duration;

use serde_json::json;

use super::{Answer, Endpoint, Request};

#[derive(Clone, Debug)]
pub enum Fault {
    /// This answer, and no effect.
    Status(Answer),
    /// Never an answer, and no effect.
    Hang,
    /// Everything as asked, but later.
    Delay(Duration),
    /// The connection ends without an answer; nothing was done.
    DropBeforeEffect,
    /// The connection ends without an answer; everything was done.
    DropAfterEffect,
}

impl Fault {
    pub fn status(status: u16) -> Self {
        Self::Status(Answer::new(status))
    }

    /// All that Keycloak says when its mail server is away, or refuses.
    pub fn mail_failed() -> Self {
        let message = "Failed to send execute actions email: Error when attempting to send the email to the server. \
                       More information is available in the server log.";
        Self::Status(Answer::refused(500, message))
    }

    pub fn too_many_requests(retry_after_seconds: u32) -> Self {
        let answer = Answer::new(429).json(json!({ "error": "Too many requests" }));
        Self::Status(answer.header("retry-after", &retry_after_seconds.to_string()))
    }
}

pub enum Who {
    Anybody,
    User(String),
}

struct Rule {
    endpoint: Endpoint,
    who: Who,
    /// How many more times; `None`: always.
    left: Option<usize>,
    fault: Fault,
}

#[derive(Default)]
pub(super) struct Faults(Vec<Rule>);

impl Faults {
    pub(super) fn add(&mut self, endpoint: Endpoint, who: Who, times: Option<usize>, fault: Fault) {
        self.0.push(Rule { endpoint, who, left: times, fault });
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The fault whose turn it is; it is counted as used.
    pub(super) fn meet(&mut self, request: &Request, username: Option<&str>) -> Option<Fault> {
        let rule = self
            .0
            .iter_mut()
            .find(|rule| rule.endpoint == request.endpoint && rule.left != Some(0) && rule.who.is(username))?;
        rule.left = rule.left.map(|left| left - 1);
        Some(rule.fault.clone())
    }
}

impl Who {
    fn is(&self, username: Option<&str>) -> bool {
        match self {
            Self::Anybody => true,
            Self::User(wanted) => username.is_some_and(|username| username.eq_ignore_ascii_case(wanted)),
        }
    }
}

//! What was found, and what to do about it.

use std::{error::Error, fmt};

use serde::Serialize;
use shared::{cli::answer::Line, telemetry::chain};

/// One check. Its fields in JSON are stable.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Finding {
    pub(super) state: State,
    /// `postgresql`, `rabbitmq`, `keycloak`, `mail` or `redis`.
    pub(super) part: &'static str,
    pub(super) check: String,
    pub(super) found: String,
    /// What to do; nothing where all is well.
    pub(super) remedy: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Ok,
    /// It works, and is not as it should be; or it could not be looked at.
    Warning,
    /// Something will not work.
    Fault,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Fault => "FAULT",
        })
    }
}

impl Line for Finding {
    const COLUMNS: &'static [&'static str] = &["STATE", "PART", "CHECK", "FOUND, AND WHAT TO DO"];

    fn cells(&self) -> Vec<String> {
        let remedy = self.remedy.as_ref().map(|remedy| format!(" -> {remedy}")).unwrap_or_default();
        let found = format!("{}{remedy}", self.found);
        vec![self.state.to_string(), self.part.to_owned(), self.check.clone(), found]
    }
}

/// The findings of one part, as they are collected.
pub(super) struct Findings {
    part: &'static str,
    all: Vec<Finding>,
}

impl Findings {
    pub(super) fn of(part: &'static str) -> Self {
        Self { part, all: Vec::new() }
    }

    pub(super) fn ok(&mut self, check: impl Into<String>, found: impl Into<String>) {
        self.push(State::Ok, check.into(), found.into(), None);
    }

    pub(super) fn warning(&mut self, check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) {
        self.push(State::Warning, check.into(), found.into(), Some(remedy.into()));
    }

    pub(super) fn fault(&mut self, check: impl Into<String>, found: impl Into<String>, remedy: impl Into<String>) {
        self.push(State::Fault, check.into(), found.into(), Some(remedy.into()));
    }

    /// A fault by the words of an error, which name no person.
    pub(super) fn failed(
        &mut self,
        check: impl Into<String>,
        error: &(dyn Error + 'static),
        remedy: impl Into<String>,
    ) {
        self.fault(check, chain(error), remedy);
    }

    pub(super) fn all(self) -> Vec<Finding> {
        self.all
    }

    fn push(&mut self, state: State, check: String, found: String, remedy: Option<String>) {
        self.all.push(Finding { state, part: self.part, check, found, remedy });
    }
}

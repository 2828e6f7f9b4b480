//! `config check`: the whole environment, read as a start would read it, and nothing started.

use clap::Subcommand;
use serde::Serialize;

use super::answer::{Format, Line};
use crate::config::{Environment, variable::Variable};

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Read all variables; say everything that is wrong with them, or else what holds
    Check {
        #[command(flatten)]
        format: Format,
    },
}

impl Command {
    /// `parse` reads the configuration. What is wrong is the error, and with `--json` the answer too.
    pub fn run<T>(self, parse: impl FnOnce(&mut Environment) -> Option<T>) -> anyhow::Result<()> {
        let Self::Check { format } = self;
        let mut environment = Environment::of_process();
        let config = parse(&mut environment);
        let variables: Vec<_> = environment.asked().into_iter().map(VariableLine::of).collect();
        if let Err(faults) = environment.finish(config) {
            let lines: Vec<_> = faults.faults().iter().map(|fault| FaultLine { fault }).collect();
            if format.is_json() {
                format.print(&lines, "")?;
            }
            return Err(faults.into());
        }
        format.print(&variables, "").map(drop)
    }
}

#[derive(Serialize)]
struct FaultLine<'a> {
    fault: &'a str,
}

impl Line for FaultLine<'_> {
    const COLUMNS: &'static [&'static str] = &["FAULT"];

    fn cells(&self) -> Vec<String> {
        vec![self.fault.to_owned()]
    }
}

/// What holds for one variable. The value of a secret is not told.
#[derive(Serialize)]
struct VariableLine {
    name: &'static str,
    value: Option<String>,
    /// `environment`, `file`, `default` or `unset`.
    source: &'static str,
    secret: bool,
}

impl VariableLine {
    fn of(variable: Variable) -> Self {
        let Variable { name, value, source, is_secret, .. } = variable;
        Self { name, value, source: source.as_str(), secret: is_secret }
    }
}

impl Line for VariableLine {
    const COLUMNS: &'static [&'static str] = &["VARIABLE", "FROM", "VALUE"];

    fn cells(&self) -> Vec<String> {
        let value = match (&self.value, self.secret) {
            (Some(value), _) => value.as_str(),
            (None, true) if self.source != "unset" => "***",
            (None, _) => "-",
        };
        vec![self.name.to_owned(), self.source.to_owned(), value.to_owned()]
    }
}

//! What the command lines of both binaries have in common: how they are read and answered ([`answer`]), what they tell
//! about the configuration ([`config`]), about health ([`healthcheck`]) and to a shell ([`completions`]).
//!
//! Whoever reads along may have gone (`| head -0`): that is no fault, and nobody panics.

pub mod answer;
pub mod completions;
pub mod config;
pub mod healthcheck;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    sync::OnceLock,
};

use clap::{Parser, error::ErrorKind};

use crate::config::{ConfigError, EXIT_USAGE};

/// The whole life of `program`: reads the command line, does what it says, and says on stderr why that did not work.
pub fn main<C: Parser>(
    program: &str,
    run: impl FnOnce(C) -> anyhow::Result<ExitCode>,
    exit_code: impl FnOnce(&anyhow::Error) -> ExitCode,
) -> ExitCode {
    let cli = match parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    run(cli).unwrap_or_else(|fault| {
        writeln!(io::stderr(), "{program}: {fault:#}").ok();
        exit_code(&fault)
    })
}

/// What stands on the command line; the error is what to exit with, when help was asked for or is needed.
fn parse<C: Parser>() -> Result<C, ExitCode> {
    C::try_parse().map_err(|told| {
        told.print().ok();
        match told.kind() {
            ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
            _ => ExitCode::from(EXIT_USAGE),
        }
    })
}

/// What `--version` tells, with the commit that the build was told, if it was.
pub fn version(commit: Option<&str>) -> &'static str {
    static TOLD: OnceLock<String> = OnceLock::new();
    let version = env!("CARGO_PKG_VERSION");
    TOLD.get_or_init(|| commit.map_or_else(|| version.to_owned(), |commit| format!("{version} ({commit})")))
}

/// What a fault ends the process with.
pub fn exit_code(fault: &anyhow::Error) -> ExitCode {
    if fault.is::<ConfigError>() { ExitCode::from(EXIT_USAGE) } else { ExitCode::FAILURE }
}

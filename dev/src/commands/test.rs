//! `cargo dev test`: the tests of the whole workspace on the real services, and at last half a minute of chaos.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::{
    cargo,
    chaos::{self, Options},
    env_file,
    stack::Stack,
    up,
};

pub(crate) async fn test(stack: &Stack, filter: Option<&str>, arguments: &[String]) -> Result<ExitCode> {
    up::for_tests(stack).await?;
    let mut command = cargo::command(stack);
    command.args(["test", "--workspace"]).envs(env_file::variables(stack));
    command.arg("--").args(filter).args(arguments);
    let status = command.status().context("cannot run cargo test")?;
    let exit = match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(0) if filter.is_none() && arguments.is_empty() => Box::pin(chaos::run(stack, &Options::SHORT)).await?,
        Some(code) => ExitCode::from(code),
        None => ExitCode::FAILURE,
    };
    println!("the services keep running; cargo dev down stops them");
    Ok(exit)
}

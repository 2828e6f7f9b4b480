//! `cargo dev test`: the tests of the whole workspace on the real services.

use std::process::ExitCode;

use anyhow::{Context as _, Result};

use crate::{cargo, env_file, stack::Stack, up};

pub(crate) async fn test(stack: &Stack, filter: Option<&str>) -> Result<ExitCode> {
    up::for_tests(stack).await?;
    let mut command = cargo::command(stack);
    command.args(["test", "--workspace"]).envs(env_file::variables(stack));
    if let Some(filter) = filter {
        command.args(["--", filter]);
    }
    let status = command.status().context("cannot run cargo test")?;
    println!("the services keep running; cargo dev down stops them");
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

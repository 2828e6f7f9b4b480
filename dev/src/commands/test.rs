//! `cargo dev test`: the tests of the whole workspace on the real services, then those that run alone, and at last half
//! a minute of chaos.

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
    let chosen: Vec<&str> = filter.into_iter().chain(arguments.iter().map(String::as_str)).collect();
    let all = chosen.is_empty();
    let mut code = cargo_test(stack, &chosen)?;
    if all && code == 0 {
        code = cargo_test(stack, &["--ignored"])?;
    }
    let exit =
        if all && code == 0 { Box::pin(chaos::run(stack, &Options::SHORT)).await? } else { ExitCode::from(code) };
    println!("the services keep running; cargo dev down stops them");
    Ok(exit)
}

/// The exit code.
fn cargo_test(stack: &Stack, arguments: &[&str]) -> Result<u8> {
    let mut command = cargo::command(stack);
    command.args(["test", "--workspace", "--"]).args(arguments).envs(env_file::variables(stack));
    let status = command.status().context("cannot run cargo test")?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

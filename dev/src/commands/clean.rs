//! `cargo dev clean`: back to a fresh checkout, except for what cargo and Maven keep in caches of their own.

use std::fs;

use anyhow::{Context as _, Result};

use super::down;
use crate::stack::Stack;

pub(crate) async fn clean(stack: &Stack) -> Result<()> {
    down(stack).await?;
    if stack.state.exists() {
        fs::remove_dir_all(&stack.state).context("cannot remove .dev/")?;
        println!("removed .dev/: the data of all services, their logs, and Keycloak");
    }
    Ok(())
}

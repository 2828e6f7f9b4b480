//! `cargo dev clean`: back to a fresh checkout, except for what cargo and Maven keep in caches of their own.

use std::fs;

use anyhow::{Context as _, Result};

use super::down;
use crate::stack::Stack;

pub(crate) async fn clean(stack: &Stack) -> Result<()> {
    down(stack).await?;
    for (directory, what) in [(".dev", "the data of all services, and Keycloak"), ("logs", "the log files")] {
        let path = stack.root.join(directory);
        if path.exists() {
            fs::remove_dir_all(&path).with_context(|| format!("cannot remove {directory}/"))?;
            println!("removed {directory}/: {what}");
        }
    }
    Ok(())
}

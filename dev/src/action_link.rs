//! Keycloak's provider of action links: compiled from `deploy/keycloak/action-link/` against the Keycloak that runs it,
//! by the script that the Dockerfile uses too.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use tokio::process::Command;

use crate::{programs, stack::Stack};

const JAR: &str = "usher-action-link.jar";
const LOG: &str = "action-link-build";

/// Everything that the jar is made of, as one text: when it changes, the jar must be made anew.
pub(crate) fn sources(stack: &Stack) -> Result<String> {
    let mut text = String::new();
    append(&directory(stack), &mut text).context("deploy/keycloak/action-link cannot be read")?;
    Ok(text)
}

/// Puts it where `kc.sh build` finds it.
pub(crate) async fn install(stack: &Stack, keycloak: &Path) -> Result<()> {
    let compiled = compile(stack, keycloak).await?;
    let jar = keycloak.join("providers").join(JAR);
    fs::copy(compiled, &jar)?;
    stack.account.give(&jar)
}

/// By whoever called, not by the services' account, which need not be able to read the checkout.
async fn compile(stack: &Stack, keycloak: &Path) -> Result<PathBuf> {
    let jar = stack.state.join("cache").join(JAR);
    let build = directory(stack).join("build.sh");
    let compiled = programs::run(stack, LOG, Command::new("sh").arg(build).args([keycloak, &jar])).await;
    compiled.context("Keycloak's provider of action links does not compile")?;
    Ok(jar)
}

fn directory(stack: &Stack) -> PathBuf {
    stack.root.join("deploy/keycloak/action-link")
}

fn append(directory: &Path, text: &mut String) -> std::io::Result<()> {
    let mut entries: Vec<_> = fs::read_dir(directory)?.collect::<Result<_, _>>()?;
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        if entry.file_type()?.is_dir() {
            append(&entry.path(), text)?;
        } else {
            text.push_str(&fs::read_to_string(entry.path())?);
        }
    }
    Ok(())
}

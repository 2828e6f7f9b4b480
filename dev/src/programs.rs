//! Where the programs of the stack lie on this machine, and how one is run that installs another.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
};

use anyhow::{Context as _, Result, bail};
use tokio::process::Command;

use crate::{logs, stack::Stack};

/// Debian keeps PostgreSQL's server programs out of PATH, one directory for each major version: the newest is taken.
pub(crate) fn postgres() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.flatten();
    versions
        .filter_map(|it| Some((it.file_name().to_str()?.parse::<u32>().ok()?, it.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").exists())
        .max()
        .map(|(_, programs)| programs)
}

/// Not `/usr/sbin/rabbitmq-server`: Debian's wrapper there changes to the system's own account and directories.
pub(crate) fn rabbitmq() -> Option<PathBuf> {
    let programs = Path::new("/usr/lib/rabbitmq/bin");
    programs.join("rabbitmq-server").exists().then(|| programs.to_owned())
}

/// With it comes the Java that Keycloak runs on.
pub(crate) fn javac(stack: &Stack) -> Option<PathBuf> {
    let home = stack.settings.java_home.as_ref().map(|home| home.join("bin/javac"));
    home.filter(|javac| javac.exists()).or_else(|| in_path(stack, "javac"))
}

pub(crate) fn in_path(stack: &Stack, name: &str) -> Option<PathBuf> {
    std::env::split_paths(&stack.settings.path).map(|it| it.join(name)).find(|it| it.is_file())
}

/// Runs it to its end, with what it says appended to the log `name`, whose last lines a failure quotes.
pub(crate) async fn run(stack: &Stack, name: &str, command: &mut Command) -> Result<()> {
    let log = File::options().create(true).append(true).open(stack.log_file(name))?;
    let begin = log.metadata()?.len();
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).kill_on_drop(true);
    let program = command.as_std().get_program().display().to_string();
    let status = command.status().await.with_context(|| format!("cannot run {program}"))?;
    if !status.success() {
        bail!("{program} failed ({status})\n{}", logs::tail(stack, name, begin));
    }
    Ok(())
}

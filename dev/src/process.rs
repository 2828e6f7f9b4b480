//! Processes that outlive `cargo dev`: started detached and unprivileged, found again by pid and start time, ended by
//! pid alone. Nothing here ever looks for a process by its name.

use std::{
    fs::{self, File, OpenOptions},
    os::unix::process::CommandExt as _,
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};

use crate::{logs, stack::Stack};

const POLL: Duration = Duration::from_millis(50);
/// What waits for the disk or gives back much memory takes a while to go.
const KILLED_WITHIN: Duration = Duration::from_secs(20);

/// How to start a process. Its environment is exactly what is listed here: variables of the caller's shell such as
/// `PGDATA`, `KC_…` or `RABBITMQ_…` must not change the stack.
pub(crate) struct Launch {
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(&'static str, String)>,
    pub(crate) directory: PathBuf,
}

impl Launch {
    /// Runs it to its end, with its output in the log `name`, while other services go on starting.
    pub(crate) async fn complete(&self, stack: &Stack, name: &str) -> Result<()> {
        let log = File::create(stack.log_file(name))?;
        let mut command = self.command(stack)?;
        command.stdout(log.try_clone()?).stderr(log);
        let status = tokio::process::Command::from(command).kill_on_drop(true).status().await;
        let status = status.with_context(|| format!("cannot run {}", self.program.display()))?;
        if !status.success() {
            bail!("{name} failed ({status})\n{}", logs::tail(stack, name, 0));
        }
        Ok(())
    }

    /// The command with the account, the directory and the environment of the services.
    fn command(&self, stack: &Stack) -> Result<Command> {
        stack.account.ensure_reach(&self.program)?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .env("PATH", &stack.settings.path)
            .env("LANG", "C.UTF-8")
            .env("HOME", &self.directory)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null());
        if let Some(java_home) = &stack.settings.java_home {
            command.env("JAVA_HOME", java_home);
        }
        stack.account.apply_to(&mut command);
        Ok(command)
    }
}

/// Starts it in a process group of its own, so that Ctrl-C in the caller's terminal does not reach it.
/// Returns where its part of the log begins.
pub(crate) fn spawn(stack: &Stack, name: &str, launch: &Launch) -> Result<u64> {
    let log = OpenOptions::new().create(true).append(true).open(stack.log_file(name))?;
    let begin = log.metadata()?.len();
    let mut command = launch.command(stack)?;
    command.stdout(log.try_clone()?).stderr(log).process_group(0);
    // tokio asks for the exit code of a child that nobody holds: who is killed while we live leaves no zombie.
    let child = tokio::process::Command::from(command).spawn();
    let child = child.with_context(|| format!("cannot run {}", launch.program.display()))?;
    remember(stack, name, child.id().context("it ended at once")?)?;
    Ok(begin)
}

/// The pid stands alone in its file, for `kill $(cat …)`; the start time beside it tells the process from a later one
/// that happens to get the same number.
pub(crate) fn remember(stack: &Stack, name: &str, pid: u32) -> Result<()> {
    let started = stat(pid).map(|stat| stat.started).unwrap_or_default();
    fs::write(stack.run_file(name, "started"), started)?;
    fs::write(stack.run_file(name, "pid"), format!("{pid}\n"))?;
    Ok(())
}

/// The pid of `name`, if the process that was started under this name still runs.
pub(crate) fn running(stack: &Stack, name: &str) -> Option<u32> {
    let pid = fs::read_to_string(stack.run_file(name, "pid")).ok()?.trim().parse().ok()?;
    let started = fs::read_to_string(stack.run_file(name, "started")).ok()?;
    let stat = stat(pid)?;
    (stat.started == started && !stat.ended).then_some(pid)
}

/// Ended, but not yet asked for its exit code by its parent.
pub(crate) fn is_zombie(pid: u32) -> bool {
    stat(pid).is_some_and(|stat| stat.ended)
}

/// The one child of a process, for programs that hide behind a shell script.
pub(crate) fn only_child(pid: u32) -> Option<u32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
    children.split_whitespace().next()?.parse().ok()
}

/// Asks with `signal`, waits, and only after `patience` kills. Returns whether there was anything to stop.
pub(crate) async fn stop(stack: &Stack, name: &str, signal: Signal, patience: Duration) -> Result<bool> {
    let stopped = match running(stack, name) {
        Some(pid) => {
            kill(pid_of(pid)?, signal).with_context(|| format!("cannot stop {name} (pid {pid})"))?;
            if !ended(stack, name, patience).await {
                eprintln!("{name} did not stop within {} s and is killed", patience.as_secs());
                kill_group(pid)?;
                ended(stack, name, patience).await;
            }
            true
        }
        None => false,
    };
    for kind in ["pid", "started"] {
        drop(fs::remove_file(stack.run_file(name, kind)));
    }
    Ok(stopped)
}

/// Kills it and all that stands behind it, and waits until it is gone. Returns whether there was anything to kill.
pub(crate) async fn kill_now(stack: &Stack, name: &str) -> Result<bool> {
    let Some(pid) = running(stack, name) else { return Ok(false) };
    kill_group(pid)?;
    if !ended(stack, name, KILLED_WITHIN).await {
        bail!("{name} (pid {pid}) survives SIGKILL");
    }
    Ok(true)
}

fn kill_group(pid: u32) -> Result<()> {
    // A service that does not lead its group (it stood behind a script) is killed alone.
    let pid = pid_of(pid)?;
    Ok(killpg(pid, Signal::SIGKILL).or_else(|_| kill(pid, Signal::SIGKILL))?)
}

async fn ended(stack: &Stack, name: &str, patience: Duration) -> bool {
    let asked = Instant::now();
    while running(stack, name).is_some() {
        if asked.elapsed() > patience {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
    true
}

fn pid_of(pid: u32) -> Result<Pid> {
    Ok(Pid::from_raw(pid.try_into()?))
}

struct Stat {
    /// Ticks since boot.
    started: String,
    /// A zombie: it has ended, only nobody has asked for its exit code yet.
    ended: bool,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses and may itself contain anything.
    let fields: Vec<&str> = text.rsplit_once(") ")?.1.split_whitespace().collect();
    Some(Stat { started: (*fields.get(19)?).to_owned(), ended: matches!(*fields.first()?, "Z" | "X") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_start_time_and_lives() {
        let stat = stat(std::process::id()).unwrap();
        assert!(stat.started.parse::<u64>().unwrap() > 0);
        assert!(!stat.ended);
    }

    #[test]
    fn an_ended_child_does_not_count_as_running() {
        let mut child = Command::new("true").spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(5);
        while !is_zombie(child.id()) {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}

//! The real binaries, and servers of a test's own, as processes: to be killed, frozen and stopped.

use std::{
    ffi::OsStr,
    fs::{self, File},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    thread,
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{account::Account, eventually::eventually, stack::required};

/// Longer than the binaries take to drain.
const LONGEST_STOP: Duration = Duration::from_secs(35);

/// What is about to be run.
pub struct Binary {
    name: &'static str,
    command: Command,
    account: Account,
}

impl Binary {
    pub fn api() -> Self {
        Self::named("usher-api")
    }

    pub fn worker() -> Self {
        Self::named("usher-worker")
    }

    /// A service that listens to Usher: `examples/listener.rs`.
    pub fn listener() -> Self {
        Self::named("example-listener")
    }

    /// The same in Python, by the environment that `cargo dev test` makes.
    pub fn listener_in_python() -> Self {
        let command = Command::new(required("TEST_PYTHON"));
        Self::of("listener.py", command, Account::default()).args(&[LISTENER_IN_PYTHON])
    }

    /// A program that is not ours, looked for in the `PATH` of its own environment.
    pub fn server(name: &'static str, account: &Account) -> Self {
        let mut command = Command::new(name);
        account.apply_to(&mut command);
        Self::of(name, command, account.clone())
    }

    fn named(name: &'static str) -> Self {
        Self::of(name, Command::new(path_of(name)), Account::default())
    }

    fn of(name: &'static str, mut command: Command, account: Account) -> Self {
        // Nothing of the shell that started the tests leaks in: a test says the whole configuration.
        command.env_clear().stdin(Stdio::null()).kill_on_drop(true);
        Self { name, command, account }
    }

    #[must_use]
    pub fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    #[must_use]
    pub fn args(mut self, arguments: &[&str]) -> Self {
        self.command.args(arguments);
        self
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    #[must_use]
    pub fn envs<N: AsRef<OsStr>, V: AsRef<OsStr>>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self {
        self.command.envs(variables);
        self
    }

    /// Runs a command to its end.
    pub async fn finish(self) -> Finished {
        self.finish_into(Stdio::piped()).await
    }

    /// Runs it with a reader of its answer who has gone already: `| head -0`.
    pub async fn finish_unread(self) -> Finished {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        self.finish_into(writer.into()).await
    }

    async fn finish_into(mut self, stdout: Stdio) -> Finished {
        let directory = TempDir::new().expect("a directory to run in");
        self.command.current_dir(directory.path()).stdout(stdout).stderr(Stdio::piped());
        let child = self.command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", self.name));
        let ended = timeout(LONGEST_STOP, child.wait_with_output()).await;
        let ended = ended.unwrap_or_else(|_| panic!("{} goes on for {LONGEST_STOP:?}", self.name));
        let ended = ended.expect("a child is waited for");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Finished {
            code: ended.status.code(),
            stdout: text(&ended.stdout),
            stderr: text(&ended.stderr),
            log: fs::read_to_string(directory.path().join(LOG)).unwrap_or_default(),
        }
    }

    pub fn start(mut self) -> Process {
        let directory = TempDir::new().expect("a directory to run in");
        self.account.give(directory.path());
        let output = File::create(directory.path().join(OUTPUT)).expect("a file for the output");
        let errors = output.try_clone().expect("a file can be shared");
        self.command.current_dir(directory.path()).stdout(output).stderr(errors);
        let child = self.command.spawn().unwrap_or_else(|error| panic!("{} does not start: {error}", self.name));
        Process { name: self.name, child, directory }
    }
}

const LISTENER_IN_PYTHON: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/listener.py");
const OUTPUT: &str = "output";
/// Where the binaries log.
const LOG: &str = "logs/user_log.log";

/// A command that has come to its end.
pub struct Finished {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    /// What it wrote into its log file.
    pub log: String,
}

/// Beside the test binary, which lies in `deps/`.
fn path_of(name: &str) -> PathBuf {
    let tests = std::env::current_exe().expect("this program has a path");
    let path = tests.ancestors().nth(2).expect("tests are built below target/").join(name);
    assert!(path.is_file(), "{} is not there: run `cargo build --workspace` first", path.display());
    path
}

/// Killed when dropped; if the test failed, it shows what the process had to say.
pub struct Process {
    name: &'static str,
    child: Child,
    directory: TempDir,
}

impl Process {
    pub fn id(&self) -> u32 {
        self.child.id().expect("the process is running")
    }

    /// Everything on stdout and stderr so far.
    pub fn output(&self) -> String {
        fs::read(self.directory.path().join(OUTPUT))
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    /// Where it runs: relative paths, like that of the log file, lie in here.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub async fn until_output_has(&self, text: &str) {
        let what = format!("{} says {text:?}", self.name);
        eventually(&what, Duration::from_secs(20), async || self.output().contains(text)).await;
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("a child can be asked").is_none()
    }

    /// Asks it to drain, and waits until it has.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.exit().await
    }

    /// The end that nobody can prepare for.
    pub async fn kill(&mut self) -> ExitStatus {
        self.signal(Signal::SIGKILL);
        self.exit().await
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap_or_else(|error| panic!("{} takes no {signal}: {error}", self.name));
    }

    /// Waits for an end that it comes to by itself.
    pub async fn exit(&mut self) -> ExitStatus {
        let exit = timeout(LONGEST_STOP, self.child.wait()).await;
        exit.unwrap_or_else(|_| panic!("{} is still there after {LONGEST_STOP:?}", self.name))
            .expect("a child is waited for")
    }

    /// Returns when not a single thread of it runs any more.
    pub async fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        let what = format!("{} is frozen", self.name);
        eventually(&what, Duration::from_secs(5), async || is_frozen(self.id())).await;
    }

    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.id().try_into().expect("a process id is small"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("---- {} said ----\n{}", self.name, self.output());
        }
    }
}

/// The error is how many threads still run.
fn is_frozen(id: u32) -> Result<(), usize> {
    let threads = fs::read_dir(format!("/proc/{id}/task")).expect("a process has threads");
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("stat")).ok());
    // The state follows the name, which stands in parentheses and may hold any character.
    let is_stopped = |stat: &String| stat.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with('T'));
    match stats.filter(|stat| !is_stopped(stat)).count() {
        0 => Ok(()),
        running => Err(running),
    }
}

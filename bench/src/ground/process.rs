//! Processes, and what they cost.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    process::Stdio,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};

use super::Ground;
use crate::load::client::Client;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// In a second, on every Linux.
const TICKS: f64 = 100.0;
const POLL: Duration = Duration::from_millis(2);

/// Killed when dropped.
pub(crate) struct Process {
    child: Child,
    pid: i32,
    /// Where it serves.
    pub(crate) address: SocketAddr,
    /// From the start until it said that it was ready.
    pub(crate) ready_after: Duration,
}

impl Process {
    pub(crate) async fn api(ground: &Ground, mut settings: BTreeMap<String, String>) -> Result<Self> {
        let (public, ops) = (free_address()?, free_address()?);
        settings.insert("API_LISTEN".to_owned(), public.to_string());
        settings.insert("API_OPS_LISTEN".to_owned(), ops.to_string());
        Self::start(ground, "usher-api", &["serve"], settings, public, (ops, "/health/ready")).await
    }

    pub(crate) async fn worker(ground: &Ground, mut settings: BTreeMap<String, String>) -> Result<Self> {
        let ops = free_address()?;
        settings.insert("WORKER_OPS_LISTEN".to_owned(), ops.to_string());
        Self::start(ground, "usher-worker", &["run"], settings, ops, (ops, "/health/ready")).await
    }

    /// The bare handler: a process of its own, as the api is.
    pub(crate) async fn handler(ground: &Ground, settings: BTreeMap<String, String>) -> Result<Self> {
        Self::of_ours(ground, "handler", settings).await
    }

    /// The relay of a worker without the worker.
    pub(crate) async fn relay(ground: &Ground, settings: BTreeMap<String, String>) -> Result<Self> {
        Self::of_ours(ground, "relay", settings).await
    }

    async fn of_ours(ground: &Ground, command: &str, settings: BTreeMap<String, String>) -> Result<Self> {
        let address = free_address()?;
        let arguments = [command, &address.to_string()];
        Self::start(ground, "usher-bench", &arguments, settings, address, (address, "/")).await
    }

    async fn start(
        ground: &Ground,
        name: &str,
        arguments: &[&str],
        settings: BTreeMap<String, String>,
        address: SocketAddr,
        (ops, path): (SocketAddr, &str),
    ) -> Result<Self> {
        let logs = ground.logs()?;
        let log = File::options().create(true).append(true).open(logs.join(format!("{name}.log")))?;
        let began = Instant::now();
        let child = Command::new(ground.binaries.join(name))
            .args(arguments)
            .env_clear()
            .envs(settings)
            .env("LOG_DIR", &logs)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot run {name}; cargo dev bench builds it"))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).context("it ended at once")?;
        let mut process = Self { child, pid, address, ready_after: Duration::ZERO };
        process.until_ready(name, ops, path, began).await?;
        process.ready_after = began.elapsed();
        Ok(process)
    }

    async fn until_ready(&mut self, name: &str, ops: SocketAddr, path: &str, began: Instant) -> Result<()> {
        loop {
            if let Ok(mut client) = Client::connect(ops).await
                && client.get(path).await.is_ok_and(|status| status == 200)
            {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("{name} ended while starting ({status}); see .dev/bench/log");
            }
            ensure!(began.elapsed() < READY_WITHIN, "{name} is not ready after {READY_WITHIN:?}; see .dev/bench/log");
            sleep(POLL).await;
        }
    }

    /// An error if it ended before: what was measured then was another thing.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("a process ended while it was measured ({status}); see .dev/bench/log");
        }
        kill(Pid::from_raw(self.pid), Signal::SIGTERM)?;
        timeout(STOP_WITHIN, self.child.wait()).await.context("a process does not stop")??;
        Ok(())
    }

    /// Resident, in MiB.
    pub(crate) fn memory(&self) -> Result<f64> {
        self.mebibytes("VmRSS:")
    }

    /// The most that was ever resident, in MiB.
    pub(crate) fn peak_memory(&self) -> Result<f64> {
        self.mebibytes("VmHWM:")
    }

    fn mebibytes(&self, field: &str) -> Result<f64> {
        let status = fs::read_to_string(self.proc("status"))?;
        let value = status.lines().find_map(|line| line.strip_prefix(field)).context("no such field in /proc")?;
        let kibibytes: f64 = value.trim().trim_end_matches(" kB").parse()?;
        Ok(kibibytes / 1024.0)
    }

    /// Seconds of processors spent so far, its own and the kernel's for it.
    pub(crate) fn cpu(&self) -> Result<f64> {
        let stat = fs::read_to_string(self.proc("stat"))?;
        // After the name, which may hold anything but a closing bracket at its end: fields 14 and 15 of proc(5).
        let (_, fields) = stat.rsplit_once(')').context("/proc has changed")?;
        let mut fields = fields.split_whitespace().skip(11).map(str::parse::<u64>);
        let (Some(Ok(user)), Some(Ok(kernel))) = (fields.next(), fields.next()) else { bail!("/proc has changed") };
        Ok((user + kernel) as f64 / TICKS)
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.pid))
    }
}

/// Never the same twice. A stranger may take it before it is used; then the start fails, and says so.
pub(crate) fn free_address() -> Result<SocketAddr> {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    loop {
        let address = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if GIVEN.lock().unwrap_or_else(PoisonError::into_inner).insert(address.port()) {
            return Ok(address);
        }
    }
}

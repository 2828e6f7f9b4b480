//! What a benchmark runs on. Everything that a run writes to belongs to it, and is made anew.

pub(crate) mod backlog;
pub(crate) mod database;
pub(crate) mod machine;
pub(crate) mod mail_sink;
pub(crate) mod milestones;
pub(crate) mod process;
pub(crate) mod realm;
pub(crate) mod relay;
pub(crate) mod scene;
pub(crate) mod settings;
pub(crate) mod vhost;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

pub(crate) use database::Database;
pub(crate) use settings::Settings;
pub(crate) use vhost::Vhost;

/// Of the run's database, vhost and realm. One run at a time, so one name: what an interrupted run left goes when the next
/// one makes its own.
pub(crate) const NAME: &str = "usher_bench";

/// Where everything lies.
pub(crate) struct Ground {
    pub(crate) settings: Settings,
    /// The release binaries, this one among them.
    pub(crate) binaries: PathBuf,
    /// Of the checkout.
    pub(crate) root: PathBuf,
}

impl Ground {
    pub(crate) fn find() -> Result<Self> {
        let executable = std::env::current_exe().context("cannot tell where usher-bench itself lies")?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("bench/ has no parent directory")?;
        Ok(Self {
            settings: Settings::from_environment()?,
            binaries: executable.parent().context("usher-bench has no directory")?.to_owned(),
            root: root.to_owned(),
        })
    }

    /// What processes write, for whoever looks for a reason.
    pub(crate) fn logs(&self) -> Result<PathBuf> {
        let logs = self.root.join(".dev/bench/log");
        std::fs::create_dir_all(&logs).with_context(|| format!("cannot create {}", logs.display()))?;
        Ok(logs)
    }
}

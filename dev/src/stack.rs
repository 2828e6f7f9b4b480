//! Where everything of the stack lies: one state directory, `.dev/`, and the binaries that cargo built.

use std::{
    fs::{self, File},
    io::ErrorKind,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use nix::unistd::Uid;

use crate::{account::Account, port_base, ports::Ports, services::usher::Crew, settings::Settings};

pub(crate) struct Stack {
    pub(crate) root: PathBuf,
    pub(crate) state: PathBuf,
    /// The files that Usher itself writes.
    pub(crate) logs: PathBuf,
    /// cargo's output directory: `dev` itself lies there, and so do the binaries of the workspace.
    pub(crate) binaries: PathBuf,
    pub(crate) ports: Ports,
    pub(crate) crew: Crew,
    pub(crate) account: Account,
    pub(crate) settings: Settings,
}

impl Stack {
    pub(crate) fn locate() -> Result<Self> {
        let settings = Settings::from_environment()?;
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("dev/ has no parent directory")?.to_owned();
        let executable = std::env::current_exe().context("cannot tell where cargo dev itself lies")?;
        let state = root.join(".dev");
        Ok(Self {
            binaries: executable.parent().context("cargo dev has no directory")?.to_owned(),
            ports: Ports::from_base(port_base::choose(settings.dev_port_base, &state))?,
            crew: Crew::USUAL,
            logs: root.join("logs"),
            root,
            account: Account::choose(&state)?,
            state,
            settings,
        })
    }

    /// Makes `.dev/` ready for the services' account.
    pub(crate) fn open(&self) -> Result<()> {
        for directory in ["", "cache", "log", "run"] {
            create(&self.state.join(directory))?;
        }
        let owner = fs::metadata(&self.state)?.uid();
        ensure!(
            Uid::effective().is_root() || Uid::effective().as_raw() == owner,
            ".dev/ belongs to another user (uid {owner}): run cargo dev as that user, or `cargo dev clean` as that user first"
        );
        self.account.ensure_reach(&self.state)
    }

    /// A directory that belongs to the services, not to whoever called `cargo dev`.
    pub(crate) fn service_directory(&self, path: &Path) -> Result<PathBuf> {
        create(path)?;
        self.account.give(path)?;
        Ok(path.to_owned())
    }

    /// Holds off a second `cargo dev` that would start or stop the same services at the same time.
    pub(crate) fn lock(&self) -> Result<File> {
        let file = File::create(self.state.join("lock")).context("cannot write to .dev/")?;
        if file.try_lock().is_err() {
            eprintln!("another cargo dev is starting or stopping services, waiting for it");
            file.lock()?;
        }
        Ok(file)
    }

    pub(crate) fn log_file(&self, name: &str) -> PathBuf {
        self.state.join("log").join(format!("{name}.log"))
    }

    pub(crate) fn run_file(&self, name: &str, kind: &str) -> PathBuf {
        self.state.join("run").join(format!("{name}.{kind}"))
    }
}

/// Open to all whatever the umask says: the services pass through these directories to reach their own.
pub(crate) fn create(path: &Path) -> Result<()> {
    match fs::create_dir(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o755))?,
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error).with_context(|| format!("cannot create {}", path.display())),
    }
    Ok(())
}

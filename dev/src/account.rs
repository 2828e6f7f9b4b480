//! Who the services run as. PostgreSQL refuses root, and nothing in this stack needs it: a run as root hands every
//! service to whoever owns the state directory, a fresh one to `nobody`; any other run keeps its own user.

use std::{
    fs,
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::Path,
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use nix::unistd::{self, Gid, Uid, User};

const UNPRIVILEGED: &str = "nobody";

#[derive(Clone, Copy)]
pub(crate) struct Account {
    dropped_to: Option<(Uid, Gid)>,
}

impl Account {
    pub(crate) fn choose(state: &Path) -> Result<Self> {
        if !Uid::effective().is_root() {
            return Ok(Self { dropped_to: None });
        }
        if let Ok(owner) = fs::metadata(state)
            && owner.uid() != 0
        {
            return Ok(Self { dropped_to: Some((Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()))) });
        }
        let user = User::from_name(UNPRIVILEGED)?
            .with_context(|| format!("this system has no user {UNPRIVILEGED}: run cargo dev as an ordinary user"))?;
        Ok(Self { dropped_to: Some((user.uid, user.gid)) })
    }

    /// The standard library clears the supplementary groups of root on the way.
    pub(crate) fn apply_to(&self, command: &mut Command) {
        if let Some((uid, gid)) = self.dropped_to {
            command.uid(uid.as_raw()).gid(gid.as_raw());
        }
    }

    pub(crate) fn give(&self, path: &Path) -> Result<()> {
        let Some((uid, gid)) = self.dropped_to else { return Ok(()) };
        unistd::chown(path, Some(uid), Some(gid)).with_context(|| format!("cannot give {} away", path.display()))
    }

    /// A checkout below a closed home directory cannot be entered by another account: said once and clearly here,
    /// instead of as "permission denied" by each service in its own way.
    pub(crate) fn ensure_reach(&self, path: &Path) -> Result<()> {
        let Some((uid, gid)) = self.dropped_to else { return Ok(()) };
        for part in path.ancestors() {
            let met = fs::metadata(part).with_context(|| format!("{} is missing", part.display()))?;
            let may_enter = match () {
                () if met.uid() == uid.as_raw() => met.mode() & 0o100,
                () if met.gid() == gid.as_raw() => met.mode() & 0o010,
                () => met.mode() & 0o001,
            };
            if may_enter == 0 {
                bail!(
                    "the services run as user {uid}, who cannot enter {}: \
                     run cargo dev as the ordinary user who owns the checkout, or put the checkout below /opt",
                    part.display()
                );
            }
        }
        Ok(())
    }
}

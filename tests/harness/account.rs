//! Who the servers of a test run as. They refuse root, or have no need of it: tests that run as root hand them to
//! `nobody`.

use std::{os::unix::fs::chown, path::Path};

use nix::unistd::{Uid, User};
use tokio::process::Command;

#[derive(Clone, Default)]
pub struct Account {
    dropped_to: Option<User>,
}

impl Account {
    pub fn unprivileged() -> Self {
        let nobody = || User::from_name("nobody").expect("users can be looked up").expect("this system has a nobody");
        Self { dropped_to: Uid::effective().is_root().then(nobody) }
    }

    /// The standard library clears the supplementary groups of root on the way.
    pub fn apply_to(&self, command: &mut Command) {
        if let Some(user) = &self.dropped_to {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
    }

    pub fn give(&self, path: &Path) {
        if let Some(user) = &self.dropped_to {
            chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).expect("root can give its files away");
        }
    }
}

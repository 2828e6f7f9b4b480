//! How `cargo dev`, itself run by cargo, calls cargo.

use std::process::Command;

use crate::stack::Stack;

/// Queries are checked against the committed answers, not against whatever database the environment names.
const SQLX_OFFLINE: (&str, &str) = ("SQLX_OFFLINE", "true");

/// What `cargo run` tells its program about the package `dev`. Build scripts that look at these names would run again
/// with every change between this way of calling cargo and the plain one.
const ABOUT_DEV: [&str; 2] = ["CARGO_PKG_", "CARGO_MANIFEST_"];

pub(crate) fn command(stack: &Stack) -> Command {
    let mut cargo = Command::new(&stack.settings.cargo);
    cargo.current_dir(&stack.root).env(SQLX_OFFLINE.0, SQLX_OFFLINE.1);
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(|name| ABOUT_DEV.iter().any(|prefix| name.starts_with(prefix))) {
            cargo.env_remove(name);
        }
    }
    cargo
}

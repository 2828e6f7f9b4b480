//! What `cargo dev` itself takes from its environment.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Settings {
    /// Every port of the stack is this number plus a fixed offset (`ports.rs`).
    pub(crate) dev_port_base: Option<u16>,
    /// Who sends the set-up mails, as `.env.example` has it.
    pub(crate) mail_via: Option<String>,
    pub(crate) java_home: Option<PathBuf>,
    #[serde(default)]
    pub(crate) maven_opts: String,
    /// The authorities this system trusts, where they are not in the usual file.
    pub(crate) ssl_cert_file: Option<PathBuf>,
    /// Set by cargo: the same cargo builds the workspace.
    #[serde(default = "default_cargo")]
    pub(crate) cargo: PathBuf,
    pub(crate) path: String,
}

impl Settings {
    pub(crate) fn from_environment() -> Result<Self> {
        envy::from_env().context("DEV_PORT_BASE must be a port number")
    }
}

fn default_cargo() -> PathBuf {
    "cargo".into()
}

//! Keeps one checkout on one set of ports: its services listen there, and Keycloak's realm knows the api by its port.

use std::{fs, path::Path};

use anyhow::{Result, bail};

use crate::{process, services, stack::Stack};

const DEFAULT: u16 = 25_000;
const FILE: &str = "port-base";

/// The ports of this run: what the environment asks for, else what the state directory was made with.
pub(crate) fn choose(asked: Option<u16>, state: &Path) -> u16 {
    asked.or_else(|| remembered(state)).unwrap_or(DEFAULT)
}

/// Called before anything starts.
pub(crate) fn settle(stack: &Stack) -> Result<()> {
    let wanted = stack.ports.api;
    match remembered(&stack.state) {
        Some(base) if base != wanted => ensure_movable(stack, base)?,
        _ => {}
    }
    Ok(fs::write(stack.state.join(FILE), wanted.to_string())?)
}

fn ensure_movable(stack: &Stack, base: u16) -> Result<()> {
    if services::all(stack).iter().any(|service| process::running(stack, service.name).is_some()) {
        bail!("services of this checkout run with DEV_PORT_BASE={base}: leave it unset, or cargo dev down first");
    }
    if services::keycloak::has_realm(stack) {
        bail!(
            "the state in .dev/ was made with DEV_PORT_BASE={base}, and its Keycloak knows the api by it: \
             leave it unset, or cargo dev clean first"
        );
    }
    Ok(())
}

fn remembered(state: &Path) -> Option<u16> {
    fs::read_to_string(state.join(FILE)).ok()?.trim().parse().ok()
}

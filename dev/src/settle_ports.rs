//! Keeps one checkout on one set of ports: its services listen there, and Keycloak's realm knows the api by its port.

use std::fs;

use anyhow::{Result, bail};

use crate::{
    port_base::{FILE, remembered},
    process, services,
    stack::Stack,
};

/// Called before anything starts.
pub(crate) fn settle_ports(stack: &Stack) -> Result<()> {
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

//! The one number that all ports of a checkout follow from.

use std::{fs, path::Path};

const DEFAULT: u16 = 25_000;
pub(crate) const FILE: &str = "port-base";

/// The ports of this run: what the environment asks for, else what the state directory was made with.
pub(crate) fn choose(asked: Option<u16>, state: &Path) -> u16 {
    asked.or_else(|| remembered(state)).unwrap_or(DEFAULT)
}

pub(crate) fn remembered(state: &Path) -> Option<u16> {
    fs::read_to_string(state.join(FILE)).ok()?.trim().parse().ok()
}

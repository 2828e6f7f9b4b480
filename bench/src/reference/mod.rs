//! What Usher is compared with.

pub(crate) mod direct;
pub(crate) mod handler;
pub(crate) mod pgbench;
pub(crate) mod publisher;
pub(crate) mod stub;

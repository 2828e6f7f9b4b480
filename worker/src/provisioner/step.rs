//! What the steps of a run have in common: how they stop it, and what they need to begin.

use std::{future::Future, time::Duration};

use shared::{
    store::{
        StoreError,
        provisioning::{ClaimedUser, Fenced},
    },
    telemetry::MILESTONE,
};
use tokio::time::Instant;

use super::Provisioner;
use crate::{
    insist::insist,
    outcome::{Failure, Step},
};

/// Why a run stops before its end.
pub(super) enum Stop {
    Failed(Failure),
    Overtaken,
    Store(StoreError),
}

impl From<StoreError> for Stop {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Provisioner {
    /// Writes what is known, for as long as the lease may last.
    pub(super) async fn insist<T, Answer>(&self, write: impl Fn() -> Answer) -> Result<T, StoreError>
    where
        Answer: Future<Output = Result<T, StoreError>>,
    {
        insist(self.config.lease, &self.closing, write).await
    }
}

/// Whether what was claimed stays ours for the whole of the next step, by a clock that goes on while we are stopped.
pub(super) fn ours_for(step: Step, takes: Duration, lease_end: Instant) -> Result<(), Failure> {
    if Instant::now() + takes < lease_end { Ok(()) } else { Err(Failure::LeaseTooShort { step }) }
}

pub(super) fn fenced(written: Fenced) -> Result<(), Stop> {
    match written {
        Fenced::Written => Ok(()),
        Fenced::Lost => Err(Stop::Overtaken),
    }
}

pub(super) fn milestone(user: &ClaimedUser, milestone: &'static str) {
    tracing::debug!(target: MILESTONE, milestone, "user.id" = %user.id, "a user came further");
}

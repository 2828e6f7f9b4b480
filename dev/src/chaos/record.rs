//! What happened when, for the report and its picture. Times are seconds since the beginning.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use tokio::time::Instant;

use super::victim::Victim;

#[derive(Clone)]
pub(super) struct Record {
    pub(super) began: Instant,
    noted: Arc<Mutex<Noted>>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Noted {
    pub(super) attempted: Vec<f64>,
    pub(super) acknowledged: Vec<f64>,
    pub(super) samples: Vec<Sample>,
    pub(super) faults: Vec<Fault>,
    /// Who ended without being killed, after having been of use.
    pub(super) ended: Vec<Ended>,
    /// Registrations that were answered with neither a 2xx nor "later".
    pub(super) refused: Vec<String>,
    pub(super) healed: Option<f64>,
    pub(super) quiet: Option<f64>,
}

/// How far everything is; `None` where nobody answered.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Sample {
    pub(super) at: f64,
    pub(super) outbox: Option<u64>,
    pub(super) queued: Option<u64>,
    pub(super) provisioned: Option<u64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Fault {
    pub(super) victim: Victim,
    pub(super) killed: f64,
    /// Since when it is of use again.
    pub(super) ready: Option<f64>,
}

#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Ended {
    pub(super) victim: Victim,
    pub(super) at: f64,
}

impl Record {
    pub(super) fn begin() -> Self {
        Self { began: Instant::now(), noted: Arc::default() }
    }

    pub(super) fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    pub(super) fn heals(&self) {
        self.noted().healed = Some(self.now());
    }

    pub(super) fn is_quiet(&self) {
        self.noted().quiet = Some(self.now());
    }

    pub(super) fn ended(&self, victim: Victim) {
        self.noted().ended.push(Ended { victim, at: self.now() });
    }

    pub(super) fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Noted {
    /// The last one that was not noted as back.
    pub(super) fn is_back(&mut self, victim: Victim, now: f64) {
        let open = self.faults.iter_mut().rev().filter(|fault| fault.victim == victim);
        open.take_while(|fault| fault.ready.is_none()).for_each(|fault| fault.ready = Some(now));
    }

    pub(super) fn latest(&self, part: impl Fn(&Sample) -> Option<u64>) -> u64 {
        self.samples.iter().rev().find_map(part).unwrap_or_default()
    }
}

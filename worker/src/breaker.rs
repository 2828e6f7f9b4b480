//! Circuit breakers: when a downstream is down, nobody is sent there but one probe at a time.
//!
//! Closed, everybody passes. After some failures in a row it opens; when its time is over, one probe passes. If that
//! succeeds, those behind it pass one, two, four, … at a time, so that a backlog does not fell what just got up.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

use crate::config::breaker::BreakerConfig;

/// From here on the ramp is over.
const RAMPED_UP: usize = 64;

pub struct Breaker {
    name: &'static str,
    config: BreakerConfig,
    state: Mutex<State>,
    open: watch::Sender<bool>,
    left: Notify,
}

/// What is known, without a clock of its own.
struct State {
    phase: Phase,
    /// In a row, while closed.
    failures: u32,
    /// In a row, for the time it stays open.
    openings: u32,
    inside: usize,
    limit: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Closed,
    Open { until: Instant },
    Probing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Passed { probe: bool },
    Full,
    Opened,
}

impl State {
    const NEW: Self = Self { phase: Phase::Closed, failures: 0, openings: 0, inside: 0, limit: usize::MAX };

    fn enter(&mut self, now: Instant) -> Entry {
        let probe = match self.phase {
            Phase::Closed if self.inside >= self.limit => return Entry::Full,
            Phase::Closed => false,
            Phase::Open { until } if now >= until => true,
            Phase::Open { .. } | Phase::Probing => return Entry::Opened,
        };
        if probe {
            self.phase = Phase::Probing;
        }
        self.inside += 1;
        Entry::Passed { probe }
    }

    fn succeeded(&mut self, probe: bool) {
        if probe {
            *self = Self { phase: Phase::Closed, failures: 0, openings: 0, limit: 1, ..*self };
        }
        if self.phase == Phase::Closed {
            self.failures = 0;
            // One more for each that succeeds: when all who were inside have, twice as many pass.
            self.limit = if self.limit >= RAMPED_UP { usize::MAX } else { self.limit + 1 };
        }
    }

    /// Says whether it opens, and stays so for a pause that the caller knows.
    fn failed(&mut self, probe: bool, threshold: u32) -> bool {
        if !probe && self.phase != Phase::Closed {
            // Entered before it opened; says nothing new.
            return false;
        }
        self.failures += 1;
        let opens = probe || self.failures >= threshold;
        if opens {
            self.failures = 0;
            self.openings = self.openings.saturating_add(1);
        }
        opens
    }

    fn left(&mut self, unsettled_probe: bool, now: Instant) {
        self.inside -= 1;
        if unsettled_probe {
            // The probe learned nothing; the next one may go at once.
            self.phase = Phase::Open { until: now };
        }
    }
}

/// The breaker is open; nobody passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened;

impl Breaker {
    pub fn new(name: &'static str, config: BreakerConfig) -> Self {
        Self { name, config, state: Mutex::new(State::NEW), open: watch::Sender::new(false), left: Notify::new() }
    }

    /// Waits for room on the ramp; never waits for an open breaker to close.
    pub async fn enter(&self) -> Result<Pass<'_>, Opened> {
        loop {
            let mut room = std::pin::pin!(self.left.notified());
            // Interest comes before the look, or the one who leaves in between is missed.
            room.as_mut().enable();
            let entry = self.lock().enter(Instant::now());
            match entry {
                Entry::Passed { probe } => return Ok(Pass { breaker: self, probe, settled: false }),
                Entry::Opened => return Err(Opened),
                Entry::Full => room.await,
            }
        }
    }

    /// Whether it is open, a probe being on its way included.
    pub fn is_open(&self) -> bool {
        *self.open.borrow()
    }

    /// How long until a probe may pass; `None` when it is closed.
    pub fn reopens_in(&self) -> Option<Duration> {
        match self.lock().phase {
            Phase::Closed => None,
            Phase::Open { until } => Some(until.saturating_duration_since(Instant::now())),
            Phase::Probing => Some(self.config.open.delay(1)),
        }
    }

    /// To wait for a change.
    pub fn watch(&self) -> watch::Receiver<bool> {
        self.open.subscribe()
    }

    fn succeeded(&self, probe: bool) {
        self.lock().succeeded(probe);
        if probe {
            tracing::info!(breaker = self.name, "closed: the downstream answers again");
            self.open.send_replace(false);
        }
    }

    fn failed(&self, probe: bool) {
        let mut state = self.lock();
        if state.failed(probe, self.config.failures) {
            let pause = self.config.open.delay(state.openings);
            state.phase = Phase::Open { until: Instant::now() + pause };
            tracing::warn!(breaker = self.name, openings = state.openings, ?pause, "open: the downstream is down");
            self.open.send_replace(true);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to call the downstream once. Dropped without a word it says nothing about the downstream.
#[must_use]
pub struct Pass<'a> {
    breaker: &'a Breaker,
    probe: bool,
    settled: bool,
}

impl Pass<'_> {
    /// The downstream answered.
    pub fn succeeded(mut self) {
        self.settled = true;
        self.breaker.succeeded(self.probe);
    }

    /// The downstream is at fault.
    pub fn failed(mut self) {
        self.settled = true;
        self.breaker.failed(self.probe);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.breaker.lock().left(self.probe && !self.settled, Instant::now());
        self.breaker.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(state: &mut State, now: Instant) -> bool {
        matches!(state.enter(now), Entry::Passed { .. })
    }

    /// One call from beginning to end.
    fn call(state: &mut State, now: Instant, good: bool) {
        let Entry::Passed { probe } = state.enter(now) else { panic!("nobody passes") };
        if good {
            state.succeeded(probe);
        } else if state.failed(probe, 3) {
            state.phase = Phase::Open { until: now + Duration::from_secs(1) };
        }
        state.left(false, now);
    }

    fn opened(now: Instant) -> State {
        let mut state = State::NEW;
        (0..3).for_each(|_| call(&mut state, now, false));
        state
    }

    #[test]
    fn opens_after_failures_in_a_row_only() {
        let (mut state, now) = (State::NEW, Instant::now());
        for good in [false, false, true, false, false, true, false, false] {
            call(&mut state, now, good);
        }
        assert_eq!(state.phase, Phase::Closed);
        call(&mut state, now, false);
        assert_eq!(state.enter(now), Entry::Opened);
    }

    #[test]
    fn one_probe_passes_when_the_pause_is_over() {
        let now = Instant::now();
        let (mut state, later) = (opened(now), now + Duration::from_secs(1));
        assert_eq!(state.enter(later), Entry::Passed { probe: true });
        assert_eq!(state.enter(later), Entry::Opened);
        assert!(state.failed(true, 3), "a probe that fails opens it at once");
        assert_eq!(state.openings, 2);
    }

    #[test]
    fn a_probe_that_learned_nothing_makes_room_for_the_next() {
        let now = Instant::now();
        let (mut state, later) = (opened(now), now + Duration::from_secs(1));
        assert_eq!(state.enter(later), Entry::Passed { probe: true });
        state.left(true, later);
        assert_eq!(state.enter(later), Entry::Passed { probe: true });
    }

    #[test]
    fn who_entered_before_it_opened_changes_nothing() {
        let (mut state, now) = (State::NEW, Instant::now());
        assert!(passed(&mut state, now));
        (0..3).for_each(|_| call(&mut state, now, false));
        state.succeeded(false);
        assert!(!state.failed(false, 3));
        assert_eq!(state.enter(now), Entry::Opened);
    }

    #[test]
    fn recovery_ramps_up() {
        let now = Instant::now();
        let (mut state, later) = (opened(now), now + Duration::from_secs(1));
        call(&mut state, later, true);
        assert_eq!([passed(&mut state, later), passed(&mut state, later)], [true, true]);
        assert_eq!(state.enter(later), Entry::Full);
        for twice_as_many in [4, 8, 16, 32] {
            (0..twice_as_many / 2).for_each(|_| {
                state.succeeded(false);
                state.left(false, later);
            });
            assert_eq!((0..100).filter(|_| passed(&mut state, later)).count(), twice_as_many);
        }
    }

    #[tokio::test]
    async fn whoever_waits_for_room_gets_it() {
        let open = shared::backoff::Backoff::try_new(Duration::from_millis(1), Duration::from_millis(1)).unwrap();
        let breaker = Breaker::new("test", BreakerConfig { failures: 3, open });
        breaker.lock().limit = 1;
        let first = breaker.enter().await.ok().unwrap();
        let (second, ()) = tokio::join!(breaker.enter(), async { drop(first) });
        assert!(second.is_ok());
    }
}

//! How many sends may have lost their answer by our doing: the bound of the duplicates.
//!
//! A mail is sent by three: the worker who asks, Keycloak who answers, and PostgreSQL where the answer is noted down.
//! When one of them dies, a send in flight may stay without a recorded answer for ever, and the mail be sent again. So
//! much is allowed, and no more: a send without an answer that was in flight at no kill is a defect.
//!
//! The kill itself cannot be seen in the rows at the very moment. Before it, a look tells which sends are without an
//! answer for another reason: begun earlier, their user let go of, at no kill in flight ([`Ledger::look`]). These are
//! never excused. [`REACH`] after the victim is gone, every other send without an answer is ([`Ledger::excuse`]): by
//! then the last statement of a dead worker is committed or rolled back, and the workers have seen that Keycloak hung
//! up. A PostgreSQL that was killed is asked when it is back. A send that is excused and answered after all, by
//! another worker than the dead one, excuses nothing later. Kills that follow closely share one look.
//!
//! Beside these, a send is excused that its worker gave up when its time was over ([`timeouts`]): that is the other way
//! in which an answer never comes. All of it is by user, so that what one lost excuses nobody else.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::Result;
use checker::{Places, read::Unanswered};
use serde::Serialize;
use tokio::{sync::Mutex, time::sleep};
use uuid::Uuid;

use super::timeouts;
use crate::stack::Stack;

/// After a victim is gone, as long as a death is felt by a send.
const REACH: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(50);
/// For a look before a kill: a database that is down is not waited for.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

pub(super) struct Losses {
    places: Places,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    ledger: Ledger,
    /// Kills that began and are not done.
    killing: usize,
    /// When what was killed is felt no more; `None` when everything was excused.
    felt_until: Option<Instant>,
}

impl Losses {
    pub(super) fn new(places: Places) -> Self {
        Self { places, state: Mutex::default() }
    }

    /// To be called before somebody is killed who may cut a send off.
    pub(super) async fn a_kill_begins(&self) {
        let mut state = self.state.lock().await;
        if state.killing == 0
            && state.felt_until.is_none()
            && let Ok(Ok(unanswered)) = tokio::time::timeout(LOOK_WITHIN, self.places.unanswered()).await
        {
            state.ledger.look(&unanswered);
        }
        state.killing += 1;
    }

    /// The victim is gone.
    pub(super) async fn a_kill_is_done(&self) {
        let mut state = self.state.lock().await;
        state.killing -= 1;
        state.felt_until = Some(Instant::now() + REACH);
    }

    /// Excuses what each kill cut off, as soon as it can be known. For ever.
    pub(super) async fn watch(&self) {
        loop {
            self.excuse_if_due().await;
            sleep(POLL).await;
        }
    }

    async fn excuse_if_due(&self) {
        let mut state = self.state.lock().await;
        if state.killing > 0 || state.felt_until.is_none_or(|until| Instant::now() < until) {
            return;
        }
        if let Ok(unanswered) = self.places.unanswered().await {
            state.ledger.excuse(&unanswered);
            state.felt_until = None;
        }
    }

    /// At the end: how many of the sends that stayed without an answer are excused.
    pub(super) async fn excused(&self, ground: &Stack) -> Result<Excused> {
        while self.state.lock().await.felt_until.is_some() {
            self.excuse_if_due().await;
            sleep(POLL).await;
        }
        let unanswered = self.places.unanswered().await?;
        let timeouts = timeouts::read(ground)?;
        Ok(self.state.lock().await.ledger.excused(&unanswered, &timeouts))
    }
}

/// Sends that stayed without a recorded answer, and why they may.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Excused {
    pub(super) cut_off: u32,
    pub(super) timed_out: u32,
}

/// Pure, so that it can be tested.
#[derive(Default)]
struct Ledger {
    /// By user.
    excused: BTreeMap<Uuid, i32>,
    /// By user: sends that no kill can be blamed for.
    unexcused: BTreeMap<Uuid, i32>,
}

impl Ledger {
    /// Before a kill.
    fn look(&mut self, unanswered: &[Unanswered]) {
        self.forget_answered(unanswered);
        self.unexcused.clear();
        for row in unanswered {
            // Of a user who is leased, the last send may still be answered.
            let lost = row.sends - i32::from(row.is_leased) - self.excused.get(&row.user).unwrap_or(&0);
            if lost > 0 {
                self.unexcused.insert(row.user, lost);
            }
        }
    }

    /// After a kill.
    fn excuse(&mut self, unanswered: &[Unanswered]) {
        self.forget_answered(unanswered);
        for row in unanswered {
            let excused = row.sends - self.unexcused.get(&row.user).unwrap_or(&0);
            self.excused.insert(row.user, excused.max(0));
        }
    }

    fn forget_answered(&mut self, unanswered: &[Unanswered]) {
        let sends: BTreeMap<_, _> = unanswered.iter().map(|row| (row.user, row.sends)).collect();
        self.excused.retain(|user, excused| {
            *excused = (*excused).min(sends.get(user).copied().unwrap_or(0));
            *excused > 0
        });
    }

    /// At the end.
    fn excused(&mut self, unanswered: &[Unanswered], timeouts: &BTreeMap<Uuid, i32>) -> Excused {
        self.forget_answered(unanswered);
        let of = |sends: &BTreeMap<Uuid, i32>, user| sends.get(user).copied().unwrap_or(0);
        let mut total = Excused::default();
        for row in unanswered {
            let cut_off = of(&self.excused, &row.user);
            let timed_out = of(timeouts, &row.user).min(row.sends - cut_off);
            total.cut_off += cut_off.unsigned_abs();
            total.timed_out += timed_out.unsigned_abs();
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOBODY: [Unanswered; 0] = [];

    fn cut_off(ledger: &mut Ledger, unanswered: &[Unanswered]) -> u32 {
        ledger.excused(unanswered, &BTreeMap::new()).cut_off
    }

    fn row(sends: i32, is_leased: bool) -> [Unanswered; 1] {
        [Unanswered { user: Uuid::nil(), sends, is_leased }]
    }

    #[test]
    fn a_send_in_flight_at_a_kill_is_excused_once() {
        let mut ledger = Ledger::default();
        ledger.look(&row(1, true));
        ledger.excuse(&row(1, true));
        // Another kill before its lease ends.
        ledger.look(&row(1, true));
        ledger.excuse(&row(1, true));
        assert_eq!(cut_off(&mut ledger, &row(2, false)), 1);
    }

    #[test]
    fn a_send_that_began_after_the_look_is_excused() {
        let mut ledger = Ledger::default();
        ledger.look(&NOBODY);
        ledger.excuse(&row(1, false));
        assert_eq!(cut_off(&mut ledger, &row(1, false)), 1);
    }

    #[test]
    fn a_send_that_was_lost_before_the_kill_is_not_excused_by_it() {
        let mut ledger = Ledger::default();
        ledger.look(&row(1, false));
        ledger.excuse(&row(1, false));
        assert_eq!(cut_off(&mut ledger, &row(1, false)), 0);
        // Nor by a later one, at which another send is in flight.
        ledger.look(&row(2, true));
        ledger.excuse(&row(2, true));
        assert_eq!(cut_off(&mut ledger, &row(2, false)), 1);
    }

    #[test]
    fn a_send_that_is_answered_after_all_excuses_nothing_later() {
        let mut ledger = Ledger::default();
        ledger.look(&row(1, true));
        ledger.excuse(&row(1, true));
        ledger.look(&NOBODY);
        ledger.excuse(&NOBODY);
        assert_eq!(cut_off(&mut ledger, &row(1, false)), 0);
    }

    #[test]
    fn the_same_user_may_be_cut_off_twice() {
        let mut ledger = Ledger::default();
        for sends in 1..=2 {
            ledger.look(&row(sends, true));
            ledger.excuse(&row(sends, true));
        }
        assert_eq!(cut_off(&mut ledger, &row(2, false)), 2);
    }
    #[test]
    fn a_send_that_timed_out_is_excused_for_its_own_user_and_once() {
        let timeouts = BTreeMap::from([(Uuid::nil(), 2), (Uuid::max(), 1)]);
        let mut ledger = Ledger::default();
        assert_eq!(ledger.excused(&row(3, false), &timeouts), Excused { cut_off: 0, timed_out: 2 });
        ledger.excuse(&row(1, true));
        assert_eq!(ledger.excused(&row(2, false), &timeouts), Excused { cut_off: 1, timed_out: 1 });
    }
}

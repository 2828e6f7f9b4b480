//! The model: from every state, what can happen, and what that leads to.

use stateright::{Model, Property};

use crate::{
    account,
    action::{Action, Kind},
    consumer, faults,
    guard::{Guard, Guards},
    properties, provisioner, registrations, relay,
    state::{Event, State, User},
};

/// Usher with its surroundings, within bounds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Protocol<const USERS: usize, const WORKERS: usize> {
    pub bounds: Bounds,
    pub guards: Guards,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct Bounds {
    /// How many requests for another mail are granted to one user.
    pub mail_requests: u8,
    /// Whether requests to Keycloak may outlive their senders.
    pub late: bool,
    /// Whether only the relay and the broker may fail.
    pub only_events_fail: bool,
    /// Whether every state is looked at that differs from another only in who is who.
    pub named: bool,
}

impl<const USERS: usize, const WORKERS: usize> Protocol<USERS, WORKERS> {
    pub fn within(bounds: Bounds) -> Self {
        Self { bounds, guards: Guards::default() }
    }

    #[must_use]
    pub fn without(self, guards: &'static [Guard]) -> Self {
        Self { guards: Guards { without: guards }, ..self }
    }

    fn happens(&self, action: Action) -> bool {
        let fails_elsewhere = action.kind() == Kind::Fault && !matches!(action, Action::PutBack { .. });
        !(self.bounds.only_events_fail && fails_elsewhere)
    }

    fn apply(&self, state: &mut State<USERS, WORKERS>, action: Action) {
        let guards = self.guards;
        let users = &mut state.users;
        match action {
            Action::Register { user } => registrations::register(guards, &mut users[user]),
            Action::RequestMail { user } => registrations::request_mail(guards, &mut users[user]),
            Action::StrangerTakesName { user } => users[user].accounts.strangers = true,
            Action::Commit { user } => registrations::insert(guards, &mut users[user]),
            Action::WriteEvent { user } => relay::put_back(&mut users[user].outbox[Event::UserCreated as usize]),
            Action::Publish { user, event } => relay::publish(&mut users[user], event),
            Action::Settle { user, event } => relay::settle(&mut users[user].outbox[event as usize]),
            Action::Claim { worker, user } => consumer::claim(state, worker, user),
            Action::DeliverInVain { user } => users[user].queued = false,
            Action::Take { worker, answer, .. } => provisioner::go_on(guards, state, worker, answer),
            Action::StopInTime { worker } => provisioner::stop_in_time(state, worker),
            Action::EndLease { user } => faults::end_lease(&mut users[user].row),
            Action::Crash { worker } => faults::crash(state, worker, false),
            Action::CrashInFlight { worker } => faults::crash(state, worker, true),
            Action::Oversleep { worker } => faults::oversleep(state, worker),
            Action::PutBack { user, event } | Action::ForgetCommit { user, event } => {
                relay::put_back(&mut users[user].outbox[event as usize]);
            }
            Action::LoseQueues => faults::lose_queues(state),
            Action::Arrive { user, request } => faults::arrive(guards, &mut users[user], request),
        }
    }
}

impl<const USERS: usize, const WORKERS: usize> Model for Protocol<USERS, WORKERS> {
    type State = State<USERS, WORKERS>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        vec![State { users: [User::default(); USERS], workers: [None; WORKERS] }]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Action>) {
        for (user, it) in state.users.iter().enumerate() {
            registrations::possible(self.guards, self.bounds.mail_requests, user, it, actions);
            account::possible(it.accounts, user, actions);
            relay::possible(self.guards, user, it, actions);
            let idle = (0..WORKERS).filter(|worker| state.workers[*worker].is_none());
            consumer::possible(self.guards, idle, user, it, actions);
        }
        for (worker, run) in state.workers.iter().enumerate() {
            if let Some(run) = run {
                provisioner::possible(self.bounds.late, worker, *run, actions);
            }
        }
        faults::leases(state, actions);
        faults::possible(state, self.bounds.late, actions);
        actions.retain(|action| self.happens(*action));
    }

    fn next_state(&self, state: &Self::State, action: Action) -> Option<Self::State> {
        let mut next = *state;
        self.apply(&mut next, action);
        next.forget(self.bounds);
        Some(if self.bounds.named { next } else { next.nameless() })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties::all()
    }
}

//! The protocol by which Usher keeps its promise, as a model small enough to look at every state it can reach.
//!
//! The tests of `tests/` show that the code does what it should on the ways they take. Here no process runs; instead
//! every order is tried in which api, relays, broker, workers, Keycloak and time can follow each other, with faults
//! between any two steps. `cargo test -p model` says in one line what it saw of each world; when something is broken it
//! tells the shortest way there, step by step, in the names of the code.
//!
//! # What stands for what
//!
//! | here | there |
//! |---|---|
//! | `registrations` | `shared/src/store/registrations.rs`, `register`; `shared/src/store/mail_requests.rs`, `request` |
//! | `relay` | `worker/src/relay.rs`, `publish_batch`; `shared/src/store/outbox.rs`; the broker's confirm |
//! | `consumer` | `worker/src/consumer.rs`, `work`; `worker/src/sweep.rs`; `shared/src/store/provisioning.rs`, `claim` |
//! | `provisioner` | `worker/src/provisioner/`, `walk`, `give_up_for_now`; the writes after the claim |
//! | `account` | `worker/src/account.rs`, `ensure`; Keycloak's accounts |
//! | `faults` | what goes wrong, in any order and as often as it likes |
//! | `properties`, `ends` | the promise of ARCHITECTURE.md |
//! | `guard`, `places` | the lines that keep it; each is taken away once, and the tests say what breaks then |
//!
//! # What goes wrong
//!
//! A worker dies between any two steps, or loses the database, which is the same. It is frozen, or slow, past the end of
//! its lease, and goes on afterwards. Keycloak does not answer, refuses, or has done what was asked and cannot say so;
//! a request reaches it when its sender is gone. The broker refuses a message, delivers it twice, ten times or to two
//! workers at once, or loses its queues. PostgreSQL forgets a commit of the relay, which asks for no more than that. A
//! stranger takes the username while it is free.
//!
//! # What is bounded, and why that is enough
//!
//! * *Crashes, lost answers, ends of leases and redeliveries are not*: any number of each. Two crashes are among them.
//! * Two users and two workers, each at one user at a time. Users share nothing but workers and queues. A worker at two
//!   users is two workers who crash at the same time. A third run of one user is looked at in a world of his own.
//! * Requests for another mail, one or two, are looked at there too: they concern nobody else.
//! * `claim_no` only grows and is only compared, so all of it that counts is whether a run's is still the row's.
//! * `mail_attempts` and `mail_answered` only grow; what counts is how many mails may still leave unseen. Tries that can
//!   lead to no mail any more are dropped, which makes the check stricter.
//! * A time is in the future or is not, and may cease to be at any moment. So nobody waits for `next_attempt_at`: a
//!   user is due, or is found not to be.
//! * Copies of an event are not counted: a user has some in the queues, or none.
//! * A batch of the relay is not kept together: its rows moving one by one include their moving at once.
//! * States in which only other users or workers have the same parts are looked at once (`alike`).
//!
//! # What is left out
//!
//! What only delays (backoff, snooze, breakers, prefetch: a step may always wait), the budget of attempts (it parks
//! whom workers keep dying of) and the operator's replay, dead letters, idempotency keys, passwords, and accounts that
//! are deleted or changed by an administrator. Taken for granted: PostgreSQL keeps what it committed, a statement is
//! atomic, Keycloak gives a name away once, and says that no mail left only when none did.

pub mod action;
pub mod guard;
pub mod places;
pub mod state;

mod account;
mod consumer;
mod faults;
mod mails;
mod provisioner;
mod registrations;
mod relay;

mod alike;
pub mod protocol;

pub mod check;
mod ends;
pub mod graph;
pub mod properties;

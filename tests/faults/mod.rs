//! The faults that such a service meets, one named test each.
//!
//! Every test says what the user saw (a 2xx that was kept, or a clear 503), what the operator saw, and that all healed
//! without a restart; a `harness::witness::Witness` counts at the end that nobody was lost, doubled,
//! hijacked or stuck. What a process does that dies at a given step stands in `crash_points`; what many of them do that
//! die at random, `cargo dev chaos` shows.

mod backlog;
mod broker;
mod keycloak;
mod mail;
mod messages;
mod network;
mod postgres;
mod processes;

mod scene;

//! Lines are cut, delayed, or swallow everything.

mod broker;
mod keycloak;
mod postgres;

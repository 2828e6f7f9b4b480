//! What a rule takes and what it refuses, by example: for the tests of the rule itself, of the description of the
//! interface, and of Keycloak, which must take whatever we take.

/// Each rule has one such table.
#[derive(Debug)]
pub struct Examples<E: 'static> {
    /// What is typed, and what is kept of it.
    pub accepted: &'static [(&'static str, &'static str)],
    /// What is typed, and why it is refused.
    pub refused: &'static [(&'static str, E)],
}

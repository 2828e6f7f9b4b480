//! Names for the databases, vhosts and realms that a test owns.
//!
//! What a process could not remove any more, the next one clears away. The name says whose it is, so that nobody takes
//! from a process that is still running.

use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use uuid::Uuid;

const PREFIX: &str = "usher_test_";

pub fn own_name() -> String {
    format!("{PREFIX}{}_{}", Pid::this(), Uuid::new_v4().simple())
}

/// Made by a process that is not there any more.
pub fn is_left_over(name: &str) -> bool {
    let owner = name.strip_prefix(PREFIX).and_then(|rest| rest.split('_').next()).and_then(|id| id.parse().ok());
    owner.is_some_and(|owner| kill(Pid::from_raw(owner), None) == Err(Errno::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_owns_is_left_over() {
        assert!(!is_left_over(&own_name()));
        assert!(!is_left_over("usher"));
        assert!(is_left_over(&format!("{PREFIX}{}_0", i32::MAX)));
    }
}

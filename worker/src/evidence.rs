//! What the answers to other users say about the answer to this one.

use std::collections::HashMap;

use shared::domain::user::UserId;

/// So many users in a row with the same refusal: the fault is not theirs.
const ALIKE: usize = 3;
/// Users whose failed mail is remembered. Forgetting one costs nothing: its next failure is taken for the outage's.
const REMEMBERED: usize = 10_000;

/// Kept in memory: a worker that just started has seen nothing and blames nobody.
#[derive(Default)]
pub struct Evidence {
    accounts: Refusals,
    mails: Refusals,
    mails_accepted: u64,
    failed_mails: HashMap<UserId, u64>,
}

impl Evidence {
    /// Keycloak created or knew an account.
    pub fn account_made(&mut self) {
        self.accounts.forget();
    }

    /// Keycloak refused an account. Says whether several users in a row got this very refusal.
    pub fn account_refused(&mut self, user: UserId, refusal: &str) -> bool {
        self.accounts.are_alike(user, refusal)
    }

    /// A mail server refused a mail. Says whether several users in a row got this very refusal.
    pub fn mail_refused(&mut self, user: UserId, refusal: &str) -> bool {
        self.mails.are_alike(user, refusal)
    }

    /// A mail was accepted.
    pub fn mail_accepted(&mut self, user: UserId) {
        self.mails_accepted += 1;
        self.mails.forget();
        self.failed_mails.remove(&user);
    }

    /// A mail failed. Says whether mails of others were accepted since this user's last failure.
    pub fn mail_failed(&mut self, user: UserId) -> bool {
        if self.failed_mails.len() >= REMEMBERED {
            self.failed_mails.clear();
        }
        let before = self.failed_mails.insert(user, self.mails_accepted);
        before.is_some_and(|accepted| accepted < self.mails_accepted)
    }
}

/// Who was refused in a row, in the same words.
#[derive(Default)]
struct Refusals {
    refusal: String,
    refused: Vec<UserId>,
}

impl Refusals {
    fn forget(&mut self) {
        self.refused.clear();
    }

    fn are_alike(&mut self, user: UserId, refusal: &str) -> bool {
        if self.refusal != refusal {
            refusal.clone_into(&mut self.refusal);
            self.refused.clear();
        }
        if !self.refused.contains(&user) && self.refused.len() < ALIKE {
            self.refused.push(user);
        }
        self.refused.len() == ALIKE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_users_in_a_row_speak_for_each_other() {
        let mut evidence = Evidence::default();
        let users: Vec<UserId> = std::iter::repeat_with(UserId::generate).take(5).collect();
        assert!(!evidence.account_refused(users[0], "too short"));
        assert!(!evidence.account_refused(users[0], "too short"));
        assert!(!evidence.account_refused(users[1], "too short"));
        assert!(evidence.account_refused(users[2], "too short"));
        assert!(!evidence.account_refused(users[3], "too long"));
        evidence.account_made();
        assert!(!evidence.account_refused(users[4], "too long"));
    }

    #[test]
    fn a_mail_is_at_fault_only_when_others_went_out_since() {
        let mut evidence = Evidence::default();
        let (ada, bob) = (UserId::generate(), UserId::generate());
        assert!(!evidence.mail_failed(ada));
        assert!(!evidence.mail_failed(ada));
        evidence.mail_accepted(bob);
        assert!(evidence.mail_failed(ada));
        assert!(!evidence.mail_failed(ada));
    }
}

//! The comparison of what was acknowledged with what there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde::Serialize;
use uuid::Uuid;

use crate::history::{Account, Attempt, History, Row};

/// What became of all attempts. Prints as one line; [`Report::violations`] says what must not be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    pub attempted: usize,
    pub acknowledged: usize,
    /// Users with one account, their own, and a mail.
    pub provisioned: usize,
    pub lost: usize,
    /// What nobody attempted, or what is bound to somebody else's account.
    pub unexpected: usize,
    pub duplicate_users: usize,
    pub mails: usize,
    /// Beyond what was asked for. Allowed as far as answers were lost on purpose.
    pub duplicate_mails: usize,
    pub parked: usize,
    /// Users, events and messages that nobody finishes.
    pub stuck: usize,
    /// What must not be, in words.
    pub violations: Vec<String>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempted, acknowledged, provisioned, lost, unexpected, duplicate_users, .. } = self;
        let Self { mails, duplicate_mails, parked, stuck, .. } = self;
        write!(
            f,
            "attempted {attempted}, acknowledged {acknowledged}, provisioned {provisioned}, lost {lost}, unexpected \
             {unexpected}, duplicate users {duplicate_users}, mails {mails}, duplicate mails {duplicate_mails}, parked \
             {parked}, stuck {stuck}"
        )
    }
}

impl Report {
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    /// Panics with all that must not be.
    pub fn must_be_clean(&self) {
        assert!(self.is_clean(), "{self}\n{}", self.violations.join("\n"));
    }

    fn note(&mut self, count: fn(&mut Self) -> &mut usize, what: String) {
        *count(self) += 1;
        self.violations.push(what);
    }
}

/// Compares. Nothing is asked here, so the same history always gets the same verdict.
pub fn check(history: &History) -> Report {
    let index = Index::of(history);
    let mut report = Report { attempted: history.attempts.len(), mails: history.mails.len(), ..Report::default() };
    for attempt in &history.attempts {
        check_attempt(&mut report, &index, attempt);
    }
    check_unexpected(&mut report, &index, history);
    check_mails(&mut report, &index, history);
    check_leftovers(&mut report, history);
    report
}

/// The history by username and by address, as Keycloak compares them: in lower case.
struct Index<'a> {
    rows: BTreeMap<String, Vec<&'a Row>>,
    /// Without strangers.
    accounts: BTreeMap<String, BTreeMap<Uuid, &'a Account>>,
    mails: BTreeMap<&'a str, i32>,
}

impl<'a> Index<'a> {
    fn of(history: &'a History) -> Self {
        let mut index = Self { rows: BTreeMap::new(), accounts: BTreeMap::new(), mails: BTreeMap::new() };
        for row in &history.rows {
            index.rows.entry(row.username.to_lowercase()).or_default().push(row);
        }
        for account in history.accounts.iter().filter(|account| !history.strangers.contains(&account.id)) {
            for name in [&account.username, &account.email] {
                index.accounts.entry(name.to_lowercase()).or_default().insert(account.id, account);
            }
        }
        for recipient in &history.mails {
            *index.mails.entry(recipient).or_default() += 1;
        }
        index
    }

    fn rows(&self, attempt: &Attempt) -> &[&'a Row] {
        self.rows.get(&attempt.username.to_lowercase()).map_or(&[], Vec::as_slice)
    }

    /// Those with the username or with the address.
    fn accounts(&self, attempt: &Attempt) -> BTreeMap<Uuid, &'a Account> {
        let names = [attempt.username.to_lowercase(), attempt.email.to_lowercase()];
        names.iter().filter_map(|name| self.accounts.get(name)).flatten().map(|(id, it)| (*id, *it)).collect()
    }

    fn mails(&self, email: &str) -> i32 {
        self.mails.get(email.to_lowercase().as_str()).copied().unwrap_or_default()
    }
}

fn check_attempt(report: &mut Report, index: &Index<'_>, attempt: &Attempt) {
    let name = &attempt.username;
    let (rows, accounts) = (index.rows(attempt), index.accounts(attempt));
    report.acknowledged += usize::from(attempt.acknowledged.is_some());
    if rows.len() > 1 || accounts.len() > 1 {
        let what = format!("{name} is there more than once: {} rows, {} accounts", rows.len(), accounts.len());
        report.note(|it| &mut it.duplicate_users, what);
    }
    let Some(row) = rows.first() else {
        if attempt.acknowledged.is_some() {
            report.note(|it| &mut it.lost, format!("{name} was acknowledged and has no row"));
        }
        return;
    };
    if attempt.acknowledged.is_some_and(|id| id != row.id) {
        report.note(|it| &mut it.unexpected, format!("{name} was acknowledged as somebody else than the row"));
    }
    if row.is_parked {
        report.parked += 1;
    } else {
        check_arrival(report, index, row, &accounts);
    }
}

/// A user who is not parked has an account, the right one, and at least one mail.
fn check_arrival(report: &mut Report, index: &Index<'_>, row: &Row, accounts: &BTreeMap<Uuid, &Account>) {
    let name = &row.username;
    if !row.is_complete() {
        return report.note(|it| &mut it.stuck, format!("{name} is neither complete nor parked"));
    }
    let Some(account) = row.keycloak_id.and_then(|id| accounts.get(&id)) else {
        return report.note(|it| &mut it.lost, format!("{name} is complete, and Keycloak has no such account"));
    };
    if !is_ours(row, account) {
        return report.note(|it| &mut it.unexpected, format!("{name} is bound to somebody else's account"));
    }
    if index.mails(&row.email) == 0 {
        return report.note(|it| &mut it.lost, format!("{name} is complete and never got a mail"));
    }
    report.provisioned += 1;
}

/// The proof of origin: all three, as the design demands for an adoption.
fn is_ours(row: &Row, account: &Account) -> bool {
    account.username.eq_ignore_ascii_case(&row.username)
        && account.email.to_lowercase() == row.email.to_lowercase()
        && account.created_at.timestamp_millis() == row.created_at.timestamp_millis()
}

fn check_unexpected(report: &mut Report, index: &Index<'_>, history: &History) {
    let attempted: BTreeSet<_> = history.attempts.iter().map(|attempt| attempt.username.to_lowercase()).collect();
    for row in history.rows.iter().filter(|row| !attempted.contains(&row.username.to_lowercase())) {
        report.note(|it| &mut it.unexpected, format!("nobody attempted the row {}", row.username));
    }
    for account in history.accounts.iter().filter(|account| !history.strangers.contains(&account.id)) {
        let name = account.username.to_lowercase();
        if !attempted.contains(&name) {
            report.note(|it| &mut it.unexpected, format!("nobody attempted the account {name}"));
        } else if !index.rows.contains_key(&name) {
            report.note(|it| &mut it.unexpected, format!("the account {name} has no row"));
        }
    }
}

fn check_mails(report: &mut Report, index: &Index<'_>, history: &History) {
    let mut unanswered = 0;
    let mut expected = BTreeSet::new();
    for row in &history.rows {
        let mails = index.mails(&row.email);
        expected.insert(row.email.to_lowercase());
        unanswered += row.unanswered();
        report.duplicate_mails += usize::try_from(mails - row.mail_wanted).unwrap_or_default();
        if mails > row.mail_attempts {
            let what = format!("{} got {mails} mails, and {} tries are recorded", row.username, row.mail_attempts);
            report.violations.push(what);
        }
    }
    if u32::try_from(unanswered).is_ok_and(|unanswered| unanswered > history.answers_lost) {
        let lost = history.answers_lost;
        report.violations.push(format!("{unanswered} tries have no recorded answer, and {lost} answers were lost"));
    }
    for recipient in index.mails.keys().filter(|recipient| !expected.contains(**recipient)) {
        report.note(|it| &mut it.unexpected, format!("a mail went to {recipient}, who is not registered"));
    }
}

/// A letter in a dead queue was laid there by the scenario, or it was not: the scenario says so by taking it out.
fn check_leftovers(report: &mut Report, history: &History) {
    if history.outbox > 0 {
        report.stuck += usize::try_from(history.outbox).unwrap_or(usize::MAX);
        report.violations.push(format!("{} events were never published", history.outbox));
    }
    // One message for each parking; a user may be parked again after a replay.
    for (queue, depth) in history.queues.iter().filter(|(queue, depth)| **depth > 0 && queue.as_str() != "usher.parked")
    {
        report.stuck += usize::try_from(*depth).unwrap_or(usize::MAX);
        report.violations.push(format!("{depth} messages stay in {queue}"));
    }
}

#[cfg(test)]
mod tests;

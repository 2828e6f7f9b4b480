//! One planted fault of each kind: it is found, and counted as what it is.

use chrono::{DateTime, TimeDelta, Utc};

use super::*;

fn time() -> DateTime<Utc> {
    DateTime::from_timestamp_millis(1_700_000_000_123).expect("a time")
}

/// Ada and Grace, registered, provisioned and mailed once; one more was refused.
fn good() -> History {
    let mut history = History::default();
    for (name, id) in [("ada", 1), ("grace", 2)] {
        let (id, account, email) = (Uuid::from_u128(id), Uuid::from_u128(id + 100), format!("{name}@example.org"));
        let username = name.to_owned();
        let attempt = Attempt { username: username.clone(), email: email.clone(), acknowledged: Some(id) };
        let row = Row {
            id,
            username: username.clone(),
            email: email.clone(),
            created_at: time(),
            keycloak_id: Some(account),
            is_synced: true,
            is_parked: false,
            mail_wanted: 1,
            mail_served: 1,
            mail_attempts: 1,
            mail_answered: 1,
        };
        history.attempts.push(attempt);
        history.rows.push(row);
        history.mails.push(email.clone());
        history.accounts.push(Account { id: account, username, email, created_at: time() });
    }
    let (username, email) = ("refused".to_owned(), "refused@example.org".to_owned());
    history.attempts.push(Attempt { username, email, acknowledged: None });
    history.queues = BTreeMap::from([("usher.user-created".to_owned(), 0), ("usher.parked".to_owned(), 0)]);
    history
}

/// What a fault is counted as, and the word that its violation has.
#[track_caller]
fn found(plant: impl FnOnce(&mut History), counted: fn(&Report) -> usize, word: &str) {
    let mut history = good();
    plant(&mut history);
    let report = check(&history);
    assert_eq!(counted(&report), 1, "{report}");
    assert!(report.violations.iter().any(|violation| violation.contains(word)), "{:?}", report.violations);
}

#[test]
fn a_good_history_is_clean_and_prints_one_line() {
    let report = check(&good());
    report.must_be_clean();
    assert_eq!(
        report.to_string(),
        "attempted 3, acknowledged 2, provisioned 2, lost 0, unexpected 0, duplicate users 0, mails 2, duplicate mails \
         0, parked 0, stuck 0"
    );
}

#[test]
fn an_acknowledged_user_without_a_row_is_lost() {
    found(|it| drop((it.rows.remove(0), it.accounts.remove(0), it.mails.remove(0))), |it| it.lost, "no row");
}

#[test]
fn a_complete_user_without_an_account_is_lost() {
    found(|it| drop(it.accounts.remove(0)), |it| it.lost, "no such account");
}

#[test]
fn a_complete_user_without_a_mail_is_lost() {
    found(|it| drop(it.mails.remove(0)), |it| it.lost, "never got a mail");
}

#[test]
fn an_answer_that_names_another_user_is_unexpected() {
    found(|it| it.attempts[0].acknowledged = Some(Uuid::from_u128(9)), |it| it.unexpected, "as somebody else");
}

#[test]
fn an_account_that_nobody_attempted_is_unexpected() {
    let plant = |it: &mut History| {
        let (username, email) = ("eve".to_owned(), "eve@example.org".to_owned());
        it.accounts.push(Account { id: Uuid::from_u128(7), username, email, created_at: time() });
    };
    found(plant, |it| it.unexpected, "nobody attempted the account eve");
}

#[test]
fn an_account_of_a_registration_that_has_no_row_is_unexpected() {
    let plant = |it: &mut History| {
        let (username, email) = ("refused".to_owned(), "refused@example.org".to_owned());
        it.accounts.push(Account { id: Uuid::from_u128(7), username, email, created_at: time() });
    };
    found(plant, |it| it.unexpected, "has no row");
}

#[test]
fn a_row_that_nobody_attempted_is_unexpected() {
    found(|it| drop(it.attempts.remove(0)), |it| it.unexpected - 1, "nobody attempted the row ada");
}

#[test]
fn somebody_elses_account_is_unexpected() {
    let plant = |it: &mut History| it.accounts[0].created_at += TimeDelta::milliseconds(1);
    found(plant, |it| it.unexpected, "somebody else's account");
}

#[test]
fn a_mail_to_somebody_else_is_unexpected() {
    found(|it| it.mails.push("eve@example.org".to_owned()), |it| it.unexpected, "eve@example.org");
}

#[test]
fn a_second_account_with_the_address_is_a_duplicate() {
    let plant = |it: &mut History| {
        let (username, email) = ("grace".to_owned(), "ADA@example.org".to_owned());
        it.accounts[1] = Account { username, email, ..it.accounts[1].clone() };
    };
    let mut history = good();
    plant(&mut history);
    assert_eq!(check(&history).duplicate_users, 1);
}

#[test]
fn two_rows_of_one_user_are_a_duplicate() {
    found(|it| it.rows.push(it.rows[0].clone()), |it| it.duplicate_users, "2 rows");
}

#[test]
fn a_user_who_is_not_finished_is_stuck() {
    found(|it| it.rows[0].mail_served = 0, |it| it.stuck, "neither complete nor parked");
    found(|it| it.rows[0].is_synced = false, |it| it.stuck, "neither complete nor parked");
}

#[test]
fn events_and_messages_that_stay_are_stuck() {
    found(|it| it.outbox = 1, |it| it.stuck, "never published");
    found(|it| it.queues.extend([("usher.user-created".to_owned(), 1)]), |it| it.stuck, "usher.user-created");
    found(|it| it.queues.extend([("usher.user-created.dead".to_owned(), 1)]), |it| it.stuck, ".dead");
}

#[test]
fn more_mails_than_tries_are_a_violation() {
    found(|it| it.mails.push("ada@example.org".to_owned()), |it| it.duplicate_mails, "1 tries are recorded");
}

#[test]
fn a_try_without_an_answer_needs_an_injected_loss() {
    let mut history = good();
    history.rows[0].mail_attempts = 2;
    history.mails.push("ada@example.org".to_owned());
    let report = check(&history);
    assert_eq!((report.duplicate_mails, report.violations.len()), (1, 1), "{:?}", report.violations);

    history.answers_lost = 1;
    check(&history).must_be_clean();
}

#[test]
fn the_parked_are_counted_and_not_lost_and_strangers_are_not_ours() {
    let mut history = good();
    history.rows[0].is_parked = true;
    history.rows[0].keycloak_id = None;
    history.accounts[0].created_at += TimeDelta::days(-1);
    history.strangers.insert(history.accounts[0].id);
    history.queues.insert("usher.parked".to_owned(), 1);
    history.mails.remove(0);
    history.rows[0].mail_attempts = 0;
    history.rows[0].mail_answered = 0;
    let report = check(&history);
    report.must_be_clean();
    assert_eq!((report.parked, report.provisioned), (1, 1));
}

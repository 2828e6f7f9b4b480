//! What each guard is good for: without it these promises break, and no others.

use std::{fs, path::Path};

use model::{
    check::check,
    guard::{Guard, Write},
    places::{PLACES, Place},
    properties::{
        COUNTED, END_IN_REACH, ENDS, EVENT_HANDED_OVER, EVENT_WRITTEN, NO_NEEDLESS_MAIL, ONE_ACCOUNT, ONE_AT_A_TIME,
        OWN_ACCOUNT, OWN_MAIL, PARKED_WITH_CAUSE, REQUEST_ANSWERED, SERVED_BY_MAIL, WRITTEN,
    },
    protocol::{Bounds, Protocol},
};

/// One user is enough to break each of them, and makes the shortest story.
const ALONE: Bounds = Bounds { mail_requests: 0, late: false, only_events_fail: false, named: true };
const ASKING: Bounds = Bounds { mail_requests: 1, ..ALONE };

fn breaks(without: &'static [Guard], bounds: Bounds, mut promises: Vec<&str>) {
    let world = Protocol::<1, 2>::within(bounds).without(without);
    let broken: Vec<_> = check(&format!("without {without:?}"), world).into_keys().collect();
    promises.sort_unstable();
    assert_eq!(broken, promises);
}

#[test]
fn an_answer_before_the_commit_loses_who_was_acknowledged() {
    breaks(&[Guard::AnswerAfterCommit], ALONE, vec![WRITTEN]);
}

/// The sweep finds such a user. Where the event is lost that says who is parked, nothing does.
#[test]
fn an_event_in_a_statement_of_its_own_may_never_be_written() {
    breaks(&[Guard::OneStatement], ALONE, vec![EVENT_WRITTEN]);
}

#[test]
fn an_event_that_is_deleted_unconfirmed_may_be_nowhere() {
    breaks(&[Guard::Confirm], ALONE, vec![EVENT_HANDED_OVER]);
}

/// The sweep hides the loss; without it the user is lost too, although the relay alone failed.
#[test]
fn whose_event_is_nowhere_is_found_by_the_sweep_alone() {
    let only_events_fail = Bounds { only_events_fail: true, ..ALONE };
    let promises = vec![EVENT_HANDED_OVER, END_IN_REACH, ENDS];
    breaks(&[Guard::Confirm, Guard::Sweep], only_events_fail, promises);
}

/// The fence keeps the row right; but both send their mails, and each may take the user from the other for ever.
#[test]
fn without_a_lease_two_runs_work_on_one_user() {
    breaks(&[Guard::Lease], ALONE, vec![ONE_AT_A_TIME, NO_NEEDLESS_MAIL, ENDS]);
}

#[test]
fn who_is_complete_is_mailed_again_if_he_can_be_claimed() {
    breaks(&[Guard::OpenOnly], ALONE, vec![NO_NEEDLESS_MAIL, PARKED_WITH_CAUSE, ENDS]);
}

#[test]
fn who_is_parked_is_tried_for_ever_if_he_can_be_claimed() {
    breaks(&[Guard::NotParked], ALONE, vec![PARKED_WITH_CAUSE, ENDS]);
}

#[test]
fn without_a_fence_who_was_overtaken_undoes_what_the_other_does() {
    breaks(&[Guard::Fence], ALONE, vec![ONE_AT_A_TIME, NO_NEEDLESS_MAIL, PARKED_WITH_CAUSE]);
}

/// It alone is not needed: whoever overtakes finds the same account, and writes the same.
#[test]
fn mark_synced_writes_what_is_true_even_unfenced() {
    breaks(&[Guard::FenceOf(Write::MarkSynced)], ASKING, vec![]);
}

#[test]
fn begin_mail_unfenced_sends_a_second_mail_under_the_others_lease() {
    breaks(&[Guard::FenceOf(Write::BeginMail)], ALONE, vec![ONE_AT_A_TIME, NO_NEEDLESS_MAIL]);
}

#[test]
fn mark_served_unfenced_swallows_or_repeats_what_was_asked_for_since() {
    let promises = vec![ONE_AT_A_TIME, NO_NEEDLESS_MAIL, PARKED_WITH_CAUSE, REQUEST_ANSWERED];
    breaks(&[Guard::FenceOf(Write::MarkServed)], ASKING, promises);
}

#[test]
fn postpone_unfenced_takes_the_others_lease_away() {
    breaks(&[Guard::FenceOf(Write::Postpone)], ALONE, vec![ONE_AT_A_TIME, NO_NEEDLESS_MAIL]);
}

#[test]
fn park_unfenced_parks_whom_the_other_served() {
    breaks(&[Guard::FenceOf(Write::Park)], ALONE, vec![PARKED_WITH_CAUSE]);
}

#[test]
fn without_adoption_an_answer_that_was_lost_is_a_conflict_for_ever() {
    breaks(&[Guard::Adoption], ALONE, vec![END_IN_REACH, ENDS]);
}

#[test]
fn without_proof_a_strangers_account_is_adopted_and_mailed() {
    breaks(&[Guard::Proof], ALONE, vec![OWN_ACCOUNT, OWN_MAIL]);
}

#[test]
fn a_try_that_is_recorded_late_leaves_mails_uncounted() {
    breaks(&[Guard::TryRecordedFirst], ALONE, vec![COUNTED]);
}

#[test]
fn who_is_marked_served_before_the_mail_may_never_get_one() {
    breaks(&[Guard::ServedAfterMail], ALONE, vec![SERVED_BY_MAIL]);
}

#[test]
fn a_mail_does_not_answer_who_asked_after_it() {
    breaks(&[Guard::ServedAsClaimed], ASKING, vec![REQUEST_ANSWERED]);
}

#[test]
fn nor_does_the_mail_of_a_run_that_slept_past_its_lease() {
    breaks(&[Guard::EndedLeaseMayMail], ASKING, vec![REQUEST_ANSWERED]);
}

#[test]
fn without_the_sweep_whose_event_is_lost_is_lost() {
    breaks(&[Guard::Sweep], ALONE, vec![END_IN_REACH, ENDS]);
}

/// What is taken for granted of Keycloak.
#[test]
fn accounts_are_single_because_keycloak_makes_them_so() {
    breaks(&[Guard::UniqueNames], ALONE, vec![ONE_ACCOUNT]);
}

#[test]
fn every_guard_stands_in_the_code() {
    for Place { guard, file, function, lines } in PLACES {
        let code = code_of(file, function);
        let mut rest = code.as_str();
        for line in lines {
            let found = rest.split_once(line);
            rest = found.unwrap_or_else(|| panic!("{guard:?}: `{line}` is missing in {file}, {function}: {code}")).1;
        }
    }
}

/// A function, with one space for all white space.
fn code_of(file: &str, function: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the project");
    let code = fs::read_to_string(root.join(file)).expect("the file is there");
    let (before, body) = code.split_once(&format!("fn {function}(")).expect("the function is there");
    let first_line = before.rsplit('\n').next().unwrap_or_default();
    let indent = &first_line[..first_line.len() - first_line.trim_start().len()];
    let body = body.split(&format!("\n{indent}}}\n")).next().unwrap_or_default();
    body.split_whitespace().collect::<Vec<_>>().join(" ")
}

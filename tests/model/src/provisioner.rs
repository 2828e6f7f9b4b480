//! `worker/src/provisioner/`, `walk` and `give_up_for_now`, step by step. A crash may come between any two.
//!
//! A step is a question to Keycloak or one statement (`shared/src/store/provisioning.rs`). Each statement is fenced:
//! whose claim is not the row's any more changes nothing and goes (`Stop::Overtaken`).

use crate::{
    account,
    action::{Action, Answer},
    guard::{Guard, Guards, Write},
    mails,
    state::{Event, Lease, OutboxRow, Reason, Run, State, Step, User},
};

pub(crate) fn possible(late: bool, worker: usize, run: Run, actions: &mut Vec<Action>) {
    let step = run.step;
    actions.extend(answers(step, late).iter().map(|&answer| Action::Take { worker, step, answer }));
    // `ours_for`: by a clock that went on while the run slept.
    if run.lease_over && matches!(step, Step::Create | Step::SendMail) {
        actions.push(Action::StopInTime { worker });
    }
}

fn answers(step: Step, late: bool) -> &'static [Answer] {
    match step {
        Step::Create | Step::CreateAgain => account::answers_to_create(late),
        Step::LookUp => &[Answer::Heard, Answer::Silence],
        // The mails' breaker may be open.
        Step::BeginMail => &[Answer::Heard, Answer::TurnedAway],
        Step::SendMail => {
            let all =
                &[Answer::Heard, Answer::Unheard, Answer::Silence, Answer::Unserved, Answer::Refused, Answer::Late];
            if late { all } else { &all[..5] }
        }
        Step::MarkSynced(_) | Step::MarkServed | Step::Postpone | Step::Park(_) => &[Answer::Heard],
    }
}

/// A run takes its step, and is gone when there is no next one.
pub(crate) fn go_on<const USERS: usize, const WORKERS: usize>(
    guards: Guards,
    state: &mut State<USERS, WORKERS>,
    worker: usize,
    answer: Answer,
) {
    state.workers[worker] = state.workers[worker].and_then(|mut run| {
        let step = take(guards, &mut state.users[usize::from(run.user)], &mut run, answer)?;
        Some(Run { step, ..run })
    });
}

/// `ours_for` says no: nothing was asked, and what lets go of the user is fenced like every write.
pub(crate) fn stop_in_time<const USERS: usize, const WORKERS: usize>(state: &mut State<USERS, WORKERS>, worker: usize) {
    let Some(run) = &mut state.workers[worker] else { return };
    if run.step == Step::SendMail {
        mails::record_no(&mut state.users[usize::from(run.user)].mails);
    }
    run.step = Step::Postpone;
}

fn take(guards: Guards, it: &mut User, run: &mut Run, answer: Answer) -> Option<Step> {
    if run.step == Step::BeginMail && answer == Answer::TurnedAway {
        return Some(Step::Postpone);
    }
    if !run.claim_is_current && write_of(run.step).is_some_and(|write| guards.fences(write)) {
        return None;
    }
    match run.step {
        Step::Create => Some(account::create(guards, it, false, answer)),
        Step::LookUp => Some(account::look_up(guards, it, answer)),
        Step::CreateAgain => Some(account::create(guards, it, true, answer)),
        Step::MarkSynced(owner) => {
            it.row.synced = Some(owner);
            Some(Step::BeginMail)
        }
        Step::BeginMail => Some(begin_mail(guards, it, run)),
        Step::SendMail => send_mail(guards, it, *run, answer),
        Step::MarkServed => mark_served(guards, it, *run),
        Step::Postpone => let_go(it),
        Step::Park(reason) => park(it, reason),
    }
}

/// The statement that a step is, if it is one.
fn write_of(step: Step) -> Option<Write> {
    match step {
        Step::Create | Step::LookUp | Step::CreateAgain | Step::SendMail => None,
        Step::MarkSynced(_) => Some(Write::MarkSynced),
        Step::BeginMail => Some(Write::BeginMail),
        Step::MarkServed => Some(Write::MarkServed),
        Step::Postpone => Some(Write::Postpone),
        Step::Park(_) => Some(Write::Park),
    }
}

/// `begin_mail` takes the whole lease anew.
fn begin_mail(guards: Guards, it: &mut User, run: &mut Run) -> Step {
    if guards.has(Guard::TryRecordedFirst) {
        mails::record_try(&mut it.mails);
    }
    it.row.leased_until = Lease::Running;
    run.lease_over = false;
    if !guards.has(Guard::ServedAfterMail) {
        mark_served(guards, it, *run);
    }
    Step::SendMail
}

/// `mailer.send_setup`: the one step that cannot be taken back.
fn send_mail(guards: Guards, it: &mut User, run: Run, answer: Answer) -> Option<Step> {
    match answer {
        Answer::Heard => mails::accept(it, run.lease_over),
        Answer::Unheard => mails::accept(it, true),
        Answer::Late => it.in_flight.mail = true,
        // Written down only with what follows; until then the count is stricter than the row.
        Answer::Unserved | Answer::Refused => mails::record_no(&mut it.mails),
        Answer::Silence | Answer::TurnedAway => {}
    }
    let next = match answer {
        Answer::Heard => Step::MarkServed,
        Answer::Refused => Step::Park(Reason::MailRefused),
        _ => Step::Postpone,
    };
    guards.has(Guard::ServedAfterMail).then_some(next)
}

/// `mark_served`. The try has its answer and the mail its record, so the count of the unanswered stays as it is.
fn mark_served(guards: Guards, it: &mut User, run: Run) -> Option<Step> {
    if !guards.has(Guard::TryRecordedFirst) {
        mails::record_try(&mut it.mails);
    }
    it.row.mail_served = if guards.has(Guard::ServedAsClaimed) { run.mail_wanted } else { it.row.mail_wanted };
    if it.row.mail_wanted > it.row.mail_served {
        mails::owe_another(&mut it.mails);
    }
    let_go(it)
}

/// `park`, and its event in the same statement.
fn park(it: &mut User, reason: Reason) -> Option<Step> {
    it.row.parked = Some(reason);
    it.outbox[Event::UserParked as usize] = OutboxRow::Waiting;
    let_go(it)
}

/// What every last statement of a run does; `postpone` does nothing else that matters here.
fn let_go(it: &mut User) -> Option<Step> {
    it.row.leased_until = Lease::Null;
    None
}

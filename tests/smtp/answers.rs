//! What a mail server says, and what follows: later, never for this one, or not before an operator has looked.

use super::{mail_answered, register, start};
use crate::harness::{
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    fake_smtp::{FakeSmtp, Fault, Step},
    process::Binary,
    system::{PATIENCE, Plan, Registered, Row, System},
};

/// One test for each answer: two mails fail in this way, at this step, and are made up for.
macro_rules! made_up_for {
    ($($test:ident: $step:ident, $fault:expr;)*) => {
        mod made_up_for {
            use super::*;

            $(#[tokio::test]
            async fn $test() {
                is_made_up_for(Step::$step, $fault).await;
            })*
        }
    };
}

made_up_for! {
    a_server_that_is_busy: Greeting, Fault::Answer("421 4.3.2 too many connections");
    a_server_that_never_greets: Greeting, Fault::Silence;
    a_server_that_hangs_up: Greeting, Fault::HangUp;
    a_sender_put_off: Sender, Fault::Answer("451 4.3.0 try again later");
    a_sender_without_an_answer: Sender, Fault::Silence;
    a_sender_with_an_answer_that_is_none: Sender, Fault::Answer("hello?");
    a_recipient_put_off: Recipient, Fault::Answer("450 4.2.0 come back in a minute");
    a_server_that_goes_at_the_recipient: Recipient, Fault::Answer("421 4.3.2 shutting down");
    a_recipient_at_whom_it_hangs_up: Recipient, Fault::HangUp;
    contents_that_cannot_come_now: Data, Fault::Answer("451 4.3.0 no space");
    contents_put_off: Content, Fault::Answer("451 4.3.0 no space");
    contents_without_an_answer: Content, Fault::Silence;
    contents_after_which_it_hangs_up: Content, Fault::HangUp;
    contents_taken_before_it_hangs_up: Content, Fault::HangUpAfterEffect;
}

async fn is_made_up_for(step: Step, fault: Fault) {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    server.fail_next(step, 2, fault.clone());
    let system = Plan::on(keycloak.access()).by_smtp(server.port()).set("SMTP_TIMEOUT", "1s").start().await;
    let user = system.register().await;

    let row = system.until_complete(&user).await;

    assert_eq!((row.attempts, row.parked_at), (0, None));
    assert!(row.mail_attempts >= 3, "{row:?}");
    // What left without an answer left for nothing, and that cannot be helped.
    assert_eq!(server.mails().len(), if matches!(fault, Fault::HangUpAfterEffect) { 3 } else { 1 });
    let answered = i32::from(step != Step::Content || matches!(fault, Fault::Answer(_))) * 2 + 1;
    assert_eq!(mail_answered(&system, &user).await, answered, "the others may have left");
    system.stop().await;
}

/// The words name the mailbox, and so they stand in the row and not in the log.
#[tokio::test]
async fn who_has_no_mailbox_is_parked_with_the_servers_words_and_delays_nobody() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    let words = "550 5.1.1 grace-hopper@example.org has no mailbox here";
    server.fail_for("grace-hopper@example.org", Step::Recipient, Fault::Answer(words));
    let system = Plan::on(keycloak.access()).by_smtp(server.port()).workers(0).start().await;
    let worker = Binary::worker().envs(system.settings()).start();
    let grace = system.register_as("grace-hopper").await;
    let ada = system.register().await;

    let row = system.until_parked(&grace).await;

    assert_eq!((row.parked_reason.as_deref(), row.mail_attempts), (Some("mail_refused"), 1));
    assert!(row.last_error.as_deref().is_some_and(|error| error.contains("has no mailbox here")), "{row:?}");
    assert!(row.synced_at.is_some(), "the account stays");
    assert_eq!(system.until_complete(&ada).await.mail_attempts, 1);
    assert!(worker.output().contains("parked") && !worker.output().contains("has no mailbox"), "{}", worker.output());
    system.stop().await;
}

/// It may be about everybody, so it is asked once more.
#[tokio::test]
async fn a_refusal_that_does_not_say_why_parks_at_the_second_time() {
    for step in [Step::Recipient, Step::Data, Step::Content] {
        let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
        server.fail_for("grace-hopper@example.org", step, Fault::Answer("554 we do not want that"));
        let system = start(&keycloak, &server).await;
        let row = system.until_parked(&system.register_as("grace-hopper").await).await;
        assert_eq!((row.parked_reason.as_deref(), row.mail_attempts), (Some("mail_refused"), 2), "{step:?}");
        system.stop().await;
    }
}

/// Somebody changed the mail server: it does not let us send any more, and says so about each recipient.
#[tokio::test]
async fn nobody_is_parked_when_everybody_is_refused_alike() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    server.fail_always(Step::Recipient, Fault::Answer("554 5.7.1 relay access denied"));
    // Time enough for three to be refused before one of them comes again.
    let plan = Plan::on(keycloak.access()).by_smtp(server.port());
    let plan = plan.set("PROVISION_RETRY_BASE", "4s").set("PROVISION_RETRY_MAX", "4s");
    let system = plan.workers(0).start().await;
    let worker = Binary::worker().envs(system.settings()).start();
    let users = register(&system, 3).await;
    for user in &users {
        // Once counted, once given back: the second look has seen the others.
        system.until(user, "refused again, and not parked", |row| row.mail_attempts >= 2 && row.attempts <= 1).await;
        assert_eq!(system.row(user).await.parked_at, None);
    }
    assert!(worker.output().contains("until an operator has looked"), "{}", worker.output());
    server.heal();

    for user in &users {
        system.until_complete(user).await;
    }
    system.stop().await;
}

async fn until_an_operator_has_looked(server: &FakeSmtp, system: &System, users: &[Registered], words: &str) {
    for user in users {
        let told = |row: &Row| row.last_error.as_deref().is_some_and(|error| error.contains(words));
        let row = system.until(user, "it is told why", |row| told(row) && row.leased_until.is_none()).await;
        assert_eq!((row.attempts, row.parked_at, row.synced_at.is_some()), (0, None, true), "{row:?}");
    }
    server.heal();
    for user in users {
        system.until_complete(user).await;
    }
}

#[tokio::test]
async fn a_sender_that_is_refused_is_an_operators_business() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    server.fail_always(Step::Sender, Fault::Answer("550 5.7.1 you may not send as this"));
    let system = Plan::on(keycloak.access()).by_smtp(server.port()).workers(0).start().await;
    let worker = Binary::worker().envs(system.settings()).start();
    let users = register(&system, 3).await;
    eventually("an alarm is in the log", PATIENCE, async || worker.output().contains("until an operator has looked"))
        .await;
    assert!(worker.output().contains("5.7.1 you may not send as this"), "{}", worker.output());
    until_an_operator_has_looked(&server, &system, &users, "you may not send as this").await;
    system.stop().await;
}

#[tokio::test]
async fn a_login_that_is_refused_is_an_operators_business() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::with_login("usher", "s3cret").await);
    server.fail_always(Step::Login, Fault::Answer("535 5.7.8 wrong user or password"));
    let plan = Plan::on(keycloak.access()).by_smtp(server.port());
    let system = plan.set("EMAIL_USER", "usher").set("EMAIL_PASSWORD", "s3cret").start().await;
    let users = register(&system, 3).await;
    until_an_operator_has_looked(&server, &system, &users, "wrong user or password").await;
    system.stop().await;
}

/// Postfix keeps what it has against us until it hears of a recipient, Exchange until it has the mail.
#[tokio::test]
async fn what_is_about_us_is_an_operators_business_also_after_a_recipient() {
    for (step, words) in [
        (Step::Recipient, "530 5.7.0 Must issue a STARTTLS command first"),
        (Step::Recipient, "554 5.1.8 <no-reply@usher.test>: Sender address rejected: Domain not found"),
        (Step::Content, "554 5.2.252 SendAsDenied; usher not allowed to send as no-reply@usher.test"),
    ] {
        let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
        server.fail_always(step, Fault::Answer(words));
        let system = start(&keycloak, &server).await;
        let user = system.register().await;
        system.until(&user, "it is tried again", |row| row.mail_attempts >= 3).await;
        until_an_operator_has_looked(&server, &system, &[user], &words[4..]).await;
        system.stop().await;
    }
}

/// Its mailbox is full, or it is made to wait; the server is well, and serves others.
#[tokio::test]
async fn who_cannot_get_a_mail_for_long_ends_parked_and_delays_nobody() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    server.fail_for("grace-hopper@example.org", Step::Recipient, Fault::Answer("452 4.2.2 mailbox full"));
    let plan = Plan::on(keycloak.access()).by_smtp(server.port());
    // A single user's failures open no breaker here, however long the others take to register.
    let system = plan.set("PROVISION_MAX_ATTEMPTS", "2").set("BREAKER_FAILURES", "1000").start().await;
    let grace = system.register_as("grace-hopper").await;

    let row = eventually("the user is parked", PATIENCE, async || {
        assert_eq!(system.until_complete(&system.register().await).await.mail_attempts, 1, "at the first go");
        Some(system.row(&grace).await).filter(|row| row.parked_at.is_some())
    })
    .await;

    assert_eq!((row.parked_reason.as_deref(), row.attempts), (Some("budget_spent"), 2));
    assert!(row.last_error.as_deref().is_some_and(|error| error.contains("mailbox full")), "{row:?}");
    system.stop().await;
}

//! How the mail server is spoken to: as it was said, over connections that are used again, and not too often.

use std::time::{Duration, Instant};

use super::register;
use crate::harness::{
    fake_keycloak::FakeKeycloak,
    fake_smtp::{FakeSmtp, Fault, Security, Step},
    system::{Plan, System},
};

/// A system that logs in.
async fn start(keycloak: &FakeKeycloak, server: &FakeSmtp, settings: &[(&str, &str)]) -> System {
    let plan = Plan::on(keycloak.access()).by_smtp(server.port());
    let plan = plan.set("EMAIL_USER", "usher").set("EMAIL_PASSWORD", "s3cret-of-usher").set("SMTP_HOST", "localhost");
    settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value)).start().await
}

async fn is_sent_by(security: Security, tls: &str) {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::secured_by(security).await);
    let authority = server.authority().to_str().expect("a path").to_owned();
    let system = start(&keycloak, &server, &[("SMTP_TLS", tls), ("SMTP_CA_FILE", &authority)]).await;
    let user = system.register().await;
    assert_eq!(system.until_complete(&user).await.mail_attempts, 1, "{tls}");
    assert_eq!(server.mails_to(&user.email).len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn tls_from_the_first_byte() {
    is_sent_by(Security::Implicit, "implicit").await;
}

#[tokio::test]
async fn tls_by_starttls() {
    is_sent_by(Security::StartTls, "starttls").await;
}

/// Neither login nor mail goes to a server that could be anybody.
async fn nothing_is_given_away(server: &FakeSmtp, settings: &[(&str, &str)], words: &str) {
    let keycloak = FakeKeycloak::start().await;
    let system = start(&keycloak, server, settings).await;
    let user = system.register().await;
    let row = system
        .until(&user, "it is told why", |row| row.last_error.as_deref().is_some_and(|it| it.contains(words)))
        .await;
    assert_eq!((row.parked_at, row.synced_at.is_some()), (None, true));
    let said: Vec<_> = server.heard().into_iter().filter(|line| !line.starts_with("EHLO")).collect();
    assert!(said.iter().all(|line| line == "STARTTLS" || line == "QUIT"), "{said:?}");
    assert!(server.mails().is_empty());
    system.stop().await;
}

#[tokio::test]
async fn a_server_without_starttls_gets_nothing() {
    let server = FakeSmtp::with_login("usher", "s3cret-of-usher").await;
    nothing_is_given_away(&server, &[("SMTP_TLS", "starttls")], "STARTTLS").await;
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_gets_nothing() {
    for (security, tls) in [(Security::StartTls, "starttls"), (Security::Implicit, "implicit")] {
        let server = FakeSmtp::secured_by(security).await;
        nothing_is_given_away(&server, &[("SMTP_TLS", tls)], "certificate").await;
    }
}

/// Somebody on the way appends all answers that a mail needs to the last one that is not yet secured.
#[tokio::test]
async fn nobody_can_answer_in_place_of_a_server_with_starttls() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::secured_by(Security::StartTls).await);
    let forged = "220 go ahead\r\n250-fake\r\n250 AUTH PLAIN\r\n235 welcome\r\n250 ok\r\n250 ok\r\n354 go on\r\n\
                  250 taken";
    server.fail_next(Step::StartTls, 2, Fault::Answer(forged));
    let authority = server.authority().to_str().expect("a path").to_owned();
    let system = start(&keycloak, &server, &[("SMTP_TLS", "starttls"), ("SMTP_CA_FILE", &authority)]).await;
    let user = system.register().await;
    assert_eq!(system.until_complete(&user).await.mail_attempts, 3, "not before the server itself has the mail");
    assert_eq!(server.mails_to(&user.email).len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn what_goes_wrong_before_the_login_is_over_is_made_up_for() {
    for step in [Step::StartTls, Step::Login] {
        for fault in [Fault::HangUp, Fault::Silence, Fault::Answer("454 4.7.0 not now")] {
            let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::secured_by(Security::StartTls).await);
            server.fail_next(step, 2, fault.clone());
            let authority = server.authority().to_str().expect("a path").to_owned();
            let settings = [("SMTP_TLS", "starttls"), ("SMTP_CA_FILE", &authority), ("SMTP_TIMEOUT", "1s")];
            let system = start(&keycloak, &server, &settings).await;
            let row = system.until_complete(&system.register().await).await;
            assert_eq!((row.attempts, row.parked_at, server.mails().len()), (0, None, 1), "{step:?} {fault:?}");
            assert!(row.mail_attempts >= 3, "{row:?}");
            system.stop().await;
        }
    }
}

#[tokio::test]
async fn we_call_ourselves_what_was_said() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::with_login("usher", "s3cret-of-usher").await);
    let system = start(&keycloak, &server, &[("SMTP_EHLO_NAME", "worker.usher.test")]).await;
    system.until_complete(&system.register().await).await;
    assert_eq!(server.heard()[0], "EHLO worker.usher.test");
    system.stop().await;
}

#[tokio::test]
async fn a_connection_is_used_for_the_next_mail() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::with_login("usher", "s3cret-of-usher").await);
    server.fail_for("grace-hopper@example.org", Step::Recipient, Fault::Answer("550 5.1.1 no such user"));
    let system = start(&keycloak, &server, &[]).await;
    for _ in 0..3 {
        system.until_complete(&system.register().await).await;
    }
    system.until_parked(&system.register_as("grace-hopper").await).await;
    system.until_complete(&system.register().await).await;
    assert_eq!((server.mails().len(), server.connections()), (4, 1));
    system.stop().await;
}

/// Servers close what is idle; whoever comes then is not made to wait for the next try.
#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_is_replaced_at_once() {
    for fault in [Fault::HangUp, Fault::Answer("421 4.4.2 idle for too long")] {
        let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
        let system = super::start(&keycloak, &server).await;
        system.until_complete(&system.register().await).await;
        server.fail_next(Step::Sender, 1, fault);

        let row = system.until_complete(&system.register().await).await;

        assert_eq!((row.claim_no, row.mail_attempts, server.connections()), (1, 1, 2));
        system.stop().await;
    }
}

/// Who would have to wait for longer than a lease allows comes again, and pays nothing for it.
#[tokio::test]
async fn no_more_mails_leave_in_a_second_than_was_said() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    let plan = Plan::on(keycloak.access()).by_smtp(server.port()).set("MAIL_RATE", "1");
    let system = plan.start().await;
    let begin = Instant::now();
    let users = register(&system, 6).await;
    for user in &users {
        let row = system.until_complete(user).await;
        assert_eq!((row.mail_attempts, row.attempts), (1, 0));
    }
    assert!(begin.elapsed() >= Duration::from_secs(5), "{:?}", begin.elapsed());
    system.stop().await;
}

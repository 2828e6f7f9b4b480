//! The mail server is away, slow, hanging, or refuses.
//!
//! What refuses one recipient alone is judged in `mail`.

use std::time::Duration;

use super::scene::count;
use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Fault},
    keycloak::Realm,
    mailbox::Mailbox,
    proxy::Proxy,
    system::{PATIENCE, Plan},
    witness::{Beyond, Witness},
};

/// On the real Keycloak: accounts are made and marked, only mails wait.
#[tokio::test]
async fn the_mail_server_is_down() {
    let mut mailbox = Mailbox::down();
    let realm = Realm::create(mailbox.port()).await;
    let system = Plan::on(realm.access()).start().await;
    let witness = Witness::of(&system);
    let names = witness.usernames(8);
    witness.register(&system.api_url(), &names[..6]).await;
    let waiting = "synced_at IS NOT NULL AND last_error LIKE '%set-up mail%500%' AND parked_at IS NULL";
    eventually("accounts are there, mails wait", PATIENCE, async || count(&system, waiting).await >= 5).await;
    assert!(mailbox.mails().is_empty());
    mailbox.come_up().await;

    witness.register(&system.api_url(), &names[6..]).await;
    let report = witness.all_is_well(Beyond::Own(&realm, &mailbox)).await;
    assert_eq!((report.provisioned, report.mails, report.parked), (8, 8, 0), "{report}");
    system.stop().await;
}

/// On the real Keycloak: the mail server takes the connection and says nothing. Keycloak gives up after its own timeouts
/// and says so, before the worker's deadline: nobody has to guess whether a mail left.
#[tokio::test]
async fn the_mail_server_hangs() {
    let mailbox = Mailbox::start().await;
    let line = Proxy::start(&format!("smtp://127.0.0.1:{}", mailbox.port())).await;
    let realm = Realm::create(line.address().port()).await;
    let system = Plan::on(realm.access()).start().await;
    let witness = Witness::of(&system);
    let names = witness.usernames(4);
    line.stall();
    witness.register(&system.api_url(), &names[..2]).await;
    let waiting = "synced_at IS NOT NULL AND last_error LIKE '%500%' AND mail_attempts = mail_answered";
    eventually("Keycloak gave up, and said so", PATIENCE, async || count(&system, waiting).await == 2).await;
    line.restore().await;

    witness.register(&system.api_url(), &names[2..]).await;
    let report = witness.all_is_well(Beyond::Own(&realm, &mailbox)).await;
    assert_eq!((report.provisioned, report.mails, report.duplicate_mails), (4, 4, 0), "{report}");
    system.stop().await;
}

#[tokio::test]
async fn the_mail_server_is_slow() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_always(Endpoint::SendMail, Fault::Delay(Duration::from_millis(900)));
    let system = Plan::on(keycloak.access()).start().await;
    let witness = Witness::of(&system);
    witness.register(&system.api_url(), &witness.usernames(8)).await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails), (8, 8), "{report}");
    system.stop().await;
}

/// The mail left, and nobody heard of it. This is the one duplicate that cannot be helped: it is bounded, and counted.
#[tokio::test]
async fn answers_are_lost_after_mails_left() {
    const LOST: u32 = 3;
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::SendMail, LOST as usize, Fault::DropAfterEffect);
    let system = Plan::on(keycloak.access()).start().await;
    let mut witness = Witness::of(&system);
    witness.answers_were_withheld(LOST);
    witness.register(&system.api_url(), &witness.usernames(6)).await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails, report.duplicate_mails), (6, 9, 3), "{report}");
    assert_eq!(count(&system, "mail_attempts > mail_answered").await, 3, "operators see who may have got two");
    system.stop().await;
}

/// Keycloak says nothing at all while it sends. The worker's deadline ends the wait; the try stays without an answer.
#[tokio::test]
async fn no_answer_comes_while_a_mail_is_sent() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::SendMail, 2, Fault::Hang);
    let plan = Plan::on(keycloak.access()).set("MAIL_REALM_TIMEOUT", "300ms").set("MAIL_DEADLINE", "500ms");
    let system = plan.start().await;
    let mut witness = Witness::of(&system);
    witness.answers_were_withheld(2);
    witness.register(&system.api_url(), &witness.usernames(5)).await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails), (5, 5), "{report}");
    assert_eq!(count(&system, "mail_attempts > mail_answered").await, 2);
    system.stop().await;
}

//! Keycloak without the provider that hands out links: noticed at the start, told to whoever can mend it, and waited for.

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Answer, Endpoint, FakeKeycloak, Fault},
    fake_smtp::FakeSmtp,
    process::Binary,
    system::{PATIENCE, Plan},
};

#[tokio::test]
async fn a_keycloak_that_hands_out_no_links_is_told_at_the_start_and_waited_for() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    let missing = Answer::error(404, "Unable to find matching target resource method");
    keycloak.fail_always(Endpoint::ActionLink, Fault::Status(missing));
    let system = Plan::on(keycloak.access()).by_smtp(server.port()).workers(0).start().await;
    let worker = Binary::worker().envs(system.settings()).start();
    eventually("the log says what is missing, and where it is", PATIENCE, async || {
        let output = worker.output();
        output.contains("usher-action-link") && output.contains("deploy/keycloak/action-link/README.md")
    })
    .await;

    let user = system.register().await;
    let row = system
        .until(&user, "the account is there, and the mail waits", |row| {
            row.synced_at.is_some() && row.last_error.as_deref().is_some_and(|it| it.contains("usher-action-link"))
        })
        .await;
    assert_eq!((row.parked_at, row.mail_served), (None, 0));
    keycloak.heal();

    system.until_complete(&user).await;
    assert_eq!(server.mails_to(&user.email).len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn who_has_keycloak_send_the_mails_needs_no_links() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_always(Endpoint::ActionLink, Fault::status(404));
    let system = Plan::on(keycloak.access()).start().await;
    let user = system.register().await;
    system.until_complete(&user).await;
    assert!(keycloak.requests(Endpoint::ActionLink).is_empty());
    system.stop().await;
}

//! Keycloak without the provider that hands out links: noticed at the start, told to whoever can mend it, and waited for.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Answer, Endpoint, FakeKeycloak, Fault},
    fake_smtp::FakeSmtp,
    http,
    process::Binary,
    reserved_port::ReservedPort,
    system::{PATIENCE, Plan},
};

/// The worker asks every ten seconds or so.
const LOOKS_AGAIN: Duration = Duration::from_mins(1);

#[tokio::test]
async fn a_keycloak_that_hands_out_no_links_is_told_at_the_start_and_waited_for() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    let missing = Answer::error(404, "Unable to find matching target resource method");
    keycloak.fail_always(Endpoint::ActionLink, Fault::Status(missing));
    let system = Plan::on(keycloak.access()).by_smtp(server.port()).workers(0).start().await;
    let ops = ReservedPort::new();
    let worker = Binary::worker().envs(system.settings()).env("WORKER_OPS_LISTEN", ops.address().to_string()).start();
    let degraded = async |part: &str| {
        let ready = http::client().get(format!("http://{}/health/ready", ops.address())).send().await;
        ready.ok()?.json::<Value>().await.ok()?["degraded"].as_array().map(|parts| parts.contains(&json!(part)))
    };
    eventually("the log says what is missing, and where it is", PATIENCE, async || {
        let output = worker.output();
        output.contains("usher-action-link") && output.contains("deploy/keycloak/action-link/README.md")
    })
    .await;
    // The log may say it before the listener answers.
    eventually("readiness says so", PATIENCE, async || degraded("action link").await == Some(true)).await;

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
    eventually("readiness says that it is over", LOOKS_AGAIN, async || degraded("action link").await == Some(false))
        .await;
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

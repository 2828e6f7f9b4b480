//! Keycloak is down, slow, hanging, full, changed, or its answer is lost.
//!
//! What it answers about one user alone is judged in `provisioning`, and what a breaker does in `breakers`.

use std::time::Duration;

use serde_json::json;

use super::scene::Scene;
use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Answer, Endpoint, FakeKeycloak, Fault},
    keycloak::Realm,
    mailbox::Mailbox,
    proxy::Proxy,
    rabbit::Vhost,
    system::{PATIENCE, Plan, Row, System},
    witness::{Beyond, Witness},
};

/// Registers people before, during and after a fault of Keycloak's. Each of them is told 201 at once; an operator reads
/// `reason` in the rows of those who wait, and nobody pays with an attempt.
async fn rides_out(
    keycloak: &FakeKeycloak,
    system: System,
    reason: &str,
    fail: impl AsyncFnOnce(),
    heal: impl AsyncFnOnce(),
) {
    let witness = Witness::of(&system);
    let names = witness.usernames(9);
    witness.register(&system.api_url(), &names[..3]).await;
    witness.places.until_quiet(PATIENCE).await.expect("all is well before");

    fail().await;
    for user in witness.register(&system.api_url(), &names[3..6]).await {
        let is_at_rest = |row: &Row| row.last_error.is_some() && row.leased_until.is_none() && row.attempts == 0;
        let row = system.until(&user, "the user waits, and it cost nothing", is_at_rest).await;
        let said = row.last_error.unwrap_or_default();
        assert!(said.contains(reason), "an operator reads {said:?} instead of {reason:?}");
        assert_eq!(row.parked_reason, None);
    }
    heal().await;

    witness.register(&system.api_url(), &names[6..]).await;
    let report = witness.all_is_well(Beyond::Fake(keycloak)).await;
    assert_eq!((report.provisioned, report.mails), (9, 9), "{report}");
    system.stop().await;
}

/// For as long as the fault lasts, everybody meets it.
async fn rides_out_answer(endpoint: Endpoint, fault: Fault, reason: &str) {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).set("KEYCLOAK_TIMEOUT", "500ms").start().await;
    let fail = async || {
        // The token that the worker has would last: who asks for one must not be spared.
        keycloak.revoke_tokens();
        keycloak.fail_always(endpoint, fault);
    };
    rides_out(&keycloak, system, reason, fail, async || keycloak.heal()).await;
}

#[tokio::test]
async fn keycloak_is_down() {
    let keycloak = FakeKeycloak::start().await;
    let line = Proxy::start(&keycloak.access().url).await;
    let mut access = keycloak.access().clone();
    access.url = line.url();
    let system = Plan::on(&access).start().await;
    rides_out(&keycloak, system, "could not reach Keycloak", async || line.cut().await, async || line.restore().await)
        .await;
}

#[tokio::test]
async fn keycloak_hangs() {
    rides_out_answer(Endpoint::CreateUser, Fault::Hang, "could not reach Keycloak").await;
}

#[tokio::test]
async fn keycloak_fails_inside() {
    rides_out_answer(Endpoint::CreateUser, Fault::status(500), "500").await;
}

#[tokio::test]
async fn keycloak_is_in_maintenance() {
    rides_out_answer(Endpoint::CreateUser, Fault::status(503), "503").await;
}

#[tokio::test]
async fn keycloak_asks_for_patience() {
    rides_out_answer(Endpoint::CreateUser, Fault::too_many_requests(1), "429").await;
}

#[tokio::test]
async fn keycloak_takes_no_token() {
    rides_out_answer(Endpoint::CreateUser, Fault::status(401), "401").await;
}

#[tokio::test]
async fn the_token_endpoint_is_down() {
    rides_out_answer(Endpoint::Token, Fault::status(502), "502").await;
}

#[tokio::test]
async fn the_secret_was_changed() {
    rides_out_answer(Endpoint::Token, Fault::status(401), "401").await;
}

#[tokio::test]
async fn the_service_account_lost_its_role() {
    rides_out_answer(Endpoint::CreateUser, Fault::status(403), "403").await;
}

#[tokio::test]
async fn the_realm_is_missing() {
    let missing = Fault::Status(Answer::error(404, "Realm does not exist"));
    rides_out_answer(Endpoint::Token, missing, "no such realm").await;
}

#[tokio::test]
async fn the_realm_goes_while_we_have_a_token() {
    rides_out_answer(Endpoint::CreateUser, Fault::Status(Answer::error(404, "Realm not found.")), "no such realm")
        .await;
}

#[tokio::test]
async fn a_proxy_leads_elsewhere() {
    let elsewhere = Answer::new(302).header("location", "http://localhost:9/");
    rides_out_answer(Endpoint::CreateUser, Fault::Status(elsewhere), "could not understand").await;
}

/// Answers come, each later than the one before would have liked: nobody fails, and nobody waits for a neighbour.
#[tokio::test]
async fn keycloak_is_slow() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_always(Endpoint::CreateUser, Fault::Delay(Duration::from_millis(700)));
    let plan = Plan::on(keycloak.access()).set("KEYCLOAK_TIMEOUT", "5s");
    let scene = Scene::set(plan, Vhost::create().await, keycloak).await;
    scene.serve(8).await;
    assert_eq!(scene.keycloak.count(Endpoint::CreateUser), 8, "a slow answer is not asked for twice");
    let account = r#"step="account""#;
    let name = "usher_provisioning_step_duration_seconds";
    let all = scene.metric(&format!("{name}_count"), &[account]).await;
    let quick = scene.metric(&format!("{name}_bucket"), &[account, r#"le="0.5""#]).await;
    assert_eq!((all, quick), (8, 0), "an operator sees how long it takes");
    let report = scene.all_is_well().await;
    assert_eq!((report.provisioned, report.mails), (8, 8), "{report}");
}

/// Keycloak has created everybody, and no answer arrived.
#[tokio::test]
async fn answers_are_lost_after_the_accounts_were_made() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    keycloak.fail_next(Endpoint::CreateUser, 4, Fault::DropAfterEffect);
    let witness = Witness::of(&system);
    witness.register(&system.api_url(), &witness.usernames(6)).await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails, keycloak.users().len()), (6, 6, 6), "{report}");
    system.stop().await;
}

/// Somebody made accounts by hand, with our usernames or our addresses.
#[tokio::test]
async fn somebody_else_has_the_names() {
    let mailbox = Mailbox::start().await;
    let realm = Realm::create(mailbox.port()).await;
    let system = Plan::on(realm.access()).start().await;
    let mut witness = Witness::of(&system);
    let names = witness.usernames(4);
    let by_name = json!({ "username": names[0], "email": "stranger@example.org", "enabled": true });
    let by_address = json!({ "username": "stranger", "email": format!("{}@example.org", names[1]), "enabled": true });
    for stranger in [by_name, by_address] {
        witness.stranger(&realm.create_user(&stranger).await);
    }

    witness.register(&system.api_url(), &names).await;

    let report = witness.all_is_well(Beyond::Own(&realm, &mailbox)).await;
    assert_eq!((report.provisioned, report.parked, report.mails), (2, 2, 2), "{report}");
    let reasons: Vec<String> = sqlx::query_scalar("SELECT parked_reason FROM users WHERE parked_at IS NOT NULL")
        .fetch_all(system.pool())
        .await
        .expect("the rows can be read");
    assert_eq!(reasons, ["conflict", "conflict"]);
    let probe = system.vhost.probe().await;
    eventually("operators see both", PATIENCE, async || probe.depth("usher.parked").await == Some(2)).await;
    system.stop().await;
}

//! The service account's token: one for all, replaced once when it is refused, renewed before it ends.

use std::time::Duration;

use futures_util::future::join_all;

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Gate},
    system::{PATIENCE, Plan, Registered, System},
};

const MANY: usize = 20;

async fn until_all_are_complete(system: &System, users: &[Registered]) {
    for user in users {
        assert_eq!(system.until_complete(user).await.claim_no, 1, "at the first go");
    }
}

async fn claimed(system: &System) -> i64 {
    let claimed = sqlx::query_scalar("SELECT count(*) FROM users WHERE claim_no > 0");
    claimed.fetch_one(system.pool()).await.expect("rows can be counted")
}

#[tokio::test]
async fn many_users_at_once_cause_one_login() {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).workers(0).set("PROVISION_CONCURRENCY", &MANY.to_string());
    let mut system = plan.start().await;
    let users = join_all((0..MANY).map(|_| system.register())).await;
    let mut login = keycloak.hold(Endpoint::Token);
    system.start_worker().await;
    login.reached().await;
    eventually("all of them want a token", PATIENCE, async || claimed(&system).await == 20).await;

    login.release();

    until_all_are_complete(&system, &users).await;
    assert_eq!(keycloak.requests(Endpoint::Token).len(), 1);
    system.stop().await;
}

#[tokio::test]
async fn a_revoked_token_is_replaced_once_for_all() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    // As many as run at once: each is on its way with the token that is then revoked.
    let mut on_their_way: Vec<_> = (0..4).map(|_| keycloak.hold(Endpoint::CreateUser)).collect();
    let users = join_all((0..4).map(|_| system.register())).await;
    for gate in &mut on_their_way {
        gate.reached().await;
    }

    keycloak.revoke_tokens();
    on_their_way.into_iter().for_each(Gate::release);

    until_all_are_complete(&system, &users).await;
    assert_eq!(keycloak.requests(Endpoint::CreateUser).len(), 8, "each was refused once");
    assert_eq!(keycloak.requests(Endpoint::Token).len(), 2);
    system.stop().await;
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.set_token_lifetime(Duration::from_secs(5));
    let system = Plan::on(keycloak.access()).start().await;

    let mut users = Vec::new();
    eventually("the token is renewed", PATIENCE, async || {
        let user = system.register().await;
        system.until_complete(&user).await;
        users.push(user);
        keycloak.requests(Endpoint::Token).len() == 2
    })
    .await;

    until_all_are_complete(&system, &users).await;
    let asked = [Endpoint::CreateUser, Endpoint::SendMail].map(|endpoint| keycloak.requests(endpoint).len());
    assert_eq!(asked, [users.len(); 2], "nothing was asked twice, so no token was ever refused");
    system.stop().await;
}

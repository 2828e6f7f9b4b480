//! Downstreams that go away and come back: everybody waits, nobody pays, nothing is lost, no restart is needed.

use futures_util::future::join_all;

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Fault, Gate},
    process::Binary,
    proxy::Proxy,
    rabbit::Probe,
    system::{PATIENCE, Plan, Registered, System},
};

const QUEUE: &str = "usher.user-created";

/// No event that is not published, no message that is not consumed, and none that could not be understood.
async fn until_nothing_waits(system: &System, probe: &Probe) {
    eventually("nothing waits", PATIENCE, async || {
        let outbox = system.outbox_depth().await;
        let depths = [probe.depth(QUEUE).await, probe.depth("usher.user-created.dead").await];
        if (outbox, depths) == (0, [Some(0); 2]) { Ok(()) } else { Err((outbox, depths)) }
    })
    .await;
}

async fn until_all_have_one_account_and_one_mail(system: &System, keycloak: &FakeKeycloak, users: &[Registered]) {
    for user in users {
        let row = system.until_complete(user).await;
        assert_eq!((keycloak.mails_to(&user.username).len(), row.mail_attempts), (1, 1), "exactly one mail");
    }
    // Names are unique in Keycloak, so nobody can have two.
    assert_eq!(keycloak.users().len(), users.len());
}

#[tokio::test]
async fn while_keycloak_is_away_messages_wait_in_the_queue_and_nobody_pays() {
    let keycloak = FakeKeycloak::start().await;
    let line = Proxy::start(&keycloak.access().url).await;
    let mut access = keycloak.access().clone();
    access.url = line.url();
    let system = Plan::on(&access).start().await;
    let probe = system.vhost.probe().await;
    eventually("the worker consumes", PATIENCE, async || probe.consumers(QUEUE).await == Some(1)).await;

    line.cut().await;
    let mut users = join_all((0..8).map(|_| system.register())).await;
    eventually("the consumer pauses", PATIENCE, async || probe.consumers(QUEUE).await == Some(0)).await;
    users.extend(join_all((0..4).map(|_| system.register())).await);
    eventually("the messages can be seen", PATIENCE, async || probe.depth(QUEUE).await >= Some(4)).await;
    for user in &users {
        let row = system.until(user, "no attempt is spent", |row| row.attempts == 0).await;
        assert_eq!((row.parked_at, row.synced_at), (None, None));
    }
    assert_eq!(probe.consumers(QUEUE).await, Some(0), "still paused");
    line.restore().await;

    until_all_have_one_account_and_one_mail(&system, &keycloak, &users).await;
    until_nothing_waits(&system, &probe).await;
    system.stop().await;
}

#[tokio::test]
async fn while_mails_fail_accounts_are_made_and_keycloak_is_spared() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_always(Endpoint::SendMail, Fault::mail_failed());
    let system = Plan::on(keycloak.access()).start().await;
    let users = join_all((0..12).map(|_| system.register())).await;

    for user in &users {
        let row = system
            .until(user, "the account is there and the mail waits", |row| {
                row.synced_at.is_some() && row.last_error.is_some() && row.leased_until.is_none() && row.attempts == 0
            })
            .await;
        assert_eq!(row.parked_at, None);
    }
    // Five in a row open the breaker; those who were inside by then, and single probes, are all that comes on top.
    let tries = keycloak.requests(Endpoint::SendMail).len();
    assert!((5..users.len()).contains(&tries), "{tries} tries for {} users", users.len());
    keycloak.heal();

    for user in &users {
        system.until_complete(user).await;
        assert_eq!(keycloak.mails_to(&user.username).len(), 1);
    }
    assert_eq!(keycloak.requests(Endpoint::CreateUser).len(), users.len());
    system.stop().await;
}

#[tokio::test]
async fn a_mail_without_an_answer_does_not_say_that_keycloak_is_well() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_always(Endpoint::SendMail, Fault::Hang);
    let plan = Plan::on(keycloak.access()).set("MAIL_REALM_TIMEOUT", "300ms").set("MAIL_DEADLINE", "500ms");
    let system = plan.set("BREAKER_OPEN_MAX", "200ms").start().await;
    let probe = system.vhost.probe().await;
    let waits_for_mail = system.register().await;
    system.until(&waits_for_mail, "the account is there", |row| row.synced_at.is_some()).await;

    keycloak.fail_always(Endpoint::CreateUser, Fault::status(503));
    let mut users = join_all((0..5).map(|_| system.register())).await;
    eventually("the consumer pauses", PATIENCE, async || probe.consumers(QUEUE).await == Some(0)).await;
    users.extend(join_all((0..2).map(|_| system.register())).await);
    eventually("all events are published", PATIENCE, async || system.outbox_depth().await == 0).await;
    let waiting = probe.depth(QUEUE).await;
    assert!(waiting >= Some(2), "{waiting:?}");
    // Whoever waits for a mail is a probe like everybody else, and this one cannot tell.
    let mails = keycloak.requests(Endpoint::SendMail).len();
    let tried = async || keycloak.requests(Endpoint::SendMail).len() >= mails + 3;
    eventually("the mail is tried again and again", PATIENCE, tried).await;
    assert_eq!(probe.depth(QUEUE).await, waiting, "the consumer was sent to a Keycloak that is down");
    keycloak.heal();

    users.push(waits_for_mail);
    for user in &users {
        system.until_complete(user).await;
    }
    until_nothing_waits(&system, &probe).await;
    system.stop().await;
}

#[tokio::test]
async fn while_postgresql_is_away_from_a_worker_nothing_is_lost() {
    let keycloak = FakeKeycloak::start().await;
    // A run gives up after its lease, which must end here, but not because the machine is busy.
    let plan = Plan::on(keycloak.access()).set("PROVISION_LEASE", "9s").set("PROVISION_LEASE_MARGIN", "3s");
    let plan = plan.set("KEYCLOAK_DEADLINE", "6s").set("MAIL_DEADLINE", "6s").set("MAIL_REALM_TIMEOUT", "5s");
    let system = plan.workers(0).set("PROVISION_CONCURRENCY", "2").start().await;
    let line = Proxy::start(&system.database.url()).await;
    let mut worker = Binary::worker().envs(system.settings()).env("DATABASE_URL", line.url()).start();
    let probe = system.vhost.probe().await;
    // Two users are created, and not marked yet, when the line is cut; the others wait behind them.
    let mut in_flight = [keycloak.hold_answer(Endpoint::CreateUser), keycloak.hold_answer(Endpoint::CreateUser)];
    let mut users = join_all((0..8).map(|_| system.register())).await;
    for gate in &mut in_flight {
        gate.reached().await;
    }
    eventually("all events are published", PATIENCE, async || system.outbox_depth().await == 0).await;

    line.cut().await;
    in_flight.into_iter().for_each(Gate::release);
    eventually("the consumer pauses", PATIENCE, async || probe.consumers(QUEUE).await == Some(0)).await;
    users.extend(join_all((0..4).map(|_| system.register())).await);
    assert!(worker.is_running());
    line.restore().await;

    until_all_have_one_account_and_one_mail(&system, &keycloak, &users).await;
    until_nothing_waits(&system, &probe).await;
    assert!(worker.stop().await.success());
}

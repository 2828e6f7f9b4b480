//! Thousands wait while Keycloak is down: an operator sees them, nobody pays, and when Keycloak is back they do not fell
//! it.

use std::time::{Duration, Instant};

use super::scene::{QUEUE, Scene, count};
use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Fault, Request},
    rabbit::Vhost,
    system::{PATIENCE, Plan},
};

const AT_ONCE: usize = 16;
/// Long enough for those who are asked at once to meet each other there.
const ANSWERS_AFTER: Duration = Duration::from_millis(20);
/// For all of them, on two noisy cores.
const DRAINED_WITHIN: Duration = Duration::from_mins(5);
const LONGEST_OUTAGE: Duration = Duration::from_mins(4);

/// How far an outage is.
struct Outage {
    lasts: Duration,
    /// Questions to a Keycloak that is down, since all are waiting.
    in_vain: usize,
}

/// Until Keycloak was tried eight times more, with longer and longer pauses.
#[tokio::test]
async fn two_thousand_wait_for_keycloak() {
    rides_out(2_000, &[], |outage| outage.in_vain >= 8).await;
}

/// All times are a tenth of the defaults. What it prints stands in docs/reliability.
#[tokio::test]
#[ignore = "runs alone, for five minutes: cargo dev test does it after all others"]
async fn ten_thousand_wait_for_three_minutes() {
    let tenths = [
        ("SWEEP_INTERVAL", "1500ms"),
        ("PROVISION_SNOOZE", "1s"),
        ("PROVISION_RETRY_BASE", "500ms"),
        ("PROVISION_RETRY_MAX", "6m"),
        ("BREAKER_OPEN_BASE", "500ms"),
        ("BREAKER_OPEN_MAX", "6s"),
        ("KEYCLOAK_BLIP", "200ms"),
    ];
    rides_out(10_000, &tenths, |outage| outage.lasts >= Duration::from_mins(3)).await;
}

async fn rides_out(waiting: usize, settings: &[(&str, &str)], is_over: impl Fn(&Outage) -> bool) {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_always(Endpoint::CreateUser, Fault::Delay(ANSWERS_AFTER));
    let plan = Plan::on(keycloak.access()).set("PROVISION_CONCURRENCY", &AT_ONCE.to_string());
    let plan = settings.iter().fold(plan, |plan, (name, value)| plan.set(name, value));
    let scene = Scene::set(plan, Vhost::create().await, keycloak).await;
    // Without an outage, to see how fast these parts are.
    let usual = waiting / 5;
    scene.write(usual).await;
    until_quiet(&scene).await;
    let before = per_second(&scene.keycloak.requests(Endpoint::SendMail));

    fail(&scene).await;
    scene.write(waiting).await;
    scene.until_published().await;
    let outage = outlast(&scene, waiting, is_over).await;
    let touched = count(&scene.system, "synced_at IS NULL AND claim_no > 0").await;
    let healed = Instant::now();
    scene.keycloak.heal();
    scene.keycloak.fail_always(Endpoint::CreateUser, Fault::Delay(ANSWERS_AFTER));
    until_quiet(&scene).await;

    let since = |endpoint| -> Vec<Request> {
        scene.keycloak.requests(endpoint).into_iter().filter(|request| request.came >= healed).collect()
    };
    let asked = since(Endpoint::CreateUser);
    assert_ramp(&asked);
    // One may have come in the very moment of the return.
    assert!(asked.len() <= waiting + AT_ONCE + 1, "{} questions about {waiting} users", asked.len());
    let mails = since(Endpoint::SendMail);
    let after = per_second(&mails);
    println!(
        "down for {:.0} s, asked {} times in vain about {touched} users; mails per second: {before:.0} without an outage, \
         {after:.0} after it; the first one {:.2} s after Keycloak's return, all after {:.0} s",
        outage.lasts.as_secs_f64(),
        outage.in_vain,
        mails[0].came.duration_since(healed).as_secs_f64(),
        mails[mails.len() - 1].came.duration_since(healed).as_secs_f64(),
    );
    let report = scene.all_is_well().await;
    assert_eq!(report.provisioned, usual + AT_ONCE + waiting, "{report}");
}

async fn until_quiet(scene: &Scene) {
    scene.witness.places.until_quiet(DRAINED_WITHIN).await.expect("everybody is served");
}

/// Keycloak goes down, and is left alone.
async fn fail(scene: &Scene) {
    scene.keycloak.heal();
    scene.keycloak.fail_always(Endpoint::CreateUser, Fault::status(503));
    scene.register(AT_ONCE).await;
    scene.until_degraded(&["keycloak"]).await;
    let probe = scene.probe().await;
    eventually("the consumer pauses", PATIENCE, async || probe.consumers(QUEUE).await == Some(0)).await;
}

/// All the time everybody is seen to wait, and nobody pays.
async fn outlast(scene: &Scene, waiting: usize, is_over: impl Fn(&Outage) -> bool) -> Outage {
    let probe = scene.probe().await;
    let all = u32::try_from(waiting).expect("a few");
    eventually("all of them can be seen", PATIENCE, async || probe.depth(QUEUE).await >= Some(all)).await;
    let (began, before) = (Instant::now(), scene.keycloak.count(Endpoint::CreateUser));
    eventually("the outage is over", LONGEST_OUTAGE, async || {
        let paid = count(&scene.system, "parked_at IS NOT NULL OR (attempts <> 0 AND leased_until IS NULL)").await;
        assert_eq!(paid, 0, "an attempt was spent, or somebody was given up");
        let (depth, consumers) = (probe.depth(QUEUE).await, probe.consumers(QUEUE).await);
        assert!(depth >= Some(all) && consumers == Some(0), "{depth:?} messages, {consumers:?} consumers");
        let in_vain = scene.keycloak.count(Endpoint::CreateUser) - before;
        Some(Outage { lasts: began.elapsed(), in_vain }).filter(&is_over)
    })
    .await
}

/// The questions since Keycloak's return, in order. First comes one, and with each that is answered one more may come
/// beside it.
fn assert_ramp(asked: &[Request]) {
    for (number, request) in asked.iter().enumerate() {
        let answered = number + 1 - request.at_once;
        assert!(request.at_once <= 1 + answered, "number {number} came as one of {} at once", request.at_once);
    }
    let most = asked.iter().map(|request| request.at_once).max();
    println!("at once after Keycloak's return: {:?} …, at most {most:?}", at_once(&asked[..asked.len().min(40)]));
    assert!(most > Some(4), "it stays with {most:?} at once");
}

fn at_once(asked: &[Request]) -> Vec<usize> {
    asked.iter().map(|request| request.at_once).collect()
}

/// Between the first fifth and the last.
fn per_second(requests: &[Request]) -> f64 {
    let (first, last) = (requests.len() / 5, requests.len() - requests.len() / 5);
    let took = requests[last].came.duration_since(requests[first].came);
    u32::try_from(last - first).map_or(0.0, f64::from) / took.as_secs_f64()
}

//! Our own processes are killed, replaced under load, doubled, or live in another time.
//!
//! What happens to one that dies at a given step stands in `crash_points`, and to one that sleeps in `lease`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::future::join_all;
use nix::sys::signal::Signal;
use serde_json::Value;
use sqlx::Executor as _;
use tempfile::TempDir;

use super::scene::{Scene, count};
use crate::harness::{
    auth::Answer,
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    metrics::metric_of_all,
    process::{Binary, Process},
    reserved_port::ReservedPort,
    system::{PATIENCE, Plan, System},
    witness::{Beyond, Witness},
};

fn worker(system: &System) -> Process {
    Binary::worker().arg("run").envs(system.settings()).start()
}

fn api(system: &System, port: &ReservedPort) -> Process {
    Binary::api().arg("serve").envs(system.settings()).env("API_LISTEN", port.address().to_string()).start()
}

/// The claims of those who were killed end: time passes for the database.
async fn leases_end(system: &System) {
    let leases = "UPDATE users SET leased_until = now() - interval '1 s' WHERE leased_until > now()";
    system.pool().execute(leases).await.expect("the rows can be written");
}

#[tokio::test]
async fn workers_are_killed_under_load() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let mut witness = Witness::of(&system);
    let names = witness.usernames(30);
    let mut victim = worker(&system);
    for (killed, some) in names.chunks(10).enumerate() {
        witness.register(&system.api_url(), some).await;
        let begun = async || !keycloak.users().is_empty() && keycloak.users().len() > killed * 10;
        eventually("it is at work", PATIENCE, begun).await;
        victim.kill().await;
        witness.sends_were_cut_off().await;
        leases_end(&system).await;
        victim = worker(&system);
    }
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.parked), (30, 0), "{report}");
    assert!(victim.stop().await.success());
    system.stop().await;
}

/// A defect of ours ends the run of one user, and no other: the process goes on, and somebody tries again.
#[tokio::test]
async fn a_run_panics() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let worker = Binary::worker().envs(system.settings()).env("PANIC_AT", "provision.account_made:2");
    let scene = Scene::with_worker(worker, system, keycloak);
    let users = scene.register(5).await;
    scene.worker.until_output_has("a run panicked").await;
    let complete = "synced_at IS NOT NULL AND mail_served = mail_wanted";
    eventually("all but one are complete", PATIENCE, async || count(&scene.system, complete).await == 4).await;
    leases_end(&scene.system).await;
    scene.until_complete(&users).await;
    let report = scene.all_is_well().await;
    assert_eq!((report.provisioned, report.mails), (5, 5), "{report}");
}

/// And a defect in one request ends no other.
#[tokio::test]
async fn a_request_panics() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let mut api = Binary::api().envs(system.settings()).env("PANIC_AT", "registration.before_commit:1").start();
    let system = system.by_way_of(&api).await;
    let register = async || Answer::of(system.registration("ada", "ada@example.org")).await;
    register().await.is_problem(500, "internal");
    assert_eq!(register().await.status, 201);
    assert!(api.output().contains("as PANIC_AT wants it"), "{}", api.output());
    assert!(api.stop().await.success());
}

#[tokio::test]
async fn the_api_is_killed_under_load() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let witness = Witness::of(&system);
    let names = witness.usernames(40);
    let port = ReservedPort::new();
    let url = format!("http://{}", port.address());
    let mut victim = api(&system, &port);
    let kills = async {
        for at_least in [5, 15, 25] {
            eventually("some are registered", PATIENCE, async || count(&system, "true").await >= at_least).await;
            victim.kill().await;
            victim = api(&system, &port);
        }
    };
    // One after another, so that there is somebody to be cut off each time.
    let people = async {
        for name in &names {
            witness.register(&url, std::slice::from_ref(name)).await;
        }
    };
    tokio::join!(kills, people);
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.acknowledged, report.provisioned), (40, 40), "{report}");
    system.stop().await;
}

/// Workers are replaced one after another, as an orchestrator does it, while people register: nothing is cut off, and
/// nobody gets a second mail.
#[tokio::test]
async fn workers_are_replaced_under_load() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let witness = Witness::of(&system);
    let names = witness.usernames(40);
    let (mut one, mut other) = (worker(&system), worker(&system));
    let people = async {
        for some in names.chunks(4) {
            witness.register(&system.api_url(), some).await;
        }
    };
    let replacing = async {
        for old in [&mut one, &mut other] {
            eventually("there is work", PATIENCE, async || !keycloak.users().is_empty()).await;
            let new = worker(&system);
            assert!(old.stop().await.success(), "it drains");
            *old = new;
        }
    };
    tokio::join!(people, replacing);
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails, report.duplicate_mails), (40, 40, 0), "{report}");
    let spent = count(&system, "attempts > 0 OR mail_attempts > 1").await;
    assert_eq!(spent, 0, "it cost nobody anything");
    for worker in [&mut one, &mut other] {
        assert!(worker.stop().await.success());
    }
    system.stop().await;
}

/// An api that is told to end answers whom it has taken on, and takes nobody else.
#[tokio::test]
async fn the_api_is_replaced_under_load() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let witness = Witness::of(&system);
    let names = witness.usernames(30);
    let port = ReservedPort::new();
    let url = format!("http://{}", port.address());
    let mut old = api(&system, &port);
    let replacing = async {
        for at_least in [5, 15] {
            eventually("some are registered", PATIENCE, async || count(&system, "true").await >= at_least).await;
            old.signal(Signal::SIGTERM);
            assert!(old.exit().await.success());
            old = api(&system, &port);
            // One that is told to end before it has begun ends by the signal.
            old.until_output_has("accepting registrations").await;
        }
    };
    let people = async {
        for some in names.chunks(3) {
            witness.register(&url, some).await;
        }
    };
    tokio::join!(replacing, people);
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.acknowledged, report.provisioned), (30, 30), "{report}");
    system.stop().await;
}

/// Two replicas are asked for the same names at the same time, each by another client: one of them registers each.
#[tokio::test]
async fn two_replicas_race_for_the_same_names() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).set("LOG_FORMAT", "json").start().await;
    let witness = Witness::of(&system);
    let names = witness.usernames(10);
    let ports = [(); 3].map(|()| ReservedPort::new());
    let [port, ops @ ..] = &ports;
    let watched =
        |ops: &ReservedPort| Binary::api().envs(system.settings()).env("API_OPS_LISTEN", ops.address().to_string());
    let (one, other) =
        (watched(&ops[0]).start(), watched(&ops[1]).env("API_LISTEN", port.address().to_string()).start());
    let system = system.by_way_of(&one).await;
    other.until_output_has("accepting registrations").await;
    let replica = format!("http://{}", port.address());
    let rivals = join_all(names.iter().map(async |name| {
        let address = format!("{name}@example.org");
        let (ours, theirs) = tokio::join!(system.try_register(name, &address), witness.try_register(&replica, name));
        (ours == 201, theirs)
    }))
    .await;
    assert!(rivals.iter().all(|(ours, theirs)| ours != theirs), "exactly one has each name: {rivals:?}");
    let counted = async |outcome: &str| metric_of_all(ops, "usher_registrations_total", &[outcome]).await;
    let seen = (counted(r#"outcome="created""#).await, counted(r#"outcome="taken""#).await);
    assert_eq!(seen, (10, 10), "an operator sees both");
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails), (10, 10), "{report}");
    drop((one, other));
    system.stop().await;
}

/// One worker's clock is an hour fast, the other's an hour slow: leases and due times go by the database's.
#[tokio::test]
async fn workers_live_in_another_time() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let witness = Witness::of(&system);
    let names = witness.usernames(20);
    let mut workers = ["+1h", "-1h"].map(|shift| {
        Binary::worker()
            .arg("run")
            .envs(system.settings())
            .env("LD_PRELOAD", faketime())
            .env("FAKETIME", shift)
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .start()
    });
    for worker in &workers {
        worker.until_output_has("connected to the broker").await;
    }
    witness.register(&system.api_url(), &names).await;
    let report = witness.all_is_well(Beyond::Fake(&keycloak)).await;
    assert_eq!((report.provisioned, report.mails, report.duplicate_mails), (20, 20, 0), "{report}");
    let odd = count(&system, "abs(extract(epoch FROM mail_sent_at - created_at)) > 600 OR claim_no <> 1").await;
    assert_eq!(odd, 0, "nobody was taken over, and no time of theirs is in a row");
    for (worker, hours) in workers.iter_mut().zip([1, -1]) {
        assert!(tells_the_time_with(worker, hours), "an operator sees it in its log:\n{}", worker.output());
        assert!(worker.stop().await.success());
    }
    system.stop().await;
}

/// Whether a line of its log is so many hours off.
fn tells_the_time_with(worker: &Process, hours: i64) -> bool {
    let output = worker.output();
    let lines = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let times = lines.filter_map(|line| line["timestamp"].as_str()?.parse::<DateTime<Utc>>().ok());
    times.into_iter().any(|time| (time - Utc::now() - TimeDelta::hours(hours)).abs() < TimeDelta::minutes(10))
}

/// Somebody sets a worker's clock, forward and far back, while it is at work.
#[tokio::test]
async fn a_workers_clock_jumps() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let (clock, folder) = clock();
    let worker = Binary::worker().envs(system.settings()).env("RUST_LOG", "info,milestone=debug");
    let worker =
        worker.env("LD_PRELOAD", faketime()).env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_NO_CACHE", "1");
    let scene = Scene::with_worker(worker.env("FAKETIME_DONT_FAKE_MONOTONIC", "1"), system, keycloak);
    scene.serve(5).await;
    for hours in [1, -1] {
        let users = scene.register(5).await;
        set(&clock, hours);
        scene.until_complete(&users).await;
        scene.serve(5).await;
        assert!(tells_the_time_with(&scene.worker, hours), "an operator sees it in its log");
    }
    let odd = count(&scene.system, "abs(extract(epoch FROM mail_sent_at - created_at)) > 600 OR claim_no <> 1").await;
    assert_eq!(odd, 0, "nobody was taken over, and no time of its own is in a row");
    let report = scene.all_is_well().await;
    assert_eq!((report.provisioned, report.mails), (25, 25), "{report}");
    drop(folder);
}

/// A file that a clock goes by, and the folder that it lies in.
fn clock() -> (PathBuf, TempDir) {
    let folder = TempDir::new().expect("a folder");
    let clock = folder.path().join("clock");
    set(&clock, 0);
    (clock, folder)
}

/// In one move: somebody is always reading.
fn set(clock: &Path, hours: i64) {
    let next = clock.with_extension("next");
    fs::write(&next, format!("{:+}\n", hours * 3600)).expect("the folder takes files");
    fs::rename(next, clock).expect("the folder takes files");
}

/// Of Debian's package `libfaketime`, in the directory of the machine's kind.
fn faketime() -> PathBuf {
    let kinds = fs::read_dir("/usr/lib").expect("libraries").flatten();
    let library = kinds.map(|kind| kind.path().join("faketime/libfaketimeMT.so.1")).find(|library| library.exists());
    library.expect("libfaketime is missing: run `cargo dev test`, which installs it")
}

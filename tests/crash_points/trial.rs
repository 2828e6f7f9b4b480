//! One trial: real processes, one of which dies at a point; then it is healed, and everything is counted.

use std::os::unix::process::ExitStatusExt as _;

use lapin::BasicProperties;
use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::json;
use shared::crash_point::CrashPoint;

use crate::{
    harness::{
        eventually::eventually,
        http,
        keycloak::Realm,
        process::{Binary, Process},
        reserved_port::ReservedPort,
        stack::Stack,
        system::{PATIENCE, Plan, System},
        witness::{Beyond, Witness},
    },
    topology,
};

/// By which way users come to be provisioned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The sweep stays out of it: what no event brings about does not happen.
    Event,
    /// The same, with mails of our own.
    OwnMails,
    /// The same, to a mail that sets another password than the one that was chosen at the registration.
    AnotherMail,
    /// No event reaches a worker.
    Sweep,
    /// They were parked, and an operator replays them.
    Replay,
}

impl Way {
    fn leads_by_events(self) -> bool {
        matches!(self, Self::Event | Self::OwnMails | Self::AnotherMail)
    }
}

/// How many are on the way when the process dies.
const USERS: usize = 3;

pub(super) struct Trial {
    point: CrashPoint,
    way: Way,
    realm: Realm,
    system: System,
    api_port: ReservedPort,
    witness: Witness,
    usernames: Vec<String>,
}

impl Trial {
    pub(super) async fn begin(point: CrashPoint, way: Way) -> Self {
        let realm = Realm::shared();
        let plan = Plan::on(realm.access()).workers(0);
        // In a trial by event the sweep finds nobody for an hour, unless somebody was claimed.
        let plan = if way.leads_by_events() { plan.set("SWEEP_INTERVAL", "1h") } else { plan };
        let plan = if way == Way::OwnMails { plan.by_smtp(Stack::get().smtp_port) } else { plan };
        let system = plan.takes_passwords().start().await;
        let witness = Witness::of(&system);
        let usernames = witness.usernames(USERS);
        Self { point, way, realm, system, api_port: ReservedPort::new(), witness, usernames }
    }

    /// Somebody dies at the point, is replaced, and nobody is lost.
    pub(super) async fn run(mut self) {
        let strangers = self.strangers_take_the_names().await;
        let survivors =
            if self.is_in_the_api() { self.the_api_dies().await } else { self.a_worker_dies(&strangers).await };
        if self.point == CrashPoint::DeadLetterConfirmed {
            self.take_the_dead_letter().await;
        }
        let report = self.witness.all_is_well(Beyond::Shared(&self.realm)).await;
        assert_eq!(report.acknowledged, USERS);
        assert_eq!((report.provisioned, report.parked), if self.parks() { (0, USERS) } else { (USERS, 0) }, "{report}");
        drop(survivors);
    }

    fn is_in_the_api(&self) -> bool {
        ["registration.", "mail_request."].iter().any(|of_api| self.point.name().starts_with(of_api))
    }

    fn parks(&self) -> bool {
        matches!(self.point, CrashPoint::ProvisionBeforePark | CrashPoint::ProvisionParked)
    }

    fn postpones(&self) -> bool {
        matches!(self.point, CrashPoint::ProvisionBeforePostpone | CrashPoint::ProvisionPostponed)
    }

    async fn the_api_dies(&mut self) -> Vec<Process> {
        let worker = self.worker().start();
        let about_mail = self.point.name().starts_with("mail_request.");
        if about_mail {
            let mut api = self.api().start();
            self.register().await;
            self.witness.places.until_quiet(PATIENCE).await.expect("all are complete before they ask again");
            assert!(api.stop().await.success());
        }
        let mut victim = self.api().env("CRASH_AT", self.crash_at()).start();
        let successor = async {
            self.dies(&mut victim).await;
            self.api().start()
        };
        let work = async { if about_mail { self.ask_for_mails().await } else { self.register().await } };
        let (successor, ()) = tokio::join!(successor, work);
        vec![successor, worker]
    }

    async fn a_worker_dies(&mut self, strangers: &[String]) -> Vec<Process> {
        let api = self.api().start();
        if self.way == Way::AnotherMail {
            self.complete_with_a_password().await;
        } else {
            self.register().await;
        }
        if self.way == Way::Replay {
            self.park_and_replay(strangers).await;
        }
        if self.point == CrashPoint::DeadLetterConfirmed {
            self.lay_a_dead_letter().await;
        }
        let mut victim = self.worker().env("CRASH_AT", self.crash_at());
        if !self.way.leads_by_events() {
            victim = victim.env("AMQP_URL", "amqp://127.0.0.1:1/nobody");
        }
        if self.postpones() {
            victim = victim.env("MAIL_REDIRECT_URI", "https://elsewhere.example.org/");
        }
        self.dies(&mut victim.start()).await;
        self.witness.sends_were_cut_off().await;
        self.the_claims_of_the_dead_end().await;
        vec![api, self.worker().start()]
    }

    /// At the second passing, so that somebody has passed before; a batch of the relay, though, is one for all.
    fn crash_at(&self) -> String {
        let once = self.point.name().starts_with("relay.") || self.point == CrashPoint::DeadLetterConfirmed;
        format!("{}:{}", self.point.name(), if once { 1 } else { 2 })
    }

    async fn dies(&self, victim: &mut Process) {
        let died = victim.exit().await;
        let name = self.point.name();
        assert_eq!(died.signal(), Some(Signal::SIGABRT as i32), "{name} was not passed: {died}\n{}", victim.output());
        assert!(victim.output().contains(&format!("crashing at {name}")), "{}", victim.output());
    }

    fn api(&self) -> Binary {
        let listen = self.api_port.address().to_string();
        Binary::api().arg("serve").envs(self.system.settings()).env("API_LISTEN", listen)
    }

    fn worker(&self) -> Binary {
        Binary::worker().arg("run").envs(self.system.settings())
    }

    fn api_url(&self) -> String {
        format!("http://{}", self.api_port.address())
    }

    async fn register(&self) {
        self.witness.register(&self.api_url(), &self.usernames).await;
    }

    /// Everybody has chosen a password, is complete, and asks for another mail.
    async fn complete_with_a_password(&self) {
        self.witness.register_with_a_password(&self.api_url(), &self.usernames).await;
        let mut worker = self.worker().start();
        self.witness.places.until_quiet(PATIENCE).await.expect("all are complete");
        assert!(worker.stop().await.success());
        self.ask_for_mails().await;
    }

    /// As a client that was cut off does: once more.
    async fn ask_for_mails(&self) {
        for username in &self.usernames {
            let url = format!("{}/users/send-password-setup-email", self.api_url());
            eventually("the request is taken", PATIENCE, async || {
                let answer = http::client().post(&url).json(&json!({ "username": username })).send().await;
                answer.is_ok_and(|answer| answer.status() == StatusCode::ACCEPTED)
            })
            .await;
        }
    }

    /// Time passes for the database: nobody is left who would end these claims.
    async fn the_claims_of_the_dead_end(&self) {
        let leases = "UPDATE users SET leased_until = now() - interval '1 s', next_attempt_at = now()
                       WHERE leased_until > now() OR last_error IS NOT NULL";
        sqlx::query(leases).execute(self.system.pool()).await.expect("the rows can be written");
    }

    /// Returns their accounts: none, unless somebody is to be parked.
    async fn strangers_take_the_names(&mut self) -> Vec<String> {
        if !self.parks() && self.way != Way::Replay {
            return Vec::new();
        }
        let mut accounts = Vec::new();
        for username in &self.usernames {
            let account = self.realm.create_user(&json!({ "username": username, "enabled": true })).await;
            self.witness.stranger(&account);
            accounts.push(account);
        }
        accounts
    }

    /// Everybody is parked for a conflict; the strangers go, unless they are to be met again; an operator replays.
    async fn park_and_replay(&self, strangers: &[String]) {
        let mut worker = self.worker().start();
        self.witness.places.until_quiet(PATIENCE).await.expect("all are parked");
        assert!(worker.stop().await.success());
        if !self.parks() {
            for stranger in strangers {
                self.realm.delete_user(stranger).await;
            }
        }
        let replay = Binary::worker().args(&["parked", "replay", "--all", "--reason", "conflict", "--json"]);
        let replayed = replay.envs(self.system.settings()).finish().await;
        assert_eq!(replayed.code, Some(0), "{}", replayed.stderr);
        assert_eq!(replayed.stdout.lines().count(), USERS, "{}", replayed.stdout);
    }

    async fn lay_a_dead_letter(&self) {
        topology::declare_on(&self.system.vhost).await;
        let probe = self.system.vhost.probe().await;
        probe.publish("usher.events", "user.created", b"not an event", BasicProperties::default()).await;
    }

    /// It was laid there twice, because its original came again: once before the death, once after it.
    async fn take_the_dead_letter(&self) {
        let probe = self.system.vhost.probe().await;
        let dead = format!("{QUEUE}.dead");
        eventually("the letter came again", PATIENCE, async || probe.depth(&dead).await == Some(2)).await;
        for letter in probe.drain(&dead).await {
            assert_eq!(letter.body, b"not an event");
            assert!(letter.headers.contains_key("x-usher-reason"), "{letter:?}");
        }
    }
}

const QUEUE: &str = "usher.user-created";

//! `usher-worker doctor`: all is well, or each fault is found and what to do is said.

mod keycloak;
mod mail;
mod postgres;
mod rabbitmq;

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{
    harness::{
        database::Database, keycloak::Realm, keycloak_access::KeycloakAccess, process::Binary, rabbit::Vhost,
        stack::Stack, system::Plan,
    },
    topology::declare_on,
};

/// Everything that a worker depends on, as it should be.
struct Patient {
    database: Database,
    vhost: Vhost,
    settings: BTreeMap<String, String>,
}

impl Patient {
    async fn on(keycloak: &KeycloakAccess) -> Self {
        let (database, vhost) = (Database::create().await, Vhost::create().await);
        declare_on(&vhost).await;
        let plan = Plan::on(keycloak).takes_passwords().by_smtp(Stack::get().smtp_port);
        let plan = plan.set("DATABASE_URL", &database.url()).set("AMQP_URL", &vhost.amqp_url());
        Self { database, vhost, settings: plan.into_settings() }
    }

    async fn healthy() -> Self {
        Self::on(Realm::shared().access()).await
    }

    async fn examine(&self) -> Diagnosis {
        self.examine_with(&[]).await
    }

    /// With some variables changed.
    async fn examine_with(&self, changes: &[(&str, &str)]) -> Diagnosis {
        let doctor = Binary::worker().args(&["doctor", "--json"]).envs(&self.settings).envs(changes.iter().copied());
        let finished = doctor.finish().await;
        let lines = finished.stdout.lines().map(|line| serde_json::from_str(line).expect("an object on each line"));
        Diagnosis { lines: lines.collect(), code: finished.code, stderr: finished.stderr }
    }
}

struct Diagnosis {
    lines: Vec<Value>,
    code: Option<i32>,
    stderr: String,
}

impl Diagnosis {
    fn of(&self, part: &str, check: &str) -> &Value {
        let line = self.lines.iter().find(|line| line["part"] == part && line["check"] == check);
        line.unwrap_or_else(|| panic!("no check {check} of {part} in {:#?}, {}", self.lines, self.stderr))
    }

    /// A fault was found, and its remedy holds these words.
    #[track_caller]
    fn has_fault(&self, part: &str, check: &str, remedy: &str) {
        self.has("fault", part, check, remedy);
        assert_eq!(self.code, Some(1), "{}", self.stderr);
        assert!(self.stderr.contains("found a fault"), "{}", self.stderr);
    }

    #[track_caller]
    fn has(&self, state: &str, part: &str, check: &str, remedy: &str) {
        let line = self.of(part, check);
        assert_eq!(line["state"], state, "{line}");
        assert!(line["remedy"].as_str().is_some_and(|said| said.contains(remedy)), "{remedy} is missing in {line}");
    }

    /// The checks that are not ok, as `part: check`.
    fn not_ok(&self) -> Vec<String> {
        let not_ok = self.lines.iter().filter(|line| line["state"] != "ok");
        not_ok.map(|line| format!("{}: {} ({})", line["part"], line["check"], line["found"])).collect()
    }
}

#[tokio::test]
async fn all_is_well_when_it_is() {
    let patient = Patient::healthy().await;
    let diagnosis = patient.examine().await;
    assert_eq!(diagnosis.not_ok(), Vec::<String>::new());
    assert_eq!(diagnosis.code, Some(0), "{}", diagnosis.stderr);
    for part in ["postgresql", "rabbitmq", "keycloak", "mail", "redis"] {
        assert!(diagnosis.lines.iter().any(|line| line["part"] == part), "nobody looked at {part}");
    }
    assert_eq!(diagnosis.of("keycloak", "clock")["state"], "ok");
    let secrets = ["usher-provisioner-secret", &Stack::get().password_keys];
    let told = format!("{:?}", diagnosis.lines);
    assert!(secrets.iter().all(|secret| !told.contains(secret)), "{told}");
}

#[tokio::test]
async fn a_table_is_for_people_and_a_reader_may_go() {
    let patient = Patient::healthy().await;
    let doctor = || Binary::worker().args(&["doctor"]).envs(&patient.settings);
    let table = doctor().env("REDIS_URL", "redis://127.0.0.1:1/").finish().await;
    assert_eq!(table.code, Some(1), "{}", table.stderr);
    let line = table.stdout.lines().find(|line| line.contains("redis")).expect("a line about Redis");
    assert!(line.starts_with("FAULT") && line.contains("-> start Redis"), "{line}");
    assert_eq!(doctor().finish_unread().await.code, Some(0));
    assert_eq!(Binary::worker().args(&["doctor"]).finish().await.code, Some(64));
}

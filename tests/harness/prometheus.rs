//! Debian's Prometheus, as a program of the test's own.

use std::fs;

use serde_json::Value;
use tempfile::TempDir;

use super::{
    account::Account,
    eventually::eventually,
    http,
    process::{Binary, Process},
    reserved_port::ReservedPort,
    stack::required,
    system::PATIENCE,
};

/// What checks its files.
pub fn promtool() -> Binary {
    program("promtool", &Account::default())
}

fn program(name: &'static str, account: &Account) -> Binary {
    Binary::server(name, account).env("PATH", required("PROMETHEUS"))
}

/// Ends with the test.
pub struct Prometheus {
    port: ReservedPort,
    _process: Process,
    _home: TempDir,
}

impl Prometheus {
    /// Returns when it answers. The configuration names the rules as `alerts.yml`.
    pub async fn start(configuration: &str, rules: &str) -> Self {
        let (port, account) = (ReservedPort::new(), Account::unprivileged());
        let home = TempDir::new().expect("a directory for a Prometheus");
        account.give(home.path());
        let file = home.path().join("prometheus.yml");
        fs::write(&file, configuration).expect("the directory takes files");
        fs::write(home.path().join("alerts.yml"), rules).expect("the directory takes files");
        let process = program("prometheus", &account)
            .arg(&format!("--config.file={}", file.display()))
            .arg("--storage.tsdb.path=data")
            .arg(&format!("--web.listen-address={}", port.address()))
            .start();
        let prometheus = Self { port, _process: process, _home: home };
        eventually("Prometheus is ready", PATIENCE, async || prometheus.get("/-/ready", &[]).await.is_some()).await;
        prometheus
    }

    /// What a query finds now; the error is what Prometheus says against the query.
    pub async fn query(&self, query: &str) -> Result<Vec<Value>, String> {
        let answer = self.get("/api/v1/query", &[("query", query)]).await.ok_or("no answer")?;
        let answer: Value = serde_json::from_str(&answer).map_err(|error| error.to_string())?;
        let found = answer["data"]["result"].as_array().cloned();
        found.ok_or_else(|| answer["error"].as_str().unwrap_or("no result").to_owned())
    }

    /// The rules as they stand, each with its health.
    pub async fn rules(&self) -> Vec<Value> {
        let answer = self.get("/api/v1/rules", &[]).await.expect("it answers");
        let answer: Value = serde_json::from_str(&answer).expect("it answers in JSON");
        let groups = answer["data"]["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().filter_map(|group| group["rules"].as_array()).flatten().cloned().collect()
    }

    async fn get(&self, path: &str, query: &[(&str, &str)]) -> Option<String> {
        let url = format!("http://{}{path}", self.port.address());
        let answer = http::client().get(url).query(query).send().await.ok()?;
        let is_an_answer = answer.status().is_success() || answer.status() == 400;
        if is_an_answer { answer.text().await.ok() } else { None }
    }
}

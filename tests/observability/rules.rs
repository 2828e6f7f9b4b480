//! `deploy/prometheus/`: rules that promtool has tried, and a section for whoever an alert wakes.

use std::{fs, path::PathBuf};

use crate::harness::{process::Binary, prometheus::promtool, source::root};

fn deployed(file: &str) -> PathBuf {
    root().join("deploy/prometheus").join(file)
}

pub(super) fn text(file: &str) -> String {
    fs::read_to_string(deployed(file)).expect("the file is there")
}

async fn succeeds(promtool: Binary) {
    let mut run = promtool.start();
    let status = run.exit().await;
    assert!(status.success(), "{}", run.output());
}

#[tokio::test]
async fn prometheus_understands_its_configuration() {
    for (check, file) in [("config", "prometheus.yml"), ("rules", "alerts.yml")] {
        succeeds(promtool().arg("check").arg(check).arg(&deployed(file).display().to_string())).await;
    }
}

#[tokio::test]
async fn every_alert_fires_when_it_must_and_not_before() {
    let tests = deployed("alerts.test.yml");
    succeeds(promtool().arg("test").arg("rules").arg(&tests.display().to_string())).await;
    for alert in alerts() {
        let cases = text("alerts.test.yml").matches(&format!("alertname: {alert}\n")).count();
        assert!(cases > 0, "no test in which {alert} fires");
    }
}

/// Who is woken finds what to do.
#[test]
fn every_alert_leads_to_its_section() {
    let guide = fs::read_to_string(root().join("docs/operations.md")).expect("the guide is there");
    for alert in alerts() {
        assert!(guide.contains(&format!("\n### {alert}\n")), "docs/operations.md has no section {alert}");
        let runbook = format!("runbook: docs/operations.md#{}\n", alert.to_lowercase());
        assert!(text("alerts.yml").contains(&runbook), "{alert} leads nowhere: {runbook}");
    }
    let sections = guide.lines().filter_map(|line| line.strip_prefix("### Usher"));
    for section in sections.map(|section| format!("Usher{section}")) {
        assert!(alerts().contains(&section), "there is no alert {section}");
    }
}

fn alerts() -> Vec<String> {
    let alerts: Vec<_> = text("alerts.yml")
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .map(str::to_owned)
        .collect();
    assert!(!alerts.is_empty(), "no alert was found");
    alerts
}

//! A real Prometheus asks a real api, a real worker and a real RabbitMQ, by the configuration that is deployed, and
//! finds an answer to every question of every dashboard.

use std::fmt::Write as _;

use super::{dashboards::panels, rules};
use crate::{
    harness::{eventually::eventually, prometheus::Prometheus, stack::required, system::PATIENCE},
    metrics::Scene,
};

/// Empty when all is well.
const MAY_BE_EMPTY: [&str; 1] = ["Which alerts fire?"];

/// The deployed configuration, with the addresses of a test in it, and in haste.
fn configuration(scene: &Scene) -> String {
    let vhost = scene.system.vhost.name();
    let mut text = rules::text("prometheus.yml");
    let rabbitmq = required("RABBITMQ_METRICS");
    for (service, port, address) in
        [("api", 8081, scene.ops("api")), ("worker", 8082, scene.ops("worker")), ("rabbitmq", 15692, rabbitmq)]
    {
        let deployed = format!("dns_sd_configs: [{{ names: [{service}], type: A, port: {port} }}]");
        assert!(text.contains(&deployed), "{service} is not asked by name: {text}");
        text = text.replace(&deployed, &format!("static_configs: [{{ targets: [\"{address}\"] }}]"));
    }
    text.replace("vhost: [usher]", &format!("vhost: [\"{vhost}\"]")).replace("interval: 15s", "interval: 1s")
}

/// The scene, and a Prometheus that looks on.
async fn start() -> (Scene, Prometheus) {
    let scene = Scene::set().await;
    let prometheus = Prometheus::start(&configuration(&scene), &rules::text("alerts.yml")).await;
    (scene, prometheus)
}

#[tokio::test]
async fn prometheus_finds_an_answer_to_every_panel() {
    let (scene, prometheus) = start().await;
    let user = scene.system.register().await;
    scene.system.until_complete(&user).await;
    eventually("all three are up", PATIENCE, async || {
        let up = prometheus.query("up == 1").await;
        if up.as_ref().is_ok_and(|up| up.len() == 3) { Ok(()) } else { Err(prometheus.query("up").await) }
    })
    .await;
    eventually("every panel shows something", PATIENCE, async || {
        let silent = silent(&prometheus).await;
        if silent.is_empty() { Ok(()) } else { Err(silent) }
    })
    .await;
    let completed = prometheus.query("sum(usher_registration_completion_duration_seconds_count)").await;
    assert_eq!(completed.expect("it is measured")[0]["value"][1], "1");
}

#[tokio::test]
async fn prometheus_evaluates_every_rule() {
    let (_scene, prometheus) = start().await;
    eventually("every rule was evaluated", PATIENCE, async || {
        let rules = prometheus.rules().await;
        let well = rules.iter().filter(|rule| rule["health"] == "ok").count();
        if well == rules.len() && well > 20 { Ok(()) } else { Err(rules) }
    })
    .await;
}

/// The queries that find nothing, or are not understood.
async fn silent(prometheus: &Prometheus) -> String {
    let mut text = String::new();
    for panel in panels().into_iter().filter(|panel| !MAY_BE_EMPTY.contains(&panel.title.as_str())) {
        for query in panel.queries {
            let found = prometheus.query(&query.replace("$__rate_interval", "10s")).await;
            if !found.as_ref().is_ok_and(|found| !found.is_empty()) {
                writeln!(text, "{}: {query}: {found:?}", panel.title).expect("a text takes text");
            }
        }
    }
    text
}

//! `usher-worker status`: everybody is counted where they are.

use serde_json::{Value, json};

use super::{command, objects, operate, park};
use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak, Fault},
    proxy::Proxy,
    system::{PATIENCE, Plan},
};

#[tokio::test]
async fn everybody_is_counted_where_they_are() {
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).set("SWEEP_INTERVAL", "1h").set("PROVISION_SNOOZE", "1h");
    let mut system = plan.start().await;
    let complete = system.register_as("complete").await;
    system.until_complete(&complete).await;
    park(&system, &keycloak, "ada").await;
    keycloak.fail_always(Endpoint::SendMail, Fault::status(500));
    let waiting = system.register_as("waiting").await;
    system.until(&waiting, "the user waits", |row| row.last_error.is_some()).await;
    eventually("all is published", PATIENCE, async || system.outbox_depth().await == 0).await;
    system.stop_workers().await;
    let leased = system.register_as("leased").await;
    sqlx::query("UPDATE users SET leased_until = now() + interval '1 h', last_error = 'tried before' WHERE id = $1")
        .bind(leased.id)
        .execute(system.pool())
        .await
        .expect("a row can be written");
    system.register_as("new").await;

    let [status] = objects(&operate(&system, &["status", "--json"]).await).try_into().expect("one object");
    for (name, number) in [
        ("registered", 5),
        ("complete", 1),
        ("inOutbox", 2),
        ("notTried", 1),
        ("inWork", 1),
        ("waiting", 1),
        ("withoutMail", 1),
        ("inQueues", 0),
        ("deadLetters", 0),
    ] {
        assert_eq!(status[name], json!(number), "{name}: {status}");
    }
    let parked = &status["parked"];
    assert_eq!((&parked[0]["reason"], &parked[0]["users"]), (&json!("conflict"), &json!(1)), "{status}");
    assert_eq!((&status["causes"][0]["users"], &status["causes"][1]["error"]), (&json!(1), &json!("tried before")));
    assert!(status["causes"][0]["error"].as_str().is_some_and(|error| error.contains("500")), "{status}");
    let hour = json!({ "registered": 5, "synced": 2, "mailed": 1 });
    assert_eq!((&status["lastHour"], &status["nextTryAt"].is_string()), (&hour, &true), "{status}");

    let shown = operate(&system, &["status"]).await;
    assert!(
        shown.stdout.contains("1 conflict (longest ") && shown.stdout.contains("1 x the set-up mail"),
        "{}",
        shown.stdout
    );
    // It ends with its reader.
    let unread = command(&system, &["status", "--watch"]).finish_unread().await;
    assert_eq!(unread.code, Some(0), "{}", unread.stderr);
    let alone = command(&system, &["status", "--json"]).env("AMQP_URL", "amqp://127.0.0.1:1/nobody").finish().await;
    assert_eq!(objects(&alone)[0]["inQueues"], json!(null));
    assert!(alone.stderr.contains("the queues are not known"), "{}", alone.stderr);
    system.stop().await;
}

#[tokio::test]
async fn it_is_seen_whether_a_worker_runs() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = Plan::on(keycloak.access()).start().await;
    system.until_complete(&system.register().await).await;
    assert_eq!(objects(&operate(&system, &["status", "--json"]).await)[0]["workerRuns"], json!(true));

    system.stop_workers().await;
    // Its sessions end a moment later.
    eventually("it is seen that none does", PATIENCE, async || {
        operate(&system, &["status"]).await.stdout.contains("none: everybody waits")
    })
    .await;
    system.stop().await;
}

#[tokio::test]
async fn who_watches_an_outage_sees_its_end() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let line = Proxy::start(&system.database.url()).await;
    let watching = command(&system, &["status", "--watch", "--json"]).env("DATABASE_URL", line.url()).start();
    watching.until_output_has(r#""registered":0"#).await;
    line.cut().await;
    watching.until_output_has("nobody can be counted").await;
    system.register().await;
    line.restore().await;
    eventually("it tells that one more is on the way", PATIENCE, async || {
        let output = watching.output();
        let mut looks = output.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        looks.any(|look| look["registered"] == 1 && look["openPerSecond"].as_f64().is_some_and(|change| change > 0.0))
    })
    .await;
    system.stop().await;
}

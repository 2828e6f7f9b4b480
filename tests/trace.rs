//! One trace, from the HTTP request over the outbox row and the message to every call of Keycloak.

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak},
    process::Binary,
    system::{PATIENCE, Plan},
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn one_trace_runs_from_the_request_to_the_mail() {
    let keycloak = FakeKeycloak::start().await;
    // The sweep would start a trace of its own, were the worker late.
    let plan = Plan::on(keycloak.access()).workers(0).set("LOG_FORMAT", "json").set("SWEEP_INTERVAL", "1h");
    let system = plan.start().await;
    let api = Binary::api().envs(system.settings()).start();
    let system = system.by_way_of(&api).await;
    let user = system.register_in_trace(TRACE).await;

    let stored: String = sqlx::query_scalar("SELECT trace_context->>'traceparent' FROM outbox")
        .fetch_one(system.pool())
        .await
        .expect("the event waits");
    assert!(stored.contains(TRACE), "the row: {stored}");

    let probe = system.vhost.probe().await;
    let worker = Binary::worker().envs(system.settings()).start();
    worker.until_output_has("connected to the broker").await;
    system.until_complete(&user).await;
    for endpoint in [Endpoint::CreateUser, Endpoint::SendMail] {
        let requests = keycloak.requests(endpoint);
        let sent = requests[0].headers.get("traceparent").expect("the call is traced").to_str().expect("ASCII");
        assert!(sent.contains(TRACE), "{endpoint:?}: {sent}");
        assert_ne!(sent, stored, "a span of its own, not the request's");
    }
    eventually("the queue is empty", PATIENCE, async || probe.depth("usher.user-created").await == Some(0)).await;
}

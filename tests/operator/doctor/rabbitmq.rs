//! Faults of RabbitMQ.

use lapin::BasicProperties;
use serde_json::json;

use super::Patient;
use crate::harness::reserved_port::ReservedPort;

const CREATED: &str = "usher.user-created";

#[tokio::test]
async fn a_node_that_is_away_is_found_beside_one_that_is_there() {
    let patient = Patient::healthy().await;
    let port = ReservedPort::new();
    let here = patient.vhost.amqp_url();
    let away = format!("amqp://usher:usher@{}/{}", port.address(), patient.vhost.name());
    let diagnosis = patient.examine_with(&[("AMQP_URL", &format!("{away},{here}"))]).await;
    diagnosis.has_fault("rabbitmq", &format!("node {}", port.address()), "start the node");
    assert_eq!(diagnosis.of("rabbitmq", &format!("queue {CREATED}"))["state"], "ok");
    assert_eq!(diagnosis.not_ok().len(), 1, "{:?}", diagnosis.not_ok());
}

#[tokio::test]
async fn a_wrong_login_and_a_wrong_virtual_host_are_found() {
    let patient = Patient::healthy().await;
    let url = url::Url::parse(&patient.vhost.amqp_url()).expect("an address");
    let node = format!("node {}:{}", url.host_str().expect("a host"), url.port().expect("a port"));
    let mut wrong = url.clone();
    wrong.set_password(Some("nonsense")).expect("an address takes a password");
    let diagnosis = patient.examine_with(&[("AMQP_URL", wrong.as_str())]).await;
    diagnosis.has_fault("rabbitmq", &node, "the user or the password in AMQP_URL is wrong");

    let mut elsewhere = url.clone();
    elsewhere.set_path("nowhere");
    let diagnosis = patient.examine_with(&[("AMQP_URL", elsewhere.as_str())]).await;
    diagnosis.has_fault("rabbitmq", &node, "add_vhost");
}

/// And stays as it is: what is missing is not declared, what is there is not taken.
#[tokio::test]
async fn a_queue_that_is_missing_or_another_one_is_found() {
    let patient = Patient::healthy().await;
    let probe = patient.vhost.probe().await;
    probe.publish("", "usher.parked", b"{}", BasicProperties::default()).await;
    probe.delete_queue(CREATED).await;
    let diagnosis = patient.examine().await;
    diagnosis.has_fault("rabbitmq", &format!("queue {CREATED}"), "start a worker");
    diagnosis.has_fault("rabbitmq", &format!("may consume {CREATED}"), "start a worker");
    assert_eq!(probe.depth(CREATED).await, None, "the doctor made it");
    assert_eq!(probe.depth("usher.parked").await, Some(1));

    probe.declare_queue(CREATED, &json!({ "x-queue-type": "classic" })).await;
    let diagnosis = patient.examine().await;
    diagnosis.has_fault("rabbitmq", &format!("queue {CREATED}"), "delete it in the management UI");
    assert_eq!(diagnosis.of("rabbitmq", &format!("may consume {CREATED}"))["state"], "ok");
}

#[tokio::test]
async fn missing_permissions_are_found() {
    let patient = Patient::healthy().await;
    patient.vhost.withdraw_permissions().await;
    let diagnosis = patient.examine().await;
    for check in [
        "exchange usher.events",
        "queue usher.parked",
        "may publish to usher.events",
        "may publish to usher.dead",
        "may consume usher.user-created",
    ] {
        diagnosis.has_fault("rabbitmq", check, "rabbitmqctl set_permissions");
    }
    patient.vhost.give_permissions_back().await;
    assert_eq!(patient.examine().await.not_ok(), Vec::<String>::new());
}

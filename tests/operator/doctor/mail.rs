//! Faults on the way of the mail, and of Redis.

use super::Patient;
use crate::harness::{fake_smtp::FakeSmtp, reserved_port::ReservedPort, stack::Stack};

#[tokio::test]
async fn a_mail_server_that_is_away_or_lacks_something_is_found() {
    let patient = Patient::healthy().await;
    let port = ReservedPort::new();
    let diagnosis = patient.examine_with(&[("SMTP_PORT", &port.number().to_string())]).await;
    diagnosis.has_fault("mail", &format!("mail server {}", port.address()), "start the mail server");

    let check = format!("mail server 127.0.0.1:{}", Stack::get().smtp_port);
    patient.examine_with(&[("SMTP_TLS", "starttls")]).await.has_fault("mail", &check, "SMTP_TLS=implicit");
    patient.examine_with(&[("SMTP_TLS", "implicit")]).await.has_fault("mail", &check, "SMTP_TLS");
    let login = [("EMAIL_USER", "usher"), ("EMAIL_PASSWORD", "nonsense")];
    patient.examine_with(&login).await.has_fault("mail", &check, "PLAIN or LOGIN");
}

#[tokio::test]
async fn a_wrong_login_is_found_and_no_mail_is_sent() {
    let patient = Patient::healthy().await;
    let server = FakeSmtp::with_login("usher", "s3cret").await;
    let (port, check) = (server.port().to_string(), format!("mail server 127.0.0.1:{}", server.port()));
    let with = async |password: &str| {
        let login = [("SMTP_PORT", port.as_str()), ("EMAIL_USER", "usher"), ("EMAIL_PASSWORD", password)];
        patient.examine_with(&login).await
    };
    with("nonsense").await.has_fault("mail", &check, "EMAIL_USER and EMAIL_PASSWORD");
    assert_eq!(with("s3cret").await.of("mail", &check)["state"], "ok");
    assert!(server.heard().iter().all(|line| !line.starts_with("MAIL")), "{:?}", server.heard());
    assert!(server.mails().is_empty());
}

#[tokio::test]
async fn what_only_keycloak_can_try_is_said() {
    let patient = Patient::healthy().await;
    let diagnosis = patient.examine_with(&[("MAIL_VIA", "keycloak")]).await;
    assert_eq!(diagnosis.not_ok(), Vec::<String>::new());
    assert!(
        diagnosis.of("mail", "mail server")["found"].as_str().is_some_and(|found| found.contains("Test connection"))
    );
}

#[tokio::test]
async fn a_redis_that_is_away_is_found() {
    let patient = Patient::healthy().await;
    let port = ReservedPort::new();
    let away = format!("redis://{}/", port.address());
    patient.examine_with(&[("REDIS_URL", &away)]).await.has_fault("redis", "connection", "start Redis");
}

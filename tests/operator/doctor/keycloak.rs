//! Faults of Keycloak.

use super::Patient;
use crate::harness::{keycloak::Realm, mailbox::Mailbox, reserved_port::ReservedPort};

#[tokio::test]
async fn a_keycloak_that_is_away_and_a_wrong_account_are_found() {
    let patient = Patient::healthy().await;
    let port = ReservedPort::new();
    let away = format!("http://{}", port.address());
    let diagnosis = patient.examine_with(&[("KEYCLOAK_URL", &away)]).await;
    diagnosis.has_fault("keycloak", "service account", "start Keycloak");
    for (name, value, remedy) in [
        ("KEYCLOAK_ADMIN_CLIENT_SECRET", "nonsense", "KEYCLOAK_ADMIN_CLIENT_SECRET"),
        ("KEYCLOAK_ADMIN_CLIENT_ID", "nobody", "KEYCLOAK_ADMIN_CLIENT_ID"),
        ("KEYCLOAK_REALM", "nowhere", "KEYCLOAK_REALM"),
    ] {
        patient.examine_with(&[(name, value)]).await.has_fault("keycloak", "service account", remedy);
    }
}

#[tokio::test]
async fn a_client_that_leads_nowhere_is_found() {
    let patient = Patient::healthy().await;
    let diagnosis = patient.examine_with(&[("MAIL_REDIRECT_URI", "https://elsewhere.example.org/")]).await;
    diagnosis.has_fault("keycloak", "links lead back through usher-app", "Valid redirect URIs");
    let diagnosis = patient.examine_with(&[("KEYCLOAK_MAIL_CLIENT_ID", "nobody")]).await;
    diagnosis.has_fault("keycloak", "links lead back through nobody", "KEYCLOAK_MAIL_CLIENT_ID");
}

#[tokio::test]
async fn a_role_that_is_missing_or_too_many_is_found() {
    let mailbox = Mailbox::start().await;
    let realm = Realm::create(mailbox.port()).await;
    let patient = Patient::on(realm.access()).await;
    let check = "roles of the service account";
    assert_eq!(patient.examine().await.of("keycloak", check)["state"], "ok");

    realm.permit_worker("realm-admin").await;
    let diagnosis = patient.examine().await;
    diagnosis.has("warning", "keycloak", check, "all but manage-users");
    let found = diagnosis.of("keycloak", check)["found"].as_str().expect("a text");
    for role in ["clients", "realm-admin", "events", "identity providers", "impersonation"] {
        assert!(found.contains(role), "{role} is missing in {found}");
    }
    // Who may see the realm is told of it too.
    let seen = diagnosis.of("keycloak", "realm settings")["found"].as_str().expect("a text");
    assert!(seen.contains("editUsernameAllowed") && !seen.contains("not to be seen"), "{seen}");
    assert_eq!(diagnosis.code, Some(0), "{}", diagnosis.stderr);

    realm.forbid_worker("realm-admin").await;
    realm.permit_worker("view-users").await;
    realm.forbid_worker("manage-users").await;
    patient.examine().await.has_fault("keycloak", check, "manage-users");
    realm.forbid_worker("view-users").await;
    patient.examine().await.has_fault("keycloak", check, "manage-users");
}

#[tokio::test]
async fn a_realm_that_asks_for_more_is_found() {
    let mailbox = Mailbox::start().await;
    let realm = Realm::create(mailbox.port()).await;
    let patient = Patient::on(realm.access()).await;
    realm.require_attribute("nickname").await;
    let diagnosis = patient.examine().await;
    diagnosis.has_fault("keycloak", "user profile", "let it be left out");
    assert_eq!(diagnosis.of("keycloak", "user profile")["found"], "requires nickname");
}

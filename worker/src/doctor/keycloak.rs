//! Keycloak: our account and its roles, the realm as far as the account may see it, the client of the links.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;
use uuid::Uuid;

use super::{
    clock,
    finding::{Finding, Findings},
};
use crate::{
    config::WorkerConfig,
    keycloak::{
        client::KeycloakClient,
        error::KeycloakError,
        examination::{Access, Attribute, Login},
    },
};

/// The one role that the worker needs (`deploy/keycloak/README.md`).
const GIVE_ROLE: &str = "give the service account of KEYCLOAK_ADMIN_CLIENT_ID the role manage-users of the client \
                         realm-management (Clients, Service account roles)";
/// More than that makes tokens of Keycloak look too young or too old to the api (`TOKEN_LEEWAY`).
const TOLERATED: TimeDelta = TimeDelta::seconds(30);
/// What we give an account.
const GIVEN: [&str; 4] = ["username", "email", "firstName", "lastName"];

pub(super) async fn examine(client: &KeycloakClient, config: &WorkerConfig) -> Vec<Finding> {
    let mut findings = Findings::of("keycloak");
    let check = "service account";
    match client.log_in().await {
        Ok(token) => {
            findings.ok(check, format!("gets a token in the realm {}", client.realm()));
            time(token.iat, &mut findings);
            roles(client, token.sub, &mut findings).await;
            settings(client, &mut findings).await;
            profile(client, &mut findings).await;
        }
        Err(error) => findings.failed(check, &error, no_token(&error)),
    }
    redirect(client, config, &mut findings).await;
    findings.all()
}

fn no_token(error: &KeycloakError) -> &'static str {
    match error {
        KeycloakError::Denied { .. } => {
            "mend KEYCLOAK_ADMIN_CLIENT_ID or KEYCLOAK_ADMIN_CLIENT_SECRET, or switch on Service accounts roles for the \
             client in Keycloak"
        }
        KeycloakError::RealmMissing { .. } => {
            "mend KEYCLOAK_REALM, or KEYCLOAK_URL if a path belongs to it, or import deploy/keycloak/realm.json"
        }
        _ => "start Keycloak, or mend KEYCLOAK_URL",
    }
}

async fn roles(client: &KeycloakClient, account: Option<Uuid>, findings: &mut Findings) {
    let check = "roles of the service account";
    let Some(account) = account else {
        findings.warning(check, "the token does not say whose it is", "look at them in Keycloak's console");
        return;
    };
    match client.access_to(account).await {
        Ok(access) if !access.manage => findings.fault(check, "lacks manage-users", GIVE_ROLE),
        Ok(access) => match excess(client, &access).await {
            Ok(more) if more.is_empty() => findings.ok(check, "manage-users, and no more that shows"),
            Ok(more) => {
                let remedy = "take away all but manage-users: a stolen secret of the worker could do more harm";
                findings.warning(check, format!("more than it needs: {}", more.join(", ")), remedy);
            }
            Err(error) => findings.failed(check, &error, "look into Keycloak's log"),
        },
        Err(error @ KeycloakError::Denied { .. }) => findings.failed(check, &error, GIVE_ROLE),
        Err(error) => findings.failed(check, &error, "look into Keycloak's log"),
    }
}

/// What only other roles open. Who has manage-users alone is not told which roles that are, so it shows by what is seen.
const OTHERS: [(&[&str], &str); 4] = [
    (&["clients"], "it sees clients (view-clients, query-clients)"),
    (&["components"], "it sees how the realm is set up (view-realm, manage-realm, realm-admin)"),
    (&["events", "config"], "it sees events (view-events, manage-events)"),
    (&["identity-provider", "instances"], "it sees identity providers (view-identity-providers)"),
];

async fn excess(client: &KeycloakClient, access: &Access) -> Result<Vec<&'static str>, KeycloakError> {
    let mut more = Vec::new();
    for (path, told) in OTHERS {
        if client.may_read(path).await? {
            more.push(told);
        }
    }
    more.extend(access.impersonate.then_some("it may act as anybody (impersonation)"));
    Ok(more)
}

/// What Usher relies on (`deploy/keycloak/realm.json`), and why.
const RELIED_ON: [(&str, bool, &str); 4] = [
    ("bruteForceProtected", true, "passwords can be guessed at /auth/token from many addresses"),
    ("editUsernameAllowed", false, "a person who takes another username is not found by ours any more"),
    ("duplicateEmailsAllowed", false, "an address does not tell whose account it is any more"),
    ("registrationAllowed", false, "accounts come into being that Usher does not know"),
];

/// With manage-users alone most of it cannot be seen, which is as it should be.
async fn settings(client: &KeycloakClient, findings: &mut Findings) {
    let check = "realm settings";
    match client.realm_settings().await {
        Ok(realm) if realm["enabled"] == Value::Bool(false) => {
            findings.fault(check, "the realm is switched off", "switch it on: Realm settings");
        }
        Ok(realm) => relied_on(check, &realm, findings),
        Err(error @ KeycloakError::Denied { .. }) => findings.failed(check, &error, GIVE_ROLE),
        Err(error) => findings.failed(check, &error, "look into Keycloak's log"),
    }
}

fn relied_on(check: &str, realm: &Value, findings: &mut Findings) {
    let (mut well, mut unseen, mut all_well) = (Vec::new(), Vec::new(), true);
    for (name, wanted, why) in RELIED_ON {
        match realm[name].as_bool() {
            None => unseen.push(name),
            Some(is) if is == wanted => well.push(name),
            Some(is) => {
                all_well = false;
                findings.warning(check, format!("{name} is {is}: {why}"), format!("set it to {wanted}"));
            }
        }
    }
    if all_well {
        findings.ok(check, told(&well, &unseen));
    }
}

fn told(well: &[&str], unseen: &[&str]) -> String {
    let well = format!("as they should be: {}", well.join(", "));
    if unseen.is_empty() {
        well
    } else {
        format!("{well}; not to be seen with manage-users alone: {}", unseen.join(", "))
    }
}

/// An attribute that the realm requires and that we do not know has every account refused.
async fn profile(client: &KeycloakClient, findings: &mut Findings) {
    let check = "user profile";
    match client.user_profile().await {
        Ok(profile) => {
            let unknown: Vec<_> = profile.attributes.iter().filter(|attribute| is_unknown(attribute)).collect();
            let names: Vec<_> = unknown.iter().map(|attribute| attribute.name.as_str()).collect();
            if names.is_empty() {
                findings.ok(check, "asks for nothing that Usher does not give");
            } else {
                let remedy = "let it be left out (Realm settings, User profile): accounts are refused otherwise";
                findings.fault(check, format!("requires {}", names.join(", ")), remedy);
            }
        }
        Err(error @ KeycloakError::Denied { .. }) => findings.failed(check, &error, GIVE_ROLE),
        Err(error) => findings.warning(check, error.to_string(), "look at Realm settings, User profile"),
    }
}

/// Required of administrators too, who we are to Keycloak.
fn is_unknown(attribute: &Attribute) -> bool {
    let of_admins = attribute.required.as_ref().is_some_and(|required| {
        let roles = required["roles"].as_array();
        roles.is_none_or(|roles| roles.is_empty() || roles.iter().any(|role| role == "admin"))
    });
    of_admins && !GIVEN.contains(&attribute.name.as_str())
}

async fn redirect(client: &KeycloakClient, config: &WorkerConfig, findings: &mut Findings) {
    let check = format!("links lead back through {}", config.mail.client_id);
    match client.begin_login(&config.mail.client_id, config.mail.redirect_uri.as_str()).await {
        Ok(Login::LedBack) => findings.ok(check, "the client allows MAIL_REDIRECT_URI"),
        Ok(Login::Refused) => findings.fault(
            check,
            "Keycloak does not know the client, or does not allow MAIL_REDIRECT_URI for it",
            "mend KEYCLOAK_MAIL_CLIENT_ID (or KEYCLOAK_CLIENT_ID), or add the address to the Valid redirect URIs of \
             the client",
        ),
        Err(error) => findings.failed(check, &error, "start Keycloak, or mend KEYCLOAK_URL"),
    }
}

/// By when our token was handed out, which was a moment ago.
fn time(theirs: DateTime<Utc>, findings: &mut Findings) {
    let keep = "keep both machines on time (NTP)";
    match clock::differs(theirs, Utc::now()) {
        None => findings.ok("clock", "as ours"),
        Some(ahead) if ahead.abs() < TOLERATED => findings.warning("clock", clock::told(ahead), keep),
        Some(ahead) => findings.fault("clock", clock::told(ahead), keep),
    }
}

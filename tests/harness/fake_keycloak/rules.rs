//! What Keycloak takes for a user: the strict reading of its JSON and the default user profile.

use chrono::Utc;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{Account, Answer};

/// Everything that a `UserRepresentation` may have; one name that is not here costs the whole request.
const FIELDS: [&str; 27] = [
    "access",
    "applicationRoles",
    "attributes",
    "clientConsents",
    "clientRoles",
    "createdTimestamp",
    "credentials",
    "disableableCredentialTypes",
    "email",
    "emailVerified",
    "enabled",
    "federatedIdentities",
    "federationLink",
    "firstName",
    "groups",
    "id",
    "lastName",
    "notBefore",
    "origin",
    "realmRoles",
    "requiredActions",
    "self",
    "serviceAccountClientId",
    "socialLinks",
    "totp",
    "userProfileMetadata",
    "username",
];

const ACTIONS: [&str; 4] = ["CONFIGURE_TOTP", "UPDATE_PASSWORD", "UPDATE_PROFILE", "VERIFY_EMAIL"];

/// Beside white space and control characters.
const NOT_IN_A_USERNAME: &str = "<>&\"'$%!#?§,;:*~/\\|^=[]{}()`";
const NOT_IN_A_NAME: &str = "<>&\"$%!#?§;*~/\\|^=[]{}()";

/// The user that would be created, with an id of the server's choice.
pub(super) fn account_of(body: &str) -> Result<Account, Answer> {
    let user = strictly(body)?;
    let text = |name: &str| user.get(name).and_then(Value::as_str).map(str::to_owned);
    let flag = |name: &str| user.get(name).and_then(Value::as_bool).unwrap_or_default();
    let account = Account {
        id: Uuid::new_v4().to_string(),
        username: text("username").unwrap_or_default().to_lowercase(),
        first_name: text("firstName"),
        last_name: text("lastName"),
        email: text("email").map(|email| email.to_lowercase()),
        email_verified: flag("emailVerified"),
        enabled: flag("enabled"),
        created_timestamp: user.get("createdTimestamp").and_then(Value::as_i64).unwrap_or_else(now),
        required_actions: required_actions(&user),
        password: passwords(&user).next().map(str::to_owned),
    };
    valid(&account)?;
    passwords(&user).try_for_each(policy)?;
    Ok(account)
}

/// Of the realm's password policy, its length.
fn policy(password: &str) -> Result<(), Answer> {
    if password.chars().count() >= 8 {
        return Ok(());
    }
    Err(Answer::new(400).json(json!({
        "error": "invalidPasswordMinLengthMessage",
        "error_description": "Invalid password: minimum length 8.",
    })))
}

fn passwords(user: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let credentials = user.get("credentials").and_then(Value::as_array).into_iter().flatten();
    credentials.filter_map(|credential| credential["value"].as_str())
}

pub(super) fn is_action(alias: &str) -> bool {
    ACTIONS.contains(&alias)
}

fn now() -> i64 {
    Utc::now().timestamp_millis()
}

fn strictly(body: &str) -> Result<Map<String, Value>, Answer> {
    let unreadable =
        |error: &str| Answer::new(400).json(json!({ "error": error, "error_description": "Cannot parse the JSON" }));
    let user = serde_json::from_str(body).map_err(|_| unreadable("invalid_request"))?;
    let Value::Object(user) = user else { return Err(unreadable("unknown_error")) };
    let Some(unknown) = user.keys().find(|name| !FIELDS.contains(&name.as_str())) else { return Ok(user) };
    // The place that the real one names depends on how its parser buffers.
    let column = body.find(&format!("\"{unknown}\"")).unwrap_or_default() + unknown.len() + 3;
    let error = format!(
        "Invalid json representation for UserRepresentation. Unrecognized field \"{unknown}\" at line 1 column {column}."
    );
    Err(Answer::error(400, &error))
}

/// Aliases that no provider is registered for are dropped without a word.
fn required_actions(user: &Map<String, Value>) -> Vec<String> {
    let actions = user.get("requiredActions").and_then(Value::as_array).into_iter().flatten();
    actions.filter_map(Value::as_str).filter(|alias| is_action(alias)).map(str::to_owned).collect()
}

fn valid(account: &Account) -> Result<(), Answer> {
    if account.username.trim().is_empty() {
        return Err(Answer::refused(400, "User name is missing"));
    }
    let mut violations: Vec<Value> = username_violation(&account.username).into_iter().collect();
    violations.extend(account.email.as_deref().and_then(email_violation));
    violations.extend(account.first_name.as_deref().and_then(|name| name_violation("firstName", name)));
    violations.extend(account.last_name.as_deref().and_then(|name| name_violation("lastName", name)));
    match violations.as_slice() {
        [] => Ok(()),
        [only] => Err(Answer::new(400).json(only.clone())),
        several => Err(Answer::new(400).json(json!({ "errors": several }))),
    }
}

fn username_violation(username: &str) -> Option<Value> {
    let length = username.chars().count();
    if !(3..=255).contains(&length) {
        return Some(violation("username", "error-invalid-length", &[json!(3), json!(255)]));
    }
    let is_fine = |character: char| {
        !NOT_IN_A_USERNAME.contains(character) && !character.is_whitespace() && !character.is_control()
    };
    (!username.chars().all(is_fine)).then(|| violation("username", "error-username-invalid-character", &[]))
}

fn email_violation(email: &str) -> Option<Value> {
    let (local, domain) = email.split_once('@').unwrap_or_default();
    if local.is_empty() || domain.is_empty() || email.contains(char::is_whitespace) {
        return Some(violation("email", "error-invalid-email", &[json!(email)]));
    }
    // As long as the realm's mail server is not said to take UTF-8.
    (!local.is_ascii()).then(|| violation("email", "error-non-ascii-local-part-email", &[]))
}

fn name_violation(field: &str, name: &str) -> Option<Value> {
    if name.chars().count() > 255 {
        return Some(violation(field, "error-invalid-length-too-long", &[Value::Null, json!(255)]));
    }
    let is_fine = |character: char| !NOT_IN_A_NAME.contains(character) && !character.is_control();
    (!name.chars().all(is_fine)).then(|| violation(field, "error-person-name-invalid-character", &[]))
}

fn violation(field: &str, message: &str, rest: &[Value]) -> Value {
    let params: Vec<Value> = std::iter::once(json!(field)).chain(rest.iter().cloned()).collect();
    json!({ "field": field, "errorMessage": message, "params": params })
}

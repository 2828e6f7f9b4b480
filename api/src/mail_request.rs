//! Asking for another mail to set a password.
//!
//! It must not be told who is registered. So every request does the same: it writes one row and commits it, rings the
//! bell, and is answered with the same bytes, whoever is named and whatever becomes of it. Only the shape of what was
//! sent is refused, which says nothing about anybody.

use serde::Serialize;
use serde_json::{Map, Value};
use shared::{
    crash_point::CrashPoint::{MailRequestBeforeCommit, MailRequestCommitted},
    domain::{email::EmailAddress, mail_target::MailTarget, username::Username},
    store::mail_requests,
    trace_context::TraceContext,
};
use utoipa::ToSchema;

use crate::{
    database::DatabaseError,
    described,
    fields::{Fault, Fields},
    new_user::{email_code, username_code},
    state::AppState,
};

/// What a client sends: one of the two.
#[derive(Debug, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(min_properties = 1, max_properties = 1)]
pub struct MailRequest {
    /// As it was registered, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = described::username, required = false)]
    pub username: Option<String>,
    /// As it was registered, in any case.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = described::email, required = false)]
    pub email: Option<String>,
}

/// Reads the body, or says everything that is wrong with it.
pub fn parse(body: Map<String, Value>) -> Result<MailTarget, Vec<Fault>> {
    let (has_username, has_email) = (body.contains_key("username"), body.contains_key("email"));
    let mut fields = Fields::of(body);
    let username = has_username.then(|| fields.text("username", Username::parse, username_code)).flatten();
    let email = has_email.then(|| fields.text("email", EmailAddress::parse, email_code)).flatten();
    let mut faults = fields.into_faults();
    if has_username == has_email {
        faults.insert(0, Fault::of_all("one_of", "must have either username or email"));
    }
    match (username, email) {
        (Some(username), None) if faults.is_empty() => Ok(MailTarget::Username(username)),
        (None, Some(email)) if faults.is_empty() => Ok(MailTarget::Email(email)),
        _ => Err(faults),
    }
}

/// Commits the request, and with it the order for a mail if that does no harm.
pub async fn request(state: &AppState, target: &MailTarget) -> Result<(), DatabaseError> {
    let trace = TraceContext::current();
    let (quota, event_grace) = (state.mail_requests, state.event_grace);
    MailRequestBeforeCommit.pass();
    let written = state
        .database
        .ask(async |connection| mail_requests::request(connection, target, quota, &trace, event_grace).await);
    written.await?;
    MailRequestCommitted.pass();
    state.bell.ring();
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(body: &Value) -> Vec<(String, &'static str)> {
        let faults = parse(body.as_object().unwrap().clone()).unwrap_err();
        faults.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    }

    #[test]
    fn one_of_two_names_is_enough() {
        let username = parse(json!({ "username": "Ada" }).as_object().unwrap().clone()).unwrap();
        assert_eq!(username.username(), Some("ada"));
        let email = parse(json!({ "email": "Ada@example.org" }).as_object().unwrap().clone()).unwrap();
        assert_eq!(email.email().as_deref(), Some("ada@example.org"));
    }

    #[test]
    fn two_names_none_and_anything_else_are_refused() {
        for body in [json!({}), json!({ "username": "ada", "email": "ada@example.org" })] {
            assert_eq!(faults(&body), [("#".to_owned(), "one_of")]);
        }
        assert_eq!(faults(&json!({ "username": null })), [("#/username".to_owned(), "required")]);
        assert_eq!(faults(&json!({ "email": "ada" })), [("#/email".to_owned(), "form")]);
        assert_eq!(faults(&json!({ "username": "ada", "x": 1 })), [("#/x".to_owned(), "unknown")]);
    }
}

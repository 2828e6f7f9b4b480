//! What a caller wants a token for: the body of `POST /auth/token`, as a form (RFC 6749, section 4.3.2) or as JSON.

use std::fmt::{self, Display};

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
};
use secrecy::SecretString;
use serde::Serialize;
use serde_json::{Map, Value};
use url::form_urlencoded;
use utoipa::ToSchema;

use super::error::AuthError;
use crate::{
    body::{self, JsonObject},
    error::ApiError,
    fields::{Fault, Fields, Members},
};

/// Every token has all of them, so to ask for them is not to ask for more. `offline_access` would be: a token that never
/// ends.
const SCOPES: [&str; 3] = ["openid", "profile", "email"];

// These describe the body; it is read field by field, so that every fault is found.

/// What is exchanged for tokens: a password, or a refresh token.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub enum TokenRequest {
    Password(PasswordGrant),
    Refresh(RefreshGrant),
}

/// Logs a person in.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PasswordGrant {
    /// May be left out.
    #[schema(nullable = false, pattern = "^password$", example = "password")]
    pub grant_type: Option<String>,
    /// The username or the e-mail address.
    #[schema(min_length = 1, pattern = r"^[^\x00-\x1f\x7f-\x9f]+$", example = "ada")]
    pub username: String,
    #[schema(min_length = 1, format = Password, example = "Correct.horse.1")]
    pub password: String,
    /// May name `openid`, `profile` and `email`, which every token has.
    #[schema(
        nullable = false,
        pattern = "^ *((openid|profile|email)( +(openid|profile|email))*)? *$",
        example = "openid"
    )]
    pub scope: Option<String>,
}

/// Exchanges a refresh token for fresh ones.
#[derive(Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefreshGrant {
    #[schema(pattern = "^refresh_token$", example = "refresh_token")]
    pub grant_type: String,
    #[schema(min_length = 1)]
    pub refresh_token: String,
    /// As for `password`.
    #[schema(
        nullable = false,
        pattern = "^ *((openid|profile|email)( +(openid|profile|email))*)? *$",
        example = "openid"
    )]
    pub scope: Option<String>,
}

/// What is exchanged for a token.
#[derive(Debug)]
pub enum Grant {
    Password { username: SecretString, password: SecretString },
    RefreshToken(SecretString),
}

impl<S: Send + Sync> FromRequest<S> for Grant {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let fields = match body::media_type(request.headers()).as_str() {
            "application/json" => JsonObject::from_request(request, state).await?.0,
            "application/x-www-form-urlencoded" => form(&body::read(request, state).await?)?,
            _ => return Err(AuthError::MediaType.into()),
        };
        parse(fields).map_err(ApiError::Invalid)
    }
}

/// Parameters must not be there more than once (RFC 6749, section 3.2).
fn form(body: &Bytes) -> Result<Map<String, Value>, ApiError> {
    let mut members = Members::default();
    for (name, value) in form_urlencoded::parse(body) {
        members.add(&name, Value::String(value.into_owned()));
    }
    members.once().map_err(ApiError::Invalid)
}

fn parse(body: Map<String, Value>) -> Result<Grant, Vec<Fault>> {
    let says_which = ["grant_type", "refresh_token"].iter().any(|name| body.contains_key(*name));
    let has_scope = body.contains_key("scope");
    let mut fields = Fields::of(body);
    let kind = if says_which { fields.text("grant_type", Kind::parse, code) } else { Some(Kind::Password) };
    if has_scope {
        fields.text("scope", scope, code);
    }
    let grant = match kind {
        Some(Kind::Password) => password(&mut fields),
        Some(Kind::RefreshToken) => fields.text("refresh_token", secret, code).map(Grant::RefreshToken),
        None => None,
    };
    let mut faults = fields.into_faults();
    if kind.is_none() {
        // Which fields there should be beside a faulty grant_type, nobody can say.
        faults.retain(|fault| fault.code != "unknown");
    }
    grant.filter(|_| faults.is_empty()).ok_or(faults)
}

fn password(fields: &mut Fields) -> Option<Grant> {
    let username = fields.text("username", username, code);
    let password = fields.text("password", secret, code);
    Some(Grant::Password { username: username?, password: password? })
}

#[derive(Clone, Copy)]
enum Kind {
    Password,
    RefreshToken,
}

impl Kind {
    fn parse(raw: &str) -> Result<Self, Invalid> {
        match raw {
            "password" => Ok(Self::Password),
            "refresh_token" => Ok(Self::RefreshToken),
            _ => Err(Invalid::GrantType),
        }
    }
}

/// Nobody's username has a control character, and Keycloak fails on the first of them.
fn username(raw: &str) -> Result<SecretString, Invalid> {
    if raw.chars().any(char::is_control) { Err(Invalid::Control) } else { secret(raw) }
}

fn secret(raw: &str) -> Result<SecretString, Invalid> {
    if raw.is_empty() { Err(Invalid::Empty) } else { Ok(raw.into()) }
}

fn scope(raw: &str) -> Result<(), Invalid> {
    if raw.split(' ').all(|word| word.is_empty() || SCOPES.contains(&word)) { Ok(()) } else { Err(Invalid::Scope) }
}

/// Why a field is not taken; the texts quote nothing.
#[derive(Debug, Clone, Copy)]
enum Invalid {
    Empty,
    Control,
    GrantType,
    Scope,
}

impl Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "must be given",
            Self::Control => "must not contain control characters",
            Self::GrantType => "must be password or refresh_token",
            Self::Scope => "may name openid, profile and email only",
        })
    }
}

fn code(error: Invalid) -> &'static str {
    match error {
        Invalid::Empty => "required",
        Invalid::Control => "character",
        Invalid::GrantType | Invalid::Scope => "unsupported",
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;
    use serde_json::json;

    use super::*;

    fn faults(body: &Value) -> Vec<(String, &'static str)> {
        let faults = parse(body.as_object().unwrap().clone()).unwrap_err();
        faults.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    }

    #[test]
    fn the_grant_is_a_password_unless_another_is_named() {
        for body in [
            json!({ "username": "ada", "password": "s3cret" }),
            json!({ "grant_type": "password", "username": "ada", "password": "s3cret", "scope": "openid  profile" }),
            json!({ "username": "ada", "password": "s3cret", "scope": "" }),
        ] {
            let grant = parse(body.as_object().unwrap().clone()).unwrap();
            assert!(!format!("{grant:?}").contains("s3cret"));
            let Grant::Password { username, password } = grant else { panic!("{body}") };
            assert_eq!((username.expose_secret(), password.expose_secret()), ("ada", "s3cret"));
        }
        let refresh = json!({ "grant_type": "refresh_token", "refresh_token": "s3cret" });
        let Ok(Grant::RefreshToken(token)) = parse(refresh.as_object().unwrap().clone()) else { panic!() };
        assert_eq!(token.expose_secret(), "s3cret");
    }

    #[test]
    fn all_faults_are_found() {
        for (body, expected) in [
            (json!({}), vec![("#/username", "required"), ("#/password", "required")]),
            (
                json!({ "username": "a\u{0}b", "password": "" }),
                vec![("#/username", "character"), ("#/password", "required")],
            ),
            (json!({ "username": "a", "password": "b", "client_id": "c" }), vec![("#/client_id", "unknown")]),
            (json!({ "username": "a", "password": "b", "client_id": null }), vec![("#/client_id", "unknown")]),
            (json!({ "username": "a", "password": "b", "scope": "openidprofile" }), vec![("#/scope", "unsupported")]),
            (json!({ "username": "a", "password": "b", "scope": "offline_access" }), vec![("#/scope", "unsupported")]),
            (json!({ "grant_type": null, "username": "a", "password": "b" }), vec![("#/grant_type", "required")]),
            (json!({ "refresh_token": "a" }), vec![("#/grant_type", "required")]),
            (json!({ "grant_type": "refresh_token" }), vec![("#/refresh_token", "required")]),
            (
                json!({ "grant_type": "refresh_token", "refresh_token": "a", "password": "b" }),
                vec![("#/password", "unknown")],
            ),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|(pointer, code)| (pointer.to_owned(), code)).collect();
            assert_eq!(faults(&body), expected, "{body}");
        }
    }

    #[test]
    fn a_form_names_each_field_once() {
        let fields = form(&Bytes::from_static(b"username=ada%2Bx&password=a+b%26")).unwrap();
        assert_eq!(Value::Object(fields), json!({ "username": "ada+x", "password": "a b&" }));
        let Err(ApiError::Invalid(faults)) = form(&Bytes::from_static(b"username=a&username=b")) else { panic!() };
        assert_eq!((faults[0].pointer.as_str(), faults[0].code), ("#/username", "repeated"));
        let Err(ApiError::Invalid(faults)) = form(&"a&".repeat(8000).into()) else { panic!() };
        assert_eq!(faults.len(), 20, "an answer is not much longer than its question");
    }
}

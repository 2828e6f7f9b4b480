//! The body of a registration, and how it becomes a [`NewUser`] and perhaps a [`Password`].

use serde::Serialize;
use serde_json::{Map, Value};
use shared::domain::{
    email::{EmailAddress, InvalidEmail},
    locale::{InvalidLocale, Locale},
    name::{InvalidName, PersonName},
    password::{InvalidPassword, Password, PasswordRules},
    user::NewUser,
    username::{InvalidUsername, Username},
};
use utoipa::ToSchema;

use crate::{
    described,
    fields::{Fault, Fields},
};

/// What a client sends. It describes the body; it is read field by field, so that every fault is found.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RegisterRequest {
    #[schema(schema_with = described::username)]
    pub username: String,
    #[schema(schema_with = described::email)]
    pub email: String,
    #[schema(schema_with = described::name)]
    pub first_name: String,
    #[schema(schema_with = described::name)]
    pub last_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = described::locale, required = false)]
    pub locale: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = described::password, required = false)]
    pub password: Option<String>,
}

/// Why a password is not taken.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum PasswordFault {
    #[error("cannot be given here; the mail that is sent lets one be set")]
    Unsupported,
    #[error(transparent)]
    Invalid(#[from] InvalidPassword),
}

/// Reads the body, or says everything that is wrong with it. Without `rules` no password is taken.
pub fn parse(
    body: Map<String, Value>,
    rules: Option<&PasswordRules>,
) -> Result<(NewUser, Option<Password>), Vec<Fault>> {
    let mut fields = Fields::of(body);
    let username = fields.text("username", Username::parse, username_code);
    let email = fields.text("email", EmailAddress::parse, email_code);
    let first_name = fields.text("firstName", PersonName::parse, name_code);
    let last_name = fields.text("lastName", PersonName::parse, name_code);
    let locale = fields.text_if_given("locale", Locale::parse, locale_code);
    let password = fields.text_if_given(
        "password",
        |raw| {
            let rules = rules.ok_or(PasswordFault::Unsupported)?;
            Ok(Password::parse(raw.into(), rules, username.as_ref(), email.as_ref())?)
        },
        password_code,
    );
    let faults = fields.into_faults();
    match (username, email, first_name, last_name) {
        (Some(username), Some(email), Some(first_name), Some(last_name)) if faults.is_empty() => {
            Ok((NewUser { username, email, first_name, last_name, locale }, password))
        }
        _ => Err(faults),
    }
}

pub fn username_code(error: InvalidUsername) -> &'static str {
    match error {
        InvalidUsername::Length => "length",
        InvalidUsername::Character => "character",
        InvalidUsername::Edge => "edge",
        InvalidUsername::Reserved => "reserved",
    }
}

pub fn email_code(error: InvalidEmail) -> &'static str {
    match error {
        InvalidEmail::Form => "form",
        InvalidEmail::TooLong => "length",
        InvalidEmail::NotAscii => "character",
        InvalidEmail::Domain => "domain",
    }
}

fn name_code(error: InvalidName) -> &'static str {
    match error {
        InvalidName::Empty => "required",
        InvalidName::TooLong => "length",
        InvalidName::Character => "character",
        InvalidName::Invisible => "invisible",
    }
}

fn locale_code(error: InvalidLocale) -> &'static str {
    match error {
        InvalidLocale::Form => "form",
    }
}

fn password_code(fault: PasswordFault) -> &'static str {
    match fault {
        PasswordFault::Unsupported => "unsupported",
        PasswordFault::Invalid(InvalidPassword::TooShort(_) | InvalidPassword::TooLong) => "length",
        PasswordFault::Invalid(InvalidPassword::Control) => "character",
        PasswordFault::Invalid(InvalidPassword::Lower) => "lower",
        PasswordFault::Invalid(InvalidPassword::Upper) => "upper",
        PasswordFault::Invalid(InvalidPassword::Digit) => "digit",
        PasswordFault::Invalid(InvalidPassword::Special) => "special",
        PasswordFault::Invalid(InvalidPassword::Username) => "username",
        PasswordFault::Invalid(InvalidPassword::Email) => "email",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn faults(body: &Value) -> Vec<(String, &'static str)> {
        let faults = parse(body.as_object().unwrap().clone(), Some(&PasswordRules::default())).unwrap_err();
        faults.into_iter().map(|fault| (fault.pointer, fault.code)).collect()
    }

    fn at(pointer: &str, code: &'static str) -> (String, &'static str) {
        (pointer.to_owned(), code)
    }

    #[test]
    fn a_described_body_is_taken() {
        let body = RegisterRequest {
            username: "Ada".to_owned(),
            email: "Ada@example.org".to_owned(),
            first_name: "Ada".to_owned(),
            last_name: "Lovelace".to_owned(),
            locale: Some("de-AT".to_owned()),
            password: Some("Right-1.".to_owned()),
        };
        let body = serde_json::to_value(body).unwrap().as_object().unwrap().clone();
        let (user, password) = parse(body, Some(&PasswordRules::default())).unwrap();
        assert_eq!((user.username.as_str(), user.email.as_str()), ("ada", "Ada@example.org"));
        assert_eq!((user.first_name.as_str(), user.last_name.as_str()), ("Ada", "Lovelace"));
        assert_eq!(user.locale.unwrap().as_str(), "de-at");
        assert_eq!(password.unwrap().expose(), "Right-1.");
    }

    #[test]
    fn all_faults_of_all_fields_are_found() {
        let body = json!({ "username": "-", "email": "ada@localhost", "firstName": 7, "locale": "german",
                    "password": "Ada.1", "nick/name": "x" });
        let expected = [
            at("#/username", "length"),
            at("#/email", "domain"),
            at("#/firstName", "type"),
            at("#/lastName", "required"),
            at("#/locale", "form"),
            at("#/password", "length"),
            at("#/nick~1name", "unknown"),
        ];
        assert_eq!(faults(&body), expected);
    }

    #[test]
    fn an_unknown_field_alone_is_refused() {
        let body = json!({
            "username": "ada", "email": "ada@example.org", "firstName": "Ada", "lastName": "Lovelace", "role": "admin"
        });
        assert_eq!(faults(&body), [at("#/role", "unknown")]);
    }

    #[test]
    fn a_password_is_refused_where_none_is_taken() {
        let body = json!({
            "username": "ada", "email": "ada@example.org", "firstName": "Ada", "lastName": "Lovelace",
            "password": "Right-1."
        });
        let faults = parse(body.as_object().unwrap().clone(), None).unwrap_err();
        assert_eq!((faults[0].pointer.as_str(), faults[0].code), ("#/password", "unsupported"));
    }

    #[test]
    fn null_and_blank_are_not_given() {
        let body = json!({ "username": null, "email": null, "firstName": " ", "lastName": "", "locale": null, "password": null });
        let pointers = ["#/username", "#/email", "#/firstName", "#/lastName"];
        assert_eq!(faults(&body), pointers.map(|pointer| at(pointer, "required")));
    }
}

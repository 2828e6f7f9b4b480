//! One person, as an operator sees them.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use shared::{
    domain::user::{UserId, UserStatus},
    store::person::Person,
};
use uuid::Uuid;

use super::answer::{Line, or_dash};

/// `parked show`: personal data included, on purpose. Never to be logged.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PersonLine {
    id: UserId,
    status: UserStatus,
    username: String,
    email: String,
    first_name: String,
    last_name: String,
    locale: Option<String>,
    registered_at: DateTime<Utc>,
    parked_at: Option<DateTime<Utc>>,
    parked_reason: Option<String>,
    last_error: Option<String>,
    attempts: i32,
    next_attempt_at: DateTime<Utc>,
    leased_until: Option<DateTime<Utc>>,
    keycloak_id: Option<Uuid>,
    keycloak_realm: Option<String>,
    synced_at: Option<DateTime<Utc>>,
    password_state: Option<String>,
    mail_wanted: i32,
    mail_served: i32,
    mail_attempts: i32,
    mail_sent_at: Option<DateTime<Utc>>,
}

impl From<Person> for PersonLine {
    fn from(person: Person) -> Self {
        Self {
            id: person.id,
            status: person.status(),
            username: person.username,
            email: person.email,
            first_name: person.first_name,
            last_name: person.last_name,
            locale: person.locale,
            registered_at: person.progress.created_at,
            parked_at: person.progress.parked_at,
            parked_reason: person.progress.parked_reason,
            last_error: person.last_error,
            attempts: person.attempts,
            next_attempt_at: person.next_attempt_at,
            leased_until: person.leased_until,
            keycloak_id: person.keycloak_id,
            keycloak_realm: person.keycloak_realm,
            synced_at: person.progress.synced_at,
            password_state: person.progress.password_state,
            mail_wanted: person.mail_wanted,
            mail_served: person.mail_served,
            mail_attempts: person.mail_attempts,
            mail_sent_at: person.progress.mail_sent_at,
        }
    }
}

impl Line for PersonLine {
    const COLUMNS: &'static [&'static str] = &[
        "user",
        "status",
        "username",
        "email",
        "name",
        "locale",
        "registered",
        "parked",
        "last error",
        "attempts",
        "next attempt",
        "leased until",
        "Keycloak",
        "synced",
        "password",
        "mails",
        "last mail",
    ];

    fn cells(&self) -> Vec<String> {
        let time = |time: Option<DateTime<Utc>>| or_dash(time.map(human));
        let parked = self.parked_at.zip(self.parked_reason.as_ref());
        let account = self.keycloak_id.zip(self.keycloak_realm.as_ref());
        vec![
            self.id.to_string(),
            format!("{:?}", self.status).to_lowercase(),
            self.username.clone(),
            self.email.clone(),
            format!("{} {}", self.first_name, self.last_name),
            or_dash(self.locale.as_ref()),
            human(self.registered_at),
            or_dash(parked.map(|(at, reason)| format!("{reason}, since {}", human(at)))),
            or_dash(self.last_error.as_ref()),
            self.attempts.to_string(),
            self.next_attempt(),
            time(self.leased_until),
            or_dash(account.map(|(id, realm)| format!("{id} in realm {realm}"))),
            time(self.synced_at),
            or_dash(self.password_state.as_ref()),
            format!("{} wanted, {} served, {} tried", self.mail_wanted, self.mail_served, self.mail_attempts),
            time(self.mail_sent_at),
        ]
    }
}

impl PersonLine {
    /// Nothing for whom nothing is to be tried.
    fn next_attempt(&self) -> String {
        let at = human(self.next_attempt_at);
        match self.status {
            UserStatus::Complete | UserStatus::Parked => "-".to_owned(),
            _ if self.leased_until.is_some() => "now".to_owned(),
            _ if self.next_attempt_at < Utc::now() => format!("due since {at}"),
            _ => at,
        }
    }
}

fn human(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

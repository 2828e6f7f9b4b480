//! Mails of our own (`MAIL_VIA=smtp`): what stands in them, whom the worker hands them to, and what it makes of the
//! answers.

mod answers;
mod journey;
mod languages;
mod letters;
mod links;
mod sessions;

use crate::harness::{
    fake_keycloak::FakeKeycloak,
    fake_smtp::FakeSmtp,
    system::{Plan, Registered, System},
    witness::Witness,
};

/// A system whose Keycloak and mail server do as they are told.
async fn start(keycloak: &FakeKeycloak, server: &FakeSmtp) -> System {
    Plan::on(keycloak.access()).by_smtp(server.port()).start().await
}

/// So many at once.
async fn register(system: &System, number: usize) -> Vec<Registered> {
    let witness = Witness::of(system);
    witness.register(&system.api_url(), &witness.usernames(number)).await
}

/// As the api does it when somebody asks for another mail.
async fn want_another_mail(system: &System, user: &Registered) {
    sqlx::query("UPDATE users SET mail_wanted = mail_wanted + 1 WHERE id = $1")
        .bind(user.id)
        .execute(system.pool())
        .await
        .expect("the row can be written");
}

/// How many of the tries are known to have come to an end.
async fn mail_answered(system: &System, user: &Registered) -> i32 {
    let answered = sqlx::query_scalar("SELECT mail_answered FROM users WHERE id = $1").bind(user.id);
    answered.fetch_one(system.pool()).await.expect("the row can be read")
}

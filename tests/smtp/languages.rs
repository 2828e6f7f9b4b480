//! Whoever registers says in which language the mail is, and operators have the last word on what it says.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::start;
use crate::harness::{
    auth::Answer,
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    mailbox::{Mail, Mailbox},
    process::Binary,
    system::{PATIENCE, Plan, System},
};

/// Registers somebody with this `locale`, and has the mail.
async fn mail_in(system: &System, mailbox: &Mailbox, username: &str, locale: Value) -> Mail {
    let email = format!("{username}@example.org");
    let mut body = json!({ "username": username, "email": email, "firstName": "Ada", "lastName": "Lovelace" });
    body["locale"] = locale;
    let answer = Answer::of(system.post("/users/register", &body)).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    eventually("the mail is there", PATIENCE, async || mailbox.mails_to(&email).pop()).await
}

#[tokio::test]
async fn a_mail_is_in_the_language_of_whoever_registered() {
    let (keycloak, mailbox) = (FakeKeycloak::start().await, Mailbox::start().await);
    let system = Plan::on(keycloak.access()).by_smtp(mailbox.port()).start().await;
    for (username, locale, subject, word) in [
        ("somebody", Value::Null, "Set your password for Usher", "Hello,"),
        ("klingon", json!("tlh"), "Set your password for Usher", "Hello,"),
        ("austrian", json!("de-AT"), "Passwort für Usher festlegen", "Guten Tag"),
        ("frenchman", json!("fr"), "Choisissez votre mot de passe pour Usher", "a été créé"),
        ("mexican", json!("es_MX"), "Elija su contraseña para Usher", "dirección"),
    ] {
        let mail = mail_in(&system, &mailbox, username, locale).await;
        assert_eq!(mail.subject, subject);
        assert!(mail.text.contains(word) && mail.html.contains(word), "{}", mail.text);
        assert!(mail.text.contains(username) && mail.link().contains("action-token?key="), "{}", mail.text);
    }
    let body = json!({ "username": "nobody", "email": "nobody@example.org", "firstName": "A", "lastName": "B",
                       "locale": "../de" });
    let refused = Answer::of(system.post("/users/register", &body)).await;
    refused.is_problem(422, "invalid_fields");
    assert_eq!(refused.json()["errors"][0]["pointer"], "#/locale");
    system.stop().await;
}

#[tokio::test]
async fn an_operators_own_words_are_taken() {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("fr")).expect("a folder in it");
    fs::write(folder.path().join("fr/password_setup.subject.txt"), "Bienvenue, {{ username }}").expect("a file");
    let (keycloak, mailbox) = (FakeKeycloak::start().await, Mailbox::start().await);
    let plan = Plan::on(keycloak.access()).by_smtp(mailbox.port()).set("MAIL_LOCALE", "fr");
    let plan = plan.set("MAIL_TEMPLATES", folder.path().to_str().expect("a path"));
    let system = plan.start().await;
    assert_eq!(mail_in(&system, &mailbox, "somebody", Value::Null).await.subject, "Bienvenue, somebody");
    assert_eq!(mail_in(&system, &mailbox, "german", json!("de")).await.subject, "Passwort für Usher festlegen");
    system.stop().await;
}

/// At the start, and not with the first mail.
#[tokio::test]
async fn a_template_with_a_fault_is_told_before_anything_starts() {
    let folder = TempDir::new().expect("a folder");
    fs::create_dir(folder.path().join("de")).expect("a folder in it");
    fs::write(folder.path().join("de/password_setup.txt"), "{{ link }} {{ usrname }}").expect("a file");
    let (keycloak, mailbox) = (FakeKeycloak::start().await, Mailbox::start().await);
    let system = Plan::on(keycloak.access()).by_smtp(mailbox.port()).workers(0).start().await;
    let worker = Binary::worker().envs(system.settings()).env("MAIL_TEMPLATES", folder.path());
    let mut worker = worker.start();
    assert_eq!(worker.exit().await.code(), Some(64));
    let output = worker.output();
    assert!(output.contains("MAIL_TEMPLATES") && output.contains("de/password_setup.txt"), "{output}");
    system.stop().await;
}

#[tokio::test]
async fn an_operator_can_look_at_the_mails() {
    let preview = |arguments: &[&str]| {
        let binary = Binary::worker().arg("mail").arg("preview").env("MAIL_PRODUCT", "Pebble & Co");
        arguments.iter().fold(binary, |binary, argument| binary.arg(argument)).start()
    };
    let mut all = preview(&[]);
    assert!(all.exit().await.success(), "{}", all.output());
    let folder = all.directory().join("mail-preview");
    for locale in ["de", "en", "es", "fr"] {
        let read = |extension| fs::read_to_string(folder.join(format!("password_setup.{locale}.{extension}")));
        let (text, html) = (read("txt").expect("the text"), read("html").expect("the page"));
        assert!(text.starts_with("Subject: ") && text.contains("Pebble & Co"), "{text}");
        assert!(html.contains("Pebble &amp; Co"), "{html}");
    }
    let mut one = preview(&["--template", "password_setup", "--locale", "de", "--folder", "look"]);
    assert!(one.exit().await.success(), "{}", one.output());
    assert_eq!(fs::read_dir(one.directory().join("look")).expect("a folder").count(), 2);
    let mut klingon = preview(&["--locale", "tlh"]);
    assert!(!klingon.exit().await.success());
    assert!(klingon.output().contains("no templates for the language tlh"), "{}", klingon.output());
    let mut none = preview(&["--template", "no_such_mail"]);
    assert!(!none.exit().await.success());
}

/// What the api takes, the worker finds in the row.
#[tokio::test]
async fn a_language_is_kept_in_lower_case() {
    let (keycloak, server) = (FakeKeycloak::start().await, crate::harness::fake_smtp::FakeSmtp::start().await);
    let system = start(&keycloak, &server).await;
    let body = json!({ "username": "ada", "email": "ada@example.org", "firstName": "Ada", "lastName": "Lovelace",
                       "locale": "zh-Hant_TW" });
    assert_eq!(Answer::of(system.post("/users/register", &body)).await.status, 201);
    let kept: Option<String> =
        sqlx::query_scalar("SELECT locale FROM users").fetch_one(system.pool()).await.expect("one row");
    assert_eq!(kept.as_deref(), Some("zh-hant-tw"));
    system.stop().await;
}

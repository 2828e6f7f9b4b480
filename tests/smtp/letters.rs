//! What stands in a mail, and what nobody can make stand there.

use std::{collections::BTreeMap, fs};

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use shared::{
    config::Environment, domain::user::UserId, store::provisioning::ClaimedUser, trace_context::TraceContext,
};
use tempfile::TempDir;
use worker::{
    config::{WorkerConfig, mail::MailVia, mail::OwnMail},
    mailer::{letter::Letter, template::Words},
};

use super::{mail_answered, start, want_another_mail};
use crate::harness::{
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    fake_smtp::{FakeSmtp, Fault, Step, Taken},
    system::{PATIENCE, Plan},
};

const HEADERS: [&str; 7] = ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version"];

#[tokio::test]
async fn a_mail_says_from_whom_it_is_and_that_a_machine_sent_it() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    let plan = Plan::on(keycloak.access()).by_smtp(server.port());
    let plan = plan.set("MAIL_FROM", "Ushér <no-reply@usher.test>").set("MAIL_REPLY_TO", "help@usher.test");
    let system = plan.set("MAIL_PRODUCT", "Ada's \"Größe\"").start().await;
    let user = system.register().await;
    system.until_complete(&user).await;

    let mails = server.mails();
    assert_eq!(mails.len(), 1);
    let mail = &mails[0];
    assert_eq!((mail.from.as_str(), &mail.to), ("no-reply@usher.test", &user.email));
    assert_eq!(mail.header("To"), user.email);
    assert!(mail.header("From").ends_with("<no-reply@usher.test>"), "{}", mail.header("From"));
    assert_eq!(mail.header("Reply-To"), "help@usher.test");
    assert_eq!(mail.header("Auto-Submitted"), "auto-generated");
    assert_eq!(mail.header("Message-ID"), format!("<{}.1@usher.test>", user.id));
    let date = DateTime::parse_from_rfc2822(&mail.header("Date")).expect("a date");
    assert!((Utc::now() - date.to_utc()).num_seconds() < 60, "{date}");
    assert!(mail.header("Content-Type").starts_with("multipart/alternative"), "{}", mail.header("Content-Type"));
    for part in ["text/plain; charset=utf-8", "text/html; charset=utf-8"] {
        assert!(mail.content.contains(part), "{part} is missing in {}", mail.content);
    }
    assert!(mail.content.is_ascii() && mail.content.lines().all(|line| line.len() <= 998), "{}", mail.content);
    has_only_its_own_headers(mail);
    system.stop().await;
}

/// A mail server, or whoever reads the mails, can tell a duplicate from another mail.
#[tokio::test]
async fn a_duplicate_has_the_same_message_id_and_another_mail_has_not() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    server.fail_next(Step::Content, 1, Fault::HangUpAfterEffect);
    let system = start(&keycloak, &server).await;
    let user = system.register().await;
    let row = system.until_complete(&user).await;
    assert!(row.mail_attempts > mail_answered(&system, &user).await, "one of them without an answer: {row:?}");

    want_another_mail(&system, &user).await;
    system.until(&user, "the other mail is there", |row| row.mail_served == 2).await;

    let ids: Vec<_> = server.mails().iter().map(|mail| mail.header("Message-ID")).collect();
    let id = |request: u8| format!("<{}.{request}@usher.test>", user.id);
    assert_eq!(ids, [id(1), id(1), id(2)]);
    system.stop().await;
}

/// As if the row had been written before the api knew better, and Keycloak took any address.
#[tokio::test]
async fn neither_a_row_nor_an_account_can_add_a_header_or_a_recipient() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    let system = start(&keycloak, &server).await;
    let (ada, bob) = (system.register().await, system.register().await);
    system.until_complete(&ada).await;
    system.until_complete(&bob).await;
    let evil = "x\r\nBcc: victim@example.org\r\n\r\nhello";
    let names = "UPDATE users SET first_name = $2, last_name = $2, username = lower($2) WHERE id = $1";
    sqlx::query(names).bind(ada.id).bind(evil).execute(system.pool()).await.expect("the row can be written");
    keycloak.change_address(&bob.username, &format!("bob@example.org{evil}"));
    for user in [&ada, &bob] {
        want_another_mail(&system, user).await;
    }

    system.until(&ada, "the mail is there", |row| row.mail_served == 2).await;
    let row = system.until_parked(&bob).await;

    assert_eq!(row.parked_reason.as_deref(), Some("mail_refused"), "{row:?}");
    assert_eq!(server.mails().len(), 3, "the two of before, and one more");
    server.mails().iter().for_each(has_only_its_own_headers);
    let strays = server.heard().into_iter().filter(|line| line.contains("victim")).count();
    assert_eq!(strays, 0);
    system.stop().await;
}

/// Names that are there once each, and nothing else.
fn has_only_its_own_headers(mail: &Taken) {
    let headers = mail.headers();
    let mut names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    // Of the whole, which has parts with headers of their own.
    names.retain(|name| !matches!(*name, "Content-Type" | "Reply-To"));
    names.sort_unstable();
    let mut expected = HEADERS;
    expected.sort_unstable();
    assert_eq!(names, expected);
}

/// The mail as it is configured in a plan.
fn own_mail() -> OwnMail {
    let keycloak = crate::harness::keycloak_access::KeycloakAccess {
        url: "http://localhost".into(),
        realm: "usher".into(),
        client_id: "app".into(),
        client_secret: "app".into(),
        admin_client_id: "admin".into(),
        admin_client_secret: "admin".into(),
        redirect_uri: "http://localhost/".into(),
    };
    let mut settings: BTreeMap<_, _> = Plan::on(&keycloak).by_smtp(25).into_settings();
    settings.insert("DATABASE_URL".into(), "postgres://localhost/usher".into());
    settings.insert("AMQP_URL".into(), "amqp://localhost".into());
    let config = WorkerConfig::read(Environment::of(settings)).unwrap_or_else(|faults| panic!("{faults}"));
    let MailVia::Smtp(own) = config.mail.via else { panic!("not by smtp") };
    *own
}

fn somebody(text: &str) -> ClaimedUser {
    ClaimedUser {
        id: UserId::generate(),
        claim_no: 1,
        username: text.to_owned(),
        email: "ada@example.org".to_owned(),
        first_name: text.to_owned(),
        last_name: text.to_owned(),
        locale: None,
        created_at: Utc::now(),
        attempts: 1,
        account: None,
        realm: None,
        password_waits: false,
        mail_wanted: 1,
        last_error: None,
        cause: TraceContext::default(),
    }
}

/// Anything, and more often what ends a line or a header.
fn anything() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        any::<String>(),
        prop::sample::select(vec!["\r\n", "\n", "\r", "\r\n.\r\n", "\r\n\r\n", "Bcc: x@example.org", "\0", "\u{85}"])
            .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_words_and_no_name_can_add_a_header(subject in anything(), body in anything(), name in anything()) {
        let words = Words { subject, text: body.clone(), html: body };
        let letter = Letter::compose(&own_mail(), &somebody(&name), "ada@example.org", words).expect("a letter");
        let content = String::from_utf8(letter.content).expect("ASCII");
        prop_assert!(content.is_ascii());
        let mail = Taken { from: String::new(), to: String::new(), content };
        has_only_its_own_headers(&mail);
        prop_assert_eq!(letter.envelope.to().len(), 1);
    }

    #[test]
    fn no_address_can_be_two(start in "[a-z]{1,8}", rest in anything()) {
        let email = format!("{start}@example.org{rest}");
        let words = Words { subject: "s".into(), text: "t".into(), html: "h".into() };
        // Most are refused, which is as good.
        if let Ok(letter) = Letter::compose(&own_mail(), &somebody("ada"), &email, words) {
            let recipients: Vec<_> = letter.envelope.to().iter().map(ToString::to_string).collect();
            prop_assert_eq!(recipients, [email]);
            let mail = Taken { from: String::new(), to: String::new(), content: String::from_utf8(letter.content).expect("ASCII") };
            has_only_its_own_headers(&mail);
        }
    }
}

/// A line of a single dot would end the mail, and one that begins with a dot would lose it.
#[tokio::test]
async fn a_dot_at_the_beginning_of_a_line_stays() {
    let templates = TempDir::new().expect("a folder");
    fs::create_dir(templates.path().join("en")).expect("a folder");
    let text = "first\n.\n.hidden\n..\n{{ link }}\n.\nlast";
    fs::write(templates.path().join("en/password_setup.txt"), text).expect("a template");
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    let plan = Plan::on(keycloak.access()).by_smtp(server.port());
    let system = plan.set("MAIL_TEMPLATES", templates.path().to_str().expect("a path")).start().await;
    let user = system.register().await;
    system.until_complete(&user).await;
    let content = server.mails_to(&user.email)[0].content.clone();
    assert!(content.contains("first\r\n.\r\n.hidden\r\n..\r\n"), "{content}");
    assert!(content.contains("\r\n.\r\nlast"), "{content}");
    system.stop().await;
}

/// Whoever reads the mailbox of the registration is not let into an account that has another one by now.
#[tokio::test]
async fn a_mail_goes_to_the_address_that_the_account_has_by_now() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    let system = start(&keycloak, &server).await;
    let user = system.register().await;
    system.until_complete(&user).await;
    let moved = format!("moved-{}", user.email);
    keycloak.change_address(&user.username, &moved);
    want_another_mail(&system, &user).await;
    eventually("a mail to the new address", PATIENCE, async || server.mails_to(&moved).len() == 1).await;
    assert_eq!(server.mails_to(&user.email).len(), 1, "the first one");
    system.stop().await;
}

#[tokio::test]
async fn the_link_goes_into_the_mail_and_nowhere_else() {
    let (keycloak, server) = (FakeKeycloak::start().await, FakeSmtp::start().await);
    let system = start(&keycloak, &server).await;
    let user = system.register().await;
    system.until_complete(&user).await;
    let mail = eventually("the mail is there", PATIENCE, async || server.mails_to(&user.email).pop()).await;
    let account = keycloak.user_by_username(&user.username).expect("an account");
    // The key of the fake's link; soft line breaks of quoted-printable apart.
    assert!(mail.content.replace("=\r\n", "").contains(&account.id), "{}", mail.content);
    let link = keycloak.requests(crate::harness::fake_keycloak::Endpoint::ActionLink);
    let asked: Vec<_> = link.iter().filter(|request| request.body.contains(&account.id)).collect();
    assert_eq!(asked.len(), 1);
    for part in ["VERIFY_EMAIL", "UPDATE_PASSWORD", &keycloak.access().client_id, &keycloak.access().redirect_uri] {
        assert!(asked[0].body.contains(part), "{}", asked[0].body);
    }
    system.stop().await;
}

//! Who notes what was promised, and counts at the end whether it was kept.

use std::{collections::BTreeSet, time::Duration};

use checker::{Administrator, Attempt, Client, Outside, Places, Report, history::Account};
use chrono::DateTime;
use futures_util::future::join_all;
use serde_json::{Value, json};
use shared::{
    domain::{
        email::EmailAddress,
        name::PersonName,
        user::{NewUser, UserId},
        username::Username,
    },
    store::registrations::{Candidate, group::register_group},
    trace_context::TraceContext,
};
use uuid::Uuid;

use super::{
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    http,
    keycloak::Realm,
    mail_catcher::MailCatcher,
    mailbox::Mailbox,
    own_name::own_name,
    stack::Stack,
    system::{Registered, System},
};

/// For everything to come to rest, on two noisy cores.
pub const REST: Duration = Duration::from_mins(1);

/// The head start of an event before the sweep, for whom the witness writes itself.
const EVENT_GRACE: Duration = Duration::from_secs(15);

/// Who has the accounts and the mails.
#[derive(Clone, Copy)]
pub enum Beyond<'a> {
    /// The realm of the stack, with its mail catcher.
    Shared(&'a Realm),
    /// A realm of the test's own, with its own mail server.
    Own(&'a Realm, &'a Mailbox),
    Fake(&'a FakeKeycloak),
}

/// A client of one system that keeps its log, and the checker.
pub struct Witness {
    pub places: Places,
    /// Everybody's username begins with it.
    prefix: String,
    client: Client,
    strangers: BTreeSet<Uuid>,
    /// Sends whose answer was lost on purpose.
    answers_lost: u32,
}

impl Witness {
    pub fn of(system: &System) -> Self {
        Self {
            places: Places { database: system.pool().clone(), amqp_url: system.vhost.amqp_url() },
            prefix: own_name().replace('_', "-"),
            client: Client::new().expect("a client"),
            strangers: BTreeSet::new(),
            answers_lost: 0,
        }
    }

    pub fn usernames(&self, number: usize) -> Vec<String> {
        (0..number).map(|user| format!("{}-{user}", self.prefix)).collect()
    }

    /// Registers all of them at once, each until it is acknowledged.
    pub async fn register(&self, api_url: &str, usernames: &[String]) -> Vec<Registered> {
        let register = async |username: &String| {
            let answer = self.client.register(|| api_url.to_owned(), username, REST).await;
            let id = answer.unwrap_or_else(|why| panic!("not registered: {why:?}"));
            Registered { id, username: username.clone(), email: format!("{username}@example.org") }
        };
        join_all(usernames.iter().map(register)).await
    }

    /// Registers each of them, with a password, at an api that nobody kills.
    pub async fn register_with_a_password(&self, api_url: &str, usernames: &[String]) {
        for username in usernames {
            let email = format!("{username}@example.org");
            let body = json!({ "username": username, "email": email, "firstName": "Ada", "lastName": "Lovelace",
                               "password": "Correct.horse.1" });
            let url = format!("{api_url}/users/register");
            let answer =
                eventually("the api answers", REST, async || http::client().post(&url).json(&body).send().await).await;
            let answer: Value = answer.json().await.expect("JSON");
            let id = answer["id"].as_str().and_then(|id| id.parse().ok());
            self.client.note(Attempt { username: username.clone(), email, acknowledged: Some(id.expect("an id")) });
        }
    }

    /// Registers all of them by the api's own statement: a crowd, in a moment.
    pub async fn write(&self, usernames: &[String]) {
        let mut connection = self.places.database.acquire().await.expect("a connection");
        for some in usernames.chunks(500) {
            let group: Vec<_> = some.iter().map(|username| candidate(username)).collect();
            let written = register_group(&mut connection, &group, EVENT_GRACE).await.expect("the database answers");
            assert_eq!(written.len(), group.len(), "nobody else has the names");
            for Candidate { id, user, .. } in group {
                let (username, email) = (user.username.as_str().to_owned(), user.email.as_str().to_owned());
                self.client.note(Attempt { username, email, acknowledged: Some(id.as_uuid()) });
            }
        }
    }

    /// Somebody was tried to be registered, and nobody was told that it is done: whatever comes of it is as good.
    pub fn saw_a_try(&self, username: &str, email: &str) {
        let (username, email) = (username.to_owned(), email.to_owned());
        self.client.note(Attempt { username, email, acknowledged: None });
    }

    /// Whether it was this client who got the name.
    pub async fn try_register(&self, api_url: &str, username: &str) -> bool {
        self.client.register(|| api_url.to_owned(), username, REST).await.is_ok()
    }

    /// The account belongs to somebody else, and stays out of the count.
    pub fn stranger(&mut self, account: &str) {
        self.strangers.insert(account.parse().expect("Keycloak's ids are UUIDs"));
    }

    /// A process was killed just now: what it was sending is never answered.
    pub async fn sends_were_cut_off(&mut self) {
        self.answers_lost += self.places.sends_in_flight().await.expect("the database answers");
    }

    /// So many answers to sends were withheld on purpose.
    pub fn answers_were_withheld(&mut self, number: u32) {
        self.answers_lost += number;
    }

    /// Waits until all is done; then nobody may be lost, doubled, hijacked or stuck.
    pub async fn all_is_well(&self, beyond: Beyond<'_>) -> Report {
        self.places.until_quiet(REST).await.expect("all is done");
        let outside = beyond.read(&self.prefix).await;
        let mut history = self.places.read(self.client.attempts(), outside).await.expect("every part answers");
        history.strangers.clone_from(&self.strangers);
        history.answers_lost = self.answers_lost;
        let report = checker::check(&history);
        println!("{report}");
        report.must_be_clean();
        report
    }
}

fn candidate(username: &str) -> Candidate {
    let name = |name| PersonName::parse(name).expect("a name");
    let user = NewUser {
        username: Username::parse(username).expect("a username"),
        email: EmailAddress::parse(&format!("{username}@example.org")).expect("an address"),
        first_name: name("Ada"),
        last_name: name("Lovelace"),
        locale: None,
    };
    Candidate { id: UserId::generate(), user, trace: TraceContext::default(), with_password: false, key: None }
}

impl Beyond<'_> {
    async fn read(self, prefix: &str) -> Outside {
        match self {
            Self::Shared(realm) => {
                let mails = MailCatcher::shared();
                Outside::read(&administrator(realm), mails.url(), prefix).await.expect("Keycloak and mails can be read")
            }
            Self::Own(realm, mailbox) => {
                let accounts = administrator(realm).accounts(prefix).await.expect("Keycloak can be read");
                let recipients = mailbox.mails().into_iter().flat_map(|mail| mail.recipients);
                let mails = recipients.map(|it| it.trim_matches(['<', '>']).to_lowercase()).collect();
                Outside { accounts, mails }
            }
            Self::Fake(keycloak) => of_fake(keycloak),
        }
    }
}

fn of_fake(keycloak: &FakeKeycloak) -> Outside {
    let users = keycloak.users();
    let mails = users.iter().flat_map(|user| {
        let address = user.email.clone().unwrap_or_default();
        keycloak.mails_to(&user.username).into_iter().map(move |_| address.clone())
    });
    Outside {
        mails: mails.collect(),
        accounts: users
            .iter()
            .map(|user| Account {
                id: user.id.parse().expect("the fake's ids are UUIDs"),
                username: user.username.clone(),
                email: user.email.clone().unwrap_or_default(),
                created_at: DateTime::from_timestamp_millis(user.created_timestamp).expect("a time"),
            })
            .collect(),
    }
}

fn administrator(realm: &Realm) -> Administrator {
    let stack = Stack::get();
    Administrator {
        url: realm.access().url.clone(),
        realm: realm.access().realm.clone(),
        username: stack.keycloak_admin.clone(),
        password: stack.keycloak_admin_password.clone(),
    }
}

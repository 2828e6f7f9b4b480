//! Rules: what we accept, Keycloak accepts and keeps; and the description of the interface says the same as the rules.

mod passwords;

use std::fmt::Debug;

use proptest::{
    strategy::{Strategy, ValueTree as _},
    string::string_regex,
    test_runner::TestRunner,
};
use serde_json::{Value, json};
use shared::domain::{email::EmailAddress, examples::Examples, locale::Locale, name::PersonName, username::Username};

use crate::harness::{keycloak::Realm, mailbox::Mailbox};

#[derive(Debug, Clone)]
struct Candidate {
    username: String,
    email: String,
    first_name: String,
    last_name: String,
}

impl Candidate {
    fn number(number: usize) -> Self {
        let username = format!("somebody{number}");
        let email = format!("{username}@example.org");
        Self { username, email, first_name: "Ada".to_owned(), last_name: "Lovelace".to_owned() }
    }

    /// What our rules keep of it; `None` when they refuse it.
    fn parsed(&self) -> Option<Self> {
        Some(Self {
            username: Username::parse(&self.username).ok()?.as_str().to_owned(),
            email: EmailAddress::parse(&self.email).ok()?.as_str().to_owned(),
            first_name: PersonName::parse(&self.first_name).ok()?.as_str().to_owned(),
            last_name: PersonName::parse(&self.last_name).ok()?.as_str().to_owned(),
        })
    }
}

/// As the worker creates a user; then it must be found again, and be what we keep.
async fn keycloak_keeps(realm: &Realm, user: &Candidate) {
    eprintln!("{user:?}");
    let id = realm
        .create_user(&json!({
            "username": user.username, "email": user.email, "firstName": user.first_name, "lastName": user.last_name,
            "enabled": true, "emailVerified": false, "requiredActions": ["VERIFY_EMAIL", "UPDATE_PASSWORD"],
        }))
        .await;
    let kept = realm.user_by_username(&user.username).await.expect("Keycloak finds it by its username");
    let expected = json!([id, user.username, user.email.to_lowercase(), user.first_name, user.last_name]);
    assert_eq!(json!([kept["id"], kept["username"], kept["email"], kept["firstName"], kept["lastName"]]), expected);
}

#[tokio::test]
async fn keycloak_accepts_every_example_that_we_accept() {
    let mailbox = Mailbox::down();
    let realm = Realm::create(mailbox.port()).await;
    let usernames = Username::EXAMPLES
        .accepted
        .iter()
        .map(|(_, kept)| (*kept, (|user: &mut Candidate, kept| user.username = kept) as fn(&mut Candidate, String)));
    let emails = EmailAddress::EXAMPLES
        .accepted
        .iter()
        .map(|(_, kept)| (*kept, (|user: &mut Candidate, kept| user.email = kept) as fn(&mut Candidate, String)));
    let names = PersonName::EXAMPLES.accepted.iter().map(|(_, kept)| {
        let set: fn(&mut Candidate, String) = |user, kept| {
            user.first_name.clone_from(&kept);
            user.last_name = kept;
        };
        (*kept, set)
    });
    let mut seen = Vec::new();
    for (number, (kept, set)) in usernames.chain(emails).chain(names).enumerate() {
        let mut user = Candidate::number(number);
        set(&mut user, kept.to_owned());
        // Two examples may be kept as one.
        if seen.contains(&user.email) {
            continue;
        }
        seen.push(user.email.clone());
        keycloak_keeps(&realm, &user).await;
    }
}

/// Whatever the rules take, not only what somebody thought of.
#[tokio::test]
async fn keycloak_accepts_whatever_we_accept() {
    const CASES: usize = 60;
    let mailbox = Mailbox::down();
    let realm = Realm::create(mailbox.port()).await;
    let mut runner = TestRunner::default();
    let candidates = candidates();
    let mut tried = 0;
    while tried < CASES {
        let candidate = candidates.new_tree(&mut runner).expect("a candidate").current();
        let Some(user) = candidate.parsed() else { continue };
        keycloak_keeps(&realm, &user).await;
        tried += 1;
    }
}

fn candidates() -> impl Strategy<Value = Candidate> {
    let text = |pattern| string_regex(pattern).expect("a pattern");
    let username = text("[A-Za-z0-9][A-Za-z0-9._-]{6,62}[A-Za-z0-9]");
    let email = text(
        "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]{6,30}(\\.[a-z0-9!#$%&'*+/=?^_`{|}~-]{1,10}){0,2}@([a-z0-9-]{1,20}\\.){1,3}[a-z]{2,8}",
    );
    // Letters of all scripts, with marks, blanks, joiners and what else stands in names.
    let name = || text("([\\pL\\pM\\pN '’.,_@+`-]|[\\x{620}-\\x{DFF}][\\x{200C}\\x{200D}][\\x{620}-\\x{DFF}]){1,100}");
    (username, email, name(), name()).prop_map(|(username, email, first_name, last_name)| Candidate {
        username,
        email,
        first_name,
        last_name,
    })
}

#[test]
fn what_is_parsed_once_is_parsed_to_itself() {
    let (mut runner, candidates) = (TestRunner::default(), candidates());
    for user in (0..2000).filter_map(|_| candidates.new_tree(&mut runner).expect("a candidate").current().parsed()) {
        let again = user.parsed().unwrap_or_else(|| panic!("refused the second time: {user:?}"));
        assert_eq!(format!("{again:?}"), format!("{user:?}"));
    }
}

#[test]
fn the_description_takes_what_we_take_and_refuses_what_we_refuse() {
    let document = serde_json::to_value(api::routes::openapi()).expect("the description is JSON");
    let schema = |field: &str| document["components"]["schemas"]["RegisterRequest"]["properties"][field].clone();
    says_the_same(&schema("username"), &Username::EXAMPLES);
    says_the_same(&schema("email"), &EmailAddress::EXAMPLES);
    says_the_same(&schema("firstName"), &PersonName::EXAMPLES);
    says_the_same(&schema("lastName"), &PersonName::EXAMPLES);
    says_the_same(&schema("locale"), &Locale::EXAMPLES);
    let required = &document["components"]["schemas"]["RegisterRequest"]["required"];
    assert_eq!(required, &json!(["username", "email", "firstName", "lastName"]));
    let mail = &document["components"]["schemas"]["MailRequest"]["properties"];
    assert_eq!((mail["username"].clone(), mail["email"].clone()), (schema("username"), schema("email")));
}

/// Joiners depend on what stands around them, of which examples show too little.
#[test]
fn the_description_takes_a_joiner_where_we_do() {
    let document = serde_json::to_value(api::routes::openapi()).expect("the description is JSON");
    let schema = &document["components"]["schemas"]["RegisterRequest"]["properties"]["firstName"];
    let described = jsonschema::validator_for(schema).expect("the schema can be read");
    let names = string_regex("[a \\x{61F}-\\x{622}\\x{DFE}-\\x{E01}\\x{200B}-\\x{200E}\\x{200C}\\x{200D}]{1,8}");
    let (mut runner, names) = (TestRunner::default(), names.expect("a pattern"));
    let mut taken = 0;
    for name in (0..20_000).map(|_| names.new_tree(&mut runner).expect("a candidate").current()) {
        let is_taken = PersonName::parse(&name).is_ok();
        assert_eq!(described.is_valid(&json!(name)), is_taken, "{name:?}");
        taken += usize::from(is_taken && name.contains(['\u{200C}', '\u{200D}']));
    }
    assert!(taken > 100, "hardly a joiner was tried");
}

fn says_the_same<E: Debug>(schema: &Value, examples: &Examples<E>) {
    let described = jsonschema::validator_for(schema).expect("the schema can be read");
    for text in examples.accepted.iter().flat_map(|(typed, kept)| [typed, kept]) {
        assert!(described.is_valid(&json!(text)), "the description refuses {text:?}: {schema}");
    }
    for (typed, why) in examples.refused {
        assert!(!described.is_valid(&json!(typed)), "the description takes {typed:?} ({why:?}): {schema}");
    }
    for example in schema["examples"].as_array().expect("there are examples") {
        assert!(described.is_valid(example), "{example}");
    }
}

//! Passwords: what is chosen on Keycloak's page keeps the same rules as what is given to us.

use proptest::{
    strategy::{Strategy as _, ValueTree as _},
    string::string_regex,
    test_runner::TestRunner,
};
use serde_json::json;
use shared::domain::{
    email::EmailAddress,
    password::{InvalidPassword, Password, PasswordRules},
    username::Username,
};

use crate::harness::keycloak::{Realm, deployed_realm};

/// A realm with the one whom the examples are about. Returns the id too.
async fn realm_of_the_examples() -> (Realm, String) {
    let realm = Realm::create(1).await;
    let (username, email) = Password::EXAMPLE_OF;
    let id = realm.create_user(&json!({ "username": username, "email": email, "enabled": true })).await;
    (realm, id)
}

/// What the policy cannot say, and Keycloak therefore takes.
fn is_beyond_the_policy(typed: &str, why: InvalidPassword) -> bool {
    match why {
        // Its longest is counted in UTF-16: what would refuse 129 letters would refuse 65 crabs, which we take.
        InvalidPassword::TooLong | InvalidPassword::Control => true,
        // For Keycloak special is whatever is neither letter nor digit.
        InvalidPassword::Special => !typed.chars().all(char::is_alphanumeric),
        // Keycloak knows the whole address alone.
        InvalidPassword::Email => !typed.contains('@'),
        _ => false,
    }
}

#[tokio::test]
async fn keycloak_takes_every_password_that_we_take_and_refuses_the_others_as_far_as_it_can() {
    let (realm, id) = realm_of_the_examples().await;
    for (typed, kept) in Password::EXAMPLES.accepted {
        assert_eq!(realm.set_password(&id, kept).await, Ok(()), "{typed:?}");
    }
    for (typed, why) in Password::EXAMPLES.refused {
        let answer = realm.set_password(&id, typed).await;
        assert_eq!(answer.is_ok(), is_beyond_the_policy(typed, *why), "{typed:?} ({why:?}): {answer:?}");
    }
}

/// Each costs Keycloak a password hash.
#[tokio::test]
async fn keycloak_takes_whatever_password_we_take() {
    const CASES: usize = 25;
    let (realm, id) = realm_of_the_examples().await;
    let mut runner = TestRunner::default();
    // Characters of all kinds; the first ones more often, or hardly any of them would keep the rules.
    let passwords = string_regex("([a-zA-Z0-9@$!%*#?&.]|\\PC){1,40}").expect("a pattern");
    let candidates = (0..).map(|_| passwords.new_tree(&mut runner).expect("a candidate").current());
    for password in candidates.filter(|typed| is_taken(typed)).take(CASES) {
        assert_eq!(realm.set_password(&id, &password).await, Ok(()), "{password:?}");
    }
}

fn is_taken(typed: &str) -> bool {
    let (username, email) = Password::EXAMPLE_OF;
    let username = Username::parse(username).expect("a username");
    let email = EmailAddress::parse(email).expect("an address");
    Password::parse(typed.into(), &PasswordRules::default(), Some(&username), Some(&email)).is_ok()
}

#[test]
fn the_realm_asks_for_what_we_ask_for() {
    let PasswordRules { min_length, lower, upper, digit, special } = PasswordRules::default();
    let mut policy = vec![format!("length({min_length})")];
    for (asked, class) in [(lower, "lowerCase"), (upper, "upperCase"), (digit, "digits"), (special, "specialChars")] {
        policy.extend(asked.then(|| format!("{class}(1)")));
    }
    policy.extend(["notUsername", "notEmail"].map(str::to_owned));
    assert_eq!(deployed_realm()["passwordPolicy"], policy.join(" and "));
}

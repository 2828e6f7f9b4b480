//! A password that is chosen at the registration: good once the address is confirmed, and never on somebody else's
//! address; lost at worst, and then the set-up mail asks for another one.

mod account;
mod confirmation;
mod preparation;
mod waiting;

use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::harness::{
    eventually::eventually,
    fake_keycloak::{Endpoint, FakeKeycloak},
    http,
    keycloak_access::KeycloakAccess,
    mail_catcher::MailCatcher,
    mailbox::Mail,
    own_name::own_name,
    stack::Stack,
    system::{PATIENCE, Plan, Registered, System},
};

const CHOSEN: &str = "Correct.horse.1";

/// A database of Redis for each test that counts what is in it; 0 is for all others.
fn redis(database: u8) -> String {
    format!("{}{database}", Stack::get().redis_url)
}

async fn connect(database: u8) -> MultiplexedConnection {
    let client = redis::Client::open(redis(database)).expect("an address");
    let mut connection = client.get_multiplexed_async_connection().await.expect("Redis answers");
    redis::cmd("FLUSHDB").exec_async(&mut connection).await.expect("a database can be emptied");
    connection
}

async fn how_many(connection: &mut MultiplexedConnection) -> usize {
    let keys: Vec<String> = connection.keys("usher:password:*").await.expect("Redis answers");
    keys.len()
}

fn plan(keycloak: &KeycloakAccess, database: u8) -> Plan {
    Plan::on(keycloak).takes_passwords().set("REDIS_URL", &redis(database))
}

fn body(username: &str, password: &str) -> Value {
    json!({ "username": username, "email": format!("{username}@example.org"), "firstName": "Ada", "lastName": "L",
            "password": password })
}

fn name() -> String {
    own_name().replace('_', "-")
}

async fn send(system: &System, body: &Value) -> Response {
    system.post("/users/register", body).send().await.expect("the api answers")
}

async fn register(system: &System, password: &str) -> Registered {
    let username = name();
    let answer = send(system, &body(&username, password)).await;
    let (status, answer): (_, Value) = (answer.status(), answer.json().await.expect("JSON"));
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    assert!(!answer.to_string().contains(password), "{answer}");
    let id = answer["id"].as_str().expect("as sent").parse().expect("an id");
    Registered { id, email: format!("{username}@example.org"), username }
}

/// What the fake has for one.
fn password(keycloak: &FakeKeycloak, user: &Registered) -> Option<String> {
    keycloak.user_by_username(&user.username).expect("an account").password
}

/// What an earlier try asked for lands only now: the account with the chosen password.
fn lands_late(keycloak: &FakeKeycloak, user: &Registered) {
    let earlier = keycloak.requests(Endpoint::CreateUser);
    let earlier = earlier.iter().find(|request| request.body.contains(CHOSEN) && request.body.contains(&user.username));
    keycloak.create_user(&earlier.expect("an earlier try").body.parse().expect("JSON"));
}

/// What the status says of the password.
async fn state(system: &System, user: &Registered) -> Value {
    let url = format!("{}/users/{}/status", system.api_url(), user.id);
    let status: Value = http::client().get(url).send().await.expect("the api answers").json().await.expect("JSON");
    status["password"].clone()
}

async fn mails(user: &Registered, number: usize) -> Vec<Mail> {
    eventually("the mails are in the catcher", PATIENCE, async || {
        let mails = MailCatcher::shared().mails_to(&user.email).await;
        if mails.len() == number { Ok(mails) } else { Err(mails.len()) }
    })
    .await
}

//! One person's way from the registration to a renewed token, with everything that goes wrong on the way.

use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};
use uuid::Uuid;

use super::secrets::Secrets;
use crate::harness::{
    auth::Answer,
    eventually::eventually,
    http,
    keycloak::Realm,
    mailbox::{Mail, Mailbox},
    own_name::own_name,
    rabbit::{Message, Probe},
    set_up_pages::set_password,
    system::{PATIENCE, Registered, System},
};

pub(super) struct People {
    pub(super) id: Uuid,
    /// Somebody whose name is taken in Keycloak.
    pub(super) parked: Uuid,
    email: String,
    token: String,
}

/// What a person types.
struct Typed {
    username: String,
    email: String,
    first_name: String,
    last_name: String,
    password: String,
}

impl Typed {
    /// Nothing of it is found by chance, or in another part of it.
    fn invent() -> Self {
        let own = || own_name().replace('_', "-");
        Self {
            username: own(),
            email: format!("Of.{}@Example.org", own()),
            first_name: format!("Zoë {}", own()),
            last_name: format!("Quartermäin {}", own()),
            password: format!("Öpen\"\\-A1.{}", own()),
        }
    }

    fn registration(&self) -> Value {
        json!({ "username": self.username, "email": self.email,
                "firstName": self.first_name, "lastName": self.last_name })
    }

    fn add_to(&self, secrets: &mut Secrets) {
        secrets.add("the username", &self.username);
        secrets.add("the address", &self.email);
        secrets.add("what stands before its @", self.email.split('@').next().unwrap_or_default());
        secrets.add("the first name", &self.first_name);
        secrets.add("the last name", &self.last_name);
        secrets.add("the password", &self.password);
    }
}

pub(super) async fn walk(system: &System, realm: &Realm, mailbox: &Mailbox) -> (People, Secrets) {
    let (one, other) = (Typed::invent(), Typed::invent());
    let mut secrets = Secrets::default();
    one.add_to(&mut secrets);
    other.add_to(&mut secrets);
    let parked = park(system, realm, &other).await;
    choose_passwords(system, realm, mailbox, &mut secrets).await;
    let user = register(system, &one).await;
    for mail in mails(system, mailbox, &user).await {
        secrets.add("the link", mail.link());
        secrets.add_token("the key in the link", mail.link().split("key=").nth(1).expect("a link has a key"));
        set_password(mail.link(), &one.password).await;
    }
    let tokens = log_in(system, &one).await;
    for (what, token) in &tokens {
        secrets.add_token(what, token);
    }
    let (_, token) = tokens.into_iter().next().expect("there are tokens");
    (People { id: user.id, parked: parked.id, email: one.email, token }, secrets)
}

async fn send(system: &System, typed: &Typed, body: &Value) -> Registered {
    let request = system.post("/users/register", body).header("idempotency-key", &typed.email);
    let request = request.header("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    let answer = Answer::of(request.header("tracestate", format!("who={}", typed.username))).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    let id = answer.json()["id"].as_str().and_then(|id| id.parse().ok()).expect("an answer has an id");
    Registered { id, username: typed.username.clone(), email: typed.email.clone() }
}

/// Somebody else has the name in Keycloak, and Keycloak says so in words of its own. The password comes as far as there.
async fn park(system: &System, realm: &Realm, typed: &Typed) -> Registered {
    realm.create_user(&json!({ "username": typed.username, "email": "somebody.else@example.org" })).await;
    let mut body = typed.registration();
    body["password"] = json!(typed.password);
    let user = send(system, typed, &body).await;
    system.until_parked(&user).await;
    user
}

/// One that the realm takes, and one that it does not.
async fn choose_passwords(system: &System, realm: &Realm, mailbox: &Mailbox, secrets: &mut Secrets) {
    realm.change_realm(&json!({ "passwordPolicy": "length(50)" })).await;
    let (one, mut other) = (Typed::invent(), Typed::invent());
    other.password = format!("Öpen-B2.{}", Uuid::new_v4().simple());
    for (typed, state) in [(one, "set"), (other, "refused")] {
        typed.add_to(secrets);
        let mut body = typed.registration();
        body["password"] = json!(typed.password);
        let user = send(system, &typed, &body).await;
        system.until_complete(&user).await;
        let status = Answer::of(http::client().get(format!("{}/users/{}/status", system.api_url(), user.id))).await;
        assert_eq!(status.json()["password"], state);
        assert_eq!(system.request_mail(&json!({ "email": user.email })).await.status(), 202);
        system.until(&user, "another mail was accepted", |row| row.is_complete() && row.mail_served == 2).await;
        let mails = eventually("both mails are there", PATIENCE, async || {
            Some(mailbox.mails_to(&user.email)).filter(|mails| mails.len() == 2)
        });
        mails.await.iter().for_each(|mail| secrets.add("the link", mail.link()));
    }
}

/// Registered, and asked again by who did not understand the answer.
async fn register(system: &System, typed: &Typed) -> Registered {
    let user = send(system, typed, &typed.registration()).await;
    assert_eq!(send(system, typed, &typed.registration()).await.id, user.id, "the second answer is the first");
    assert_eq!(system.try_register("somebody-else", &typed.email).await, 409);
    assert_eq!(system.try_register(&typed.username, "somebody.else@example.com").await, 409);
    let mut body = typed.registration();
    body["username"] = json!(typed.email);
    body["lastName"] = json!(format!("<{}>", typed.last_name));
    body["password"] = json!(typed.password);
    body[&typed.password] = json!({ &typed.email: [typed.username] });
    Answer::of(system.post("/users/register", &body)).await.is_problem(422, "invalid_fields");
    let whole = typed.registration().to_string();
    for body in [&whole[..whole.len() - 1], &format!("{{\"{}\":1}}", typed.password), &format!("{:?}", typed.email)] {
        assert!((400..=422).contains(&post_text(system, "/users/register", body).await), "{body}");
    }
    for path in [format!("/users/{}/status", typed.email), format!("/{}?email={}", typed.username, typed.email)] {
        assert_eq!(get(system, &path, None).await, 404);
    }
    user
}

/// The one of the registration, and the one that was asked for.
async fn mails(system: &System, mailbox: &Mailbox, user: &Registered) -> Vec<Mail> {
    system.until_complete(user).await;
    assert_eq!(get(system, &format!("/users/{}/status", user.id), None).await, 200);
    for name in [json!({ "username": user.username }), json!({ "email": user.email }), json!({ "email": "no@one.org" })]
    {
        assert_eq!(system.request_mail(&name).await.status(), 202);
    }
    assert_eq!(system.request_mail(&json!({ "username": user.email })).await.status(), 422);
    system.until(user, "another mail was accepted", |row| row.is_complete() && row.mail_served == 2).await;
    eventually("both mails are there", PATIENCE, async || {
        Some(mailbox.mails_to(&user.email)).filter(|mails| mails.len() == 2)
    })
    .await
}

/// Every way to get, to check and to misuse a token.
async fn log_in(system: &System, typed: &Typed) -> Vec<(&'static str, String)> {
    let by_form = system.log_in(&typed.username, &typed.password).await;
    let body = json!({ "username": typed.email, "password": typed.password });
    let in_json = Answer::of(system.post("/auth/token", &body)).await;
    let renewed = system.refresh(&by_form.token("refresh_token")).await;
    let names =
        [("the access token", "access_token"), ("the refresh token", "refresh_token"), ("the ID token", "id_token")];
    let answers = [by_form, in_json, renewed];
    let tokens: Vec<_> =
        answers.iter().flat_map(|answer| names.map(|(what, name)| (what, answer.token(name)))).collect();
    go_wrong(system, typed, &tokens[0].1, &tokens[1].1).await;
    tokens
}

async fn go_wrong(system: &System, typed: &Typed, access: &str, refresh: &str) {
    let wrong = format!("{}!", typed.password);
    system.log_in(&typed.username, &wrong).await.is_problem(401, "invalid_credentials");
    system.log_in(&wrong, &typed.username).await.is_problem(401, "invalid_credentials");
    system.refresh(access).await.is_problem(401, "invalid_credentials");
    system.token(&[("username", &typed.email), (&typed.password, refresh)]).await.is_problem(422, "invalid_fields");
    assert_eq!(post_text(system, "/auth/token", &format!("{{\"password\":\"{}", typed.username)).await, 400);

    assert_eq!(system.validate(access).await.status, 200);
    assert_eq!(system.introspect(access).await.status, 200);
    let (head, signature) = access.rsplit_once('.').expect("a token has a signature");
    let tampered = [format!("{head}A.{signature}"), format!("{head}.{}", "A".repeat(signature.len()))];
    for token in tampered.iter().map(String::as_str).chain([refresh]) {
        system.validate(token).await.is_problem(401, "invalid_token");
    }
    for query in [format!("?access_token={access}"), format!("?introspect={access}")] {
        assert!(matches!(get(system, &format!("/auth/validate-token{query}"), None).await, 400 | 401 | 422));
        assert!(matches!(get(system, &format!("/auth/validate-token{query}"), Some(access)).await, 200 | 400 | 422));
    }
}

async fn get(system: &System, path: &str, token: Option<&str>) -> u16 {
    let mut request = http::client().get(format!("{}{path}", system.api_url()));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.expect("the api answers").status().as_u16()
}

async fn post_text(system: &System, path: &str, body: &str) -> u16 {
    let request = http::client().post(format!("{}{path}", system.api_url())).header(CONTENT_TYPE, "application/json");
    request.body(body.to_owned()).send().await.expect("the api answers").status().as_u16()
}

/// Messages of somebody who keeps no rule of ours. Returns their dead letters.
pub(super) async fn send_what_is_no_event(probe: &Probe, people: &People) -> Vec<Message> {
    let People { email, token, .. } = people;
    let bodies = [
        format!("{email} {token}"),
        json!(email).to_string(),
        json!([email, token]).to_string(),
        json!({ "userId": email }).to_string(),
        json!({ "userId": { email: token } }).to_string(),
        json!({ "userId": people.id, email: token, "version": email }).to_string(),
        json!({ email: email }).to_string(),
    ];
    let dead = u32::try_from(bodies.len() - 1).expect("a few");
    for body in bodies {
        let properties = lapin::BasicProperties::default().with_message_id("no-event".into());
        probe.publish("usher.events", "user.created", body.as_bytes(), properties).await;
    }
    let letters = "usher.user-created.dead";
    eventually("they are dead letters", PATIENCE, async || match probe.depth(letters).await {
        Some(depth) if depth == dead => Ok(()),
        depth => Err(depth),
    })
    .await;
    probe.drain(letters).await
}

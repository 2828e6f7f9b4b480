//! Enumeration: nobody learns from an answer, or from how long it took, who is registered.

mod rounds;

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use crate::harness::{
    auth::{Answer, Person},
    fake_keycloak::FakeKeycloak,
    http,
    keycloak::Realm,
    system::{Plan, System},
};
use rounds::{Times, are_alike, take};

/// A difference of half the noise would show.
const ROUNDS: usize = 300;

/// Each costs Keycloak a password hash, some 100 ms.
const LOGINS: usize = 36;

/// Asks on one connection, and checks that the answers cannot be told apart.
struct Asker {
    http: reqwest::Client,
    url: String,
    first: Option<(u16, Vec<String>, String)>,
}

impl Asker {
    fn of(system: &System, path: &str) -> Self {
        Self { http: http::client(), url: format!("{}{path}", system.api_url()), first: None }
    }

    async fn ask(&mut self, who: &str, body: &Value) {
        let answer = Answer::of(self.http.post(&self.url).json(body)).await.without_ids();
        let first = self.first.get_or_insert_with(|| answer.clone());
        assert_eq!(&answer, first, "{who} is told apart from the first");
    }
}

/// What a worker or an operator has made of somebody, by kind.
const STATES: [(&str, &str); 4] = [
    ("pending", "attempts = 0"),
    ("complete", FINISHED),
    ("cooling", FINISHED),
    ("parked", "parked_at = now(), parked_reason = 'conflict'"),
];

const FINISHED: &str = "keycloak_id = gen_random_uuid(), synced_at = now(), mail_claimed = 1, mail_served = 1";

/// A user of each kind for each round: whoever is granted a mail is of another kind from then on.
async fn people(system: &System) {
    let make = |(kind, state)| {
        format!(
            "INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at)
             SELECT gen_random_uuid(), '{kind}' || n, '{kind}' || n || '@example.org', 'Ada', 'Lovelace', now()
               FROM generate_series(1, {ROUNDS}) n;
             UPDATE users SET {state} WHERE username LIKE '{kind}%';"
        )
    };
    let granted = "INSERT INTO mail_requests (target_hash, user_id, granted)
                   SELECT '', id, true FROM users WHERE username LIKE 'cooling%';";
    let sql = STATES.map(make).concat() + granted;
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(system.pool()).await.expect("users can be made");
    sqlx::raw_sql("VACUUM ANALYZE").execute(system.pool()).await.expect("the database can be tidied up");
}

/// The mail that is granted, once in a minute, costs two rows more: that one may take up to a third longer.
#[tokio::test]
async fn a_request_for_a_mail_is_answered_alike_and_in_the_same_time_whoever_is_named() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).set("MAIL_REQUEST_COOLDOWN", "1h").start().await;
    people(&system).await;
    let mut asker = Asker::of(&system, "/users/send-password-setup-email");
    let named = |kind: &str, number: usize| match number % 2 {
        0 => json!({ "username": format!("{kind}{number}") }),
        _ => json!({ "email": format!("{kind}{number}@example.org") }),
    };
    // The first ones find nothing prepared, neither here nor there.
    for number in 1..50 {
        asker.ask("unknown", &named("nobody", number)).await;
    }
    let kinds = ["complete", "unknown", "pending", "cooling", "parked"];
    let times = take(ROUNDS, kinds, async |kind, round| asker.ask(kind, &named(kind, round + 1)).await).await;
    let [granted, others @ ..] = times;
    are_alike(&others);
    for other in &others {
        granted.are_about_those_of(other);
    }
    let granted: i64 = sqlx::query_scalar("SELECT count(*) FROM mail_requests WHERE granted AND target_hash <> ''")
        .fetch_one(system.pool())
        .await
        .expect("a count");
    assert_eq!(usize::try_from(granted), Ok(ROUNDS), "the kinds were what they should be");
}

/// The time is that of the password hash, and Keycloak takes it for everybody.
#[tokio::test]
async fn a_login_is_refused_alike_and_in_about_the_same_time_whoever_tries() {
    let realm = Realm::create(1).await;
    let people: [Person; 3] = std::array::from_fn(|_| Person::invent());
    for person in &people {
        realm.create_user(&person.account()).await;
    }
    let [registered, disabled, locked] = &people;
    let system = Plan::on(realm.access()).start().await;
    let fresh = system.register().await;
    system.until(&fresh, "the account exists", |row| row.synced_at.is_some()).await;
    lock_out(&realm, &system, locked).await;
    realm.disable(disabled).await;
    let mut asker = Asker::of(&system, "/auth/token");
    let kinds = ["unknown", "wrong password", "no password yet", "disabled", "locked out"];
    let times = take(LOGINS, kinds, async |kind, _| {
        let (username, password) = match kind {
            "unknown" => ("nobody-at-all", "Wrong-1."),
            "no password yet" => (fresh.username.as_str(), "Wrong-1."),
            "disabled" => (disabled.username.as_str(), disabled.password.as_str()),
            "locked out" => (locked.username.as_str(), locked.password.as_str()),
            _ => (registered.username.as_str(), "Wrong-1."),
        };
        asker.ask(kind, &json!({ "username": username, "password": password })).await;
    });
    let [unknown, known @ ..]: [Times; 5] = times.await;
    for known in &known {
        unknown.are_about_those_of(known);
    }
}

/// For an hour, while others may go wrong as often as they like.
async fn lock_out(realm: &Realm, system: &System, person: &Person) {
    let once = json!({ "failureFactor": 1, "waitIncrementSeconds": 3600, "maxFailureWaitSeconds": 3600 });
    realm.change_realm(&once).await;
    system.log_in(&person.username, "Wrong-1.").await.is_problem(401, "invalid_credentials");
    realm.change_realm(&json!({ "failureFactor": 1000, "quickLoginCheckMilliSeconds": 0 })).await;
    system.log_in(&person.username, &person.password).await.is_problem(401, "invalid_credentials");
}

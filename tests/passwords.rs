//! A password that is chosen at the registration: good once the address is confirmed, and never on somebody else's
//! address; lost at worst, and then the set-up mail asks for another one.

use redis::{AsyncCommands as _, aio::MultiplexedConnection};
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    grouping::{being_taken, until_waiting},
    harness::{
        database::Database,
        eventually::eventually,
        fake_keycloak::{Answer, Endpoint, FakeKeycloak, Fault},
        http,
        keycloak::Realm,
        keycloak_access::KeycloakAccess,
        mail_catcher::MailCatcher,
        mailbox::Mail,
        own_name::own_name,
        process::Binary,
        proxy::Proxy,
        rabbit::Vhost,
        reserved_port::ReservedPort,
        set_up_pages::{BegunLogin, PasswordForm, confirm_address},
        stack::Stack,
        system::{PATIENCE, Plan, Registered, System},
    },
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

async fn is_good_once_the_address_is_confirmed(system: System) -> Mail {
    let user = register(&system, CHOSEN).await;
    assert_eq!(system.until_complete(&user).await.mail_attempts, 1);
    assert_eq!(state(&system, &user).await, "set");

    let answer = system.log_in(&user.username, CHOSEN).await;
    assert_eq!((answer.status, answer.json()["code"].as_str()), (403, Some("account_setup_required")));
    let mail = mails(&user, 1).await.remove(0);
    confirm_address(mail.link()).await;
    system.log_in(&user.username, CHOSEN).await.token("access_token");
    system.stop().await;
    mail
}

#[tokio::test]
async fn a_chosen_password_is_good_once_the_address_is_confirmed_by_our_own_mail() {
    let plan = plan(Realm::shared().access(), 1).by_smtp(Stack::get().smtp_port);
    let mut redis = connect(1).await;
    let mail = is_good_once_the_address_is_confirmed(plan.start().await).await;
    assert_eq!(mail.subject, "Confirm your address for Usher");
    assert!(mail.text.contains("Whoever registered has chosen a password"), "{}", mail.text);
    assert_eq!(how_many(&mut redis).await, 0, "it is erased");
}

#[tokio::test]
async fn a_chosen_password_is_good_once_the_address_is_confirmed_by_keycloaks_mail() {
    let realm = Realm::create(Stack::get().smtp_port).await;
    let mail = is_good_once_the_address_is_confirmed(plan(realm.access(), 0).start().await).await;
    tells_what_the_link_does(&mail);
}

/// Keycloak's own words, which also go to whoever chose no password.
fn tells_what_the_link_does(mail: &Mail) {
    for text in [&mail.text, &mail.html] {
        for words in ["Somebody has registered for Usher", "may have chosen a password", "do not follow the link"] {
            assert!(text.contains(words), "{words} is missing in {text}");
        }
        assert!(text.contains("/login-actions/action-token?key="), "{text}");
    }
}

/// Whoever knows the password can have Keycloak write to the owner of the address, however our own mails leave.
#[tokio::test]
async fn the_mail_of_a_login_before_the_address_is_confirmed_tells_what_the_link_does() {
    let realm = Realm::create(Stack::get().smtp_port).await;
    let system = plan(realm.access(), 0).by_smtp(Stack::get().smtp_port).start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    let login = BegunLogin::with(realm.access(), &user.username, CHOSEN).await;
    assert!(login.page.contains("You need to verify your email address"), "{}", login.page);
    tells_what_the_link_does(&mails(&user, 2).await[1]);
    system.stop().await;
}

/// The attacker knows the password of an account with the victim's address. The victim, who knows nothing of it, asks
/// for a set-up mail and follows it.
#[tokio::test]
async fn nobody_prepares_an_account_on_the_address_of_somebody_else() {
    for plan in [plan(Realm::shared().access(), 0), plan(Realm::shared().access(), 0).by_smtp(Stack::get().smtp_port)] {
        is_kept_out(plan.start().await).await;
    }
}

async fn is_kept_out(system: System) {
    let victim = register(&system, CHOSEN).await;
    system.until_complete(&victim).await;
    let keycloak = Realm::shared();
    let mut begun = BegunLogin::with(keycloak.access(), &victim.username, CHOSEN).await;
    assert!(begun.page.contains("You need to verify your email address"), "{}", begun.page);
    assert_eq!(system.request_mail(&json!({ "email": victim.email })).await.status(), 202);
    // Keycloak mails too, when somebody begins to log in.
    let mails = mails(&victim, 3).await;
    let is_set_up = |mail: &&Mail| ["Set your password for Usher", "Update Your Account"].contains(&&*mail.subject);
    let set_up = mails.iter().find(is_set_up).expect("a set-up mail");

    let attacker = async || system.log_in(&victim.username, CHOSEN).await.status;
    assert_eq!(attacker().await, 401, "from when the mail is there");
    let refused = BegunLogin::with(keycloak.access(), &victim.username, CHOSEN).await.page;
    assert!(refused.contains("Invalid username or password."), "{refused}");
    let form = PasswordForm::open(set_up.link()).await;
    assert_eq!(attacker().await, 401, "the address is confirmed, and no password is set");
    begun.reload().await;
    assert!(!begun.is_let_in(), "{}", begun.page);
    form.send("Of.the.victim.1").await;

    assert_eq!(attacker().await, 401);
    system.log_in(&victim.username, "Of.the.victim.1").await.token("access_token");
    system.stop().await;
}

/// Whoever asks need not be who registered, and would lock out whoever uses the account.
#[tokio::test]
async fn whoever_has_confirmed_the_address_keeps_the_password() {
    let system = plan(Realm::shared().access(), 0).start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    confirm_address(mails(&user, 1).await[0].link()).await;
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    mails(&user, 2).await;
    system.log_in(&user.username, CHOSEN).await.token("access_token");
    system.stop().await;
}

/// What stops in the middle is taken up again, and no mail leaves before the password is gone.
#[tokio::test]
async fn a_set_up_mail_waits_until_the_chosen_password_is_gone() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(keycloak.access(), 0).start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    keycloak.fail_next(Endpoint::ReadUser, 1, Fault::DropBeforeEffect);
    keycloak.fail_next(Endpoint::DeleteUser, 1, Fault::status(500));
    keycloak.fail_next(Endpoint::DeleteUser, 1, Fault::DropAfterEffect);
    let mut gate = keycloak.hold_answer(Endpoint::DeleteUser);
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    gate.reached().await;
    assert_eq!(keycloak.user_by_username(&user.username).map(|account| account.id), None, "nobody to be mailed");
    gate.release();
    let row = system.until_complete(&user).await;
    assert_eq!((row.mail_wanted, row.mail_attempts), (2, 2));
    assert_ne!(password(&keycloak, &user).as_deref(), Some(CHOSEN));
    system.stop().await;
}

#[tokio::test]
async fn whose_account_is_gone_when_its_password_is_to_be_is_parked() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(keycloak.access(), 0).start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    keycloak.delete_user(&keycloak.user_by_username(&user.username).expect("an account").id);
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    assert_eq!(system.until_parked(&user).await.parked_reason.as_deref(), Some("gone_in_keycloak"));
    system.stop().await;
}

/// The one mail that is owed serves the request too, so it must be the one that sets a password.
#[tokio::test]
async fn whoever_asks_for_a_mail_before_the_first_has_left_sets_a_password() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = plan(keycloak.access(), 0).workers(0).start().await;
    let user = register(&system, CHOSEN).await;
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    system.start_worker().await;
    let row = system.until_complete(&user).await;
    assert_eq!((row.mail_wanted, row.mail_attempts), (2, 1));
    let mails = keycloak.mails_to(&user.username);
    assert_eq!(mails[0].actions, ["VERIFY_EMAIL", "UPDATE_PASSWORD"], "{mails:?}");
    system.stop().await;
}

#[tokio::test]
async fn without_redis_a_password_is_refused_and_everybody_else_is_registered() {
    let (keycloak, nobody) = (FakeKeycloak::start().await, ReservedPort::new());
    let address = format!("redis://127.0.0.1:{}/", nobody.number());
    let plan = plan(keycloak.access(), 0).set("REDIS_URL", &address).set("LOG_FORMAT", "json");
    let system = plan.start().await;
    let api = Binary::api().envs(system.settings()).start();
    let system = system.by_way_of(&api).await;
    let username = name();

    let answer = send(&system, &body(&username, CHOSEN)).await;

    assert_eq!(answer.headers()["retry-after"], "5");
    let (status, problem): (_, Value) = (answer.status(), answer.json().await.expect("a problem document"));
    assert_eq!((status, problem["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("password_unavailable")));
    api.until_output_has(r#""code":"password_unavailable""#).await;
    let user = system.register_as(&username).await;
    system.until_complete(&user).await;
    assert_eq!(state(&system, &user).await, Value::Null);
    system.stop().await;
}

/// The answer is stored, and no password has to be kept for it.
#[tokio::test]
async fn without_redis_who_asks_again_is_answered() {
    let keycloak = FakeKeycloak::start().await;
    let proxy = Proxy::start(&Stack::get().redis_url).await;
    let system = plan(keycloak.access(), 0).set("REDIS_URL", &proxy.url()).workers(0).start().await;
    let username = name();
    let keyed = async |key: &str, username: &str| {
        let request = system.post("/users/register", &body(username, CHOSEN)).header("idempotency-key", key);
        let answer = request.send().await.expect("the api answers");
        let replayed = answer.headers().contains_key("idempotent-replayed");
        (answer.status().as_u16(), replayed, answer.json::<Value>().await.expect("JSON"))
    };
    let (status, replayed, first) = keyed("one", &username).await;
    assert_eq!((status, replayed), (201, false), "{first}");
    proxy.cut().await;
    assert_eq!(keyed("one", &username).await, (201, true, first));
    let (status, _, other) = keyed("one", &name()).await;
    assert_eq!((status, &other["code"]), (422, &json!("idempotency_key_reused")));
    let (status, _, new) = keyed("two", &name()).await;
    assert_eq!((status, &new["code"]), (503, &json!("password_unavailable")));
    system.stop().await;
}

#[tokio::test]
async fn where_no_passwords_are_taken_that_is_said() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let answer = send(&system, &body(&name(), CHOSEN)).await;
    let (status, problem): (_, Value) = (answer.status(), answer.json().await.expect("a problem document"));
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        (&problem["errors"][0]["pointer"], &problem["errors"][0]["code"]),
        (&json!("#/password"), &json!("unsupported"))
    );
    system.stop().await;
}

/// All that PostgreSQL has of it.
async fn dump(system: &System) -> String {
    let tables = "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public'";
    let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(system.pool()).await.expect("there are tables");
    let mut dump = String::new();
    for table in tables {
        let rows = sqlx::AssertSqlSafe(format!("SELECT to_jsonb(t)::text FROM {table} t"));
        let rows: Vec<String> = sqlx::query_scalar(rows).fetch_all(system.pool()).await.expect("a table can be read");
        dump.extend(rows);
    }
    dump
}

/// `state` is what must be there instead. Bytes are dumped in hexadecimal.
async fn is_not_in_postgresql(system: &System, state: &str) {
    let dump = dump(system).await.to_lowercase();
    let in_hex = CHOSEN.bytes().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    for password in [&CHOSEN.to_lowercase(), &in_hex] {
        assert!(dump.contains(&format!("\"{state}\"")) && !dump.contains(password), "{dump}");
    }
}

#[tokio::test]
async fn it_is_sealed_for_a_while_and_nothing_is_kept_of_whom_nobody_registered() {
    let keycloak = FakeKeycloak::start().await;
    let mut redis = connect(2).await;
    let mut system = plan(keycloak.access(), 2).workers(0).start().await;
    let user = register(&system, CHOSEN).await;

    let key = format!("usher:password:{}", user.id);
    let sealed: String = redis.get(&key).await.expect("a password waits");
    assert!(sealed.starts_with("development.") && !sealed.contains(CHOSEN), "{sealed}");
    let seconds: i64 = redis.ttl(&key).await.expect("Redis answers");
    assert!((1..=3600).contains(&seconds), "{seconds}");
    is_not_in_postgresql(&system, "waiting").await;

    assert_eq!(send(&system, &body(&user.username, CHOSEN)).await.status(), StatusCode::CONFLICT);
    assert_eq!(how_many(&mut redis).await, 1, "that of the one who was registered");
    system.start_worker().await;
    system.until_complete(&user).await;
    is_not_in_postgresql(&system, "set").await;
    system.stop().await;
}

/// The password is no part of what makes two requests the same: it could be guessed at from what is kept of them.
#[tokio::test]
async fn a_repeated_registration_keeps_the_first_password() {
    let keycloak = FakeKeycloak::start().await;
    let mut redis = connect(3).await;
    let mut system = plan(keycloak.access(), 3).workers(0).start().await;
    let username = name();
    let register = async |password| {
        let request = system.post("/users/register", &body(&username, password)).header("idempotency-key", &username);
        let answer = request.send().await.expect("the api answers");
        assert_eq!(answer.status(), StatusCode::CREATED);
        answer.json::<Value>().await.expect("JSON")["id"].clone()
    };
    let id = register(CHOSEN).await;
    assert_eq!(register("Another.horse.1").await, id);
    assert_eq!(how_many(&mut redis).await, 1);

    system.start_worker().await;
    let id = id.as_str().and_then(|id| id.parse().ok()).expect("an id");
    system.until_complete(&Registered { id, email: format!("{username}@example.org"), username }).await;
    assert!(keycloak.requests(Endpoint::CreateUser)[0].body.contains(CHOSEN), "whose password it is");
    system.stop().await;
}

/// PostgreSQL's answer does not arrive; the user is committed, and is found again by the key.
#[tokio::test]
async fn a_registration_whose_end_nobody_learned_keeps_its_password() {
    let keycloak = FakeKeycloak::start().await;
    let (database, vhost) = (Database::create().await, Vhost::create().await);
    let line = Proxy::start(&database.url()).await;
    let plan = plan(keycloak.access(), 0).workers(0).set("DATABASE_URL", &line.url());
    let mut system = plan.start_with(database, vhost).await;
    let username = name();
    let ask = async || {
        let request = system.post("/users/register", &body(&username, CHOSEN)).header("idempotency-key", &username);
        request.send().await.expect("the api answers")
    };

    let somebody = being_taken(&system, &username).await;
    let withheld = async {
        until_waiting(&system, 1).await;
        line.stall();
        somebody.rollback().await.expect("it can be rolled back");
    };
    let (answer, ()) = tokio::join!(ask(), withheld);
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    let committed = "SELECT id FROM users WHERE username = $1";
    let id: Uuid = sqlx::query_scalar(committed).bind(&username).fetch_one(system.pool()).await.expect("is committed");
    line.restore().await;
    let again =
        eventually("it is answered", PATIENCE, async || Some(ask().await).filter(|it| it.status() == 201)).await;
    assert_eq!(again.json::<Value>().await.expect("JSON")["id"], id.to_string());

    system.start_worker().await;
    let user = Registered { id, email: format!("{username}@example.org"), username };
    system.until_complete(&user).await;
    assert_eq!(state(&system, &user).await, "set");
    system.stop().await;
}

/// Registers, does something to what was kept, and only then lets a worker at it.
async fn after(database: u8, what: impl AsyncFnOnce(&Proxy, &Registered)) -> (String, Vec<String>) {
    let keycloak = FakeKeycloak::start().await;
    let proxy = Proxy::start(&Stack::get().redis_url).await;
    let address = format!("{}/{database}", proxy.url());
    let mut system = plan(keycloak.access(), database).set("REDIS_URL", &address).workers(0).start().await;
    let user = register(&system, CHOSEN).await;
    what(&proxy, &user).await;
    system.start_worker().await;
    system.until_complete(&user).await;
    let state = state(&system, &user).await;
    system.stop().await;
    (state.as_str().expect("a state").to_owned(), keycloak.mails_to(&user.username).remove(0).actions)
}

#[tokio::test]
async fn whose_password_is_gone_gets_the_set_up_mail() {
    let (state, actions) = after(0, async |_, user| {
        let client = redis::Client::open(redis(0)).expect("an address");
        let mut redis = client.get_multiplexed_async_connection().await.expect("Redis answers");
        let erased: usize = redis.del(format!("usher:password:{}", user.id)).await.expect("Redis answers");
        assert_eq!(erased, 1);
    })
    .await;
    assert_eq!((state.as_str(), actions.len()), ("lost", 2));
}

#[tokio::test]
async fn nobody_waits_for_redis_to_come_back() {
    let (state, actions) = after(0, async |proxy, _| proxy.cut().await).await;
    assert_eq!((state.as_str(), actions.len()), ("lost", 2));
}

#[tokio::test]
async fn nobody_waits_for_a_redis_that_hangs() {
    let (state, actions) = after(0, async |proxy, _| proxy.stall()).await;
    assert_eq!((state.as_str(), actions.len()), ("lost", 2));

    let keycloak = FakeKeycloak::start().await;
    let proxy = Proxy::start(&Stack::get().redis_url).await;
    let system = plan(keycloak.access(), 0).set("REDIS_URL", &proxy.url()).workers(0).start().await;
    proxy.stall();
    assert_eq!(send(&system, &body(&name(), CHOSEN)).await.status(), StatusCode::SERVICE_UNAVAILABLE);
    system.register().await;
    system.stop().await;
}

/// The api still seals with the old key while a worker has been told of the new one already.
#[tokio::test]
async fn a_password_sealed_under_the_key_before_is_opened() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(keycloak.access(), 0).workers(0).start().await;
    let user = register(&system, CHOSEN).await;
    let keys = format!("new:{},{}", "A".repeat(43) + "=", Stack::get().password_keys);
    let _worker = Binary::worker().envs(system.settings()).env("PASSWORD_KEYS", keys).start();
    system.until_complete(&user).await;
    assert_eq!(state(&system, &user).await, "set");
    system.stop().await;
}

/// Whoever takes over finds the password waiting, or reads off the account that it has one.
#[tokio::test]
async fn a_worker_that_dies_costs_nobody_a_password() {
    for point in ["provision.claimed:1", "provision.account_made:1", "provision.synced:1"] {
        let keycloak = FakeKeycloak::start().await;
        let mut system = plan(keycloak.access(), 0).hasty().workers(0).start().await;
        let user = register(&system, CHOSEN).await;
        let mut victim = Binary::worker().envs(system.settings()).env("CRASH_AT", point).start();
        assert!(!victim.exit().await.success(), "{}", victim.output());
        system.start_worker().await;
        system.until_complete(&user).await;
        assert_eq!(state(&system, &user).await, "set", "{point}");
        assert_eq!(password(&keycloak, &user).as_deref(), Some(CHOSEN), "{point}");
        assert_eq!(keycloak.mails_to(&user.username)[0].actions, ["VERIFY_EMAIL"], "{point}");
        system.stop().await;
    }
}

/// While the account is made anew, and before the mail: whoever takes over finds an account without the password.
#[tokio::test]
async fn a_worker_that_dies_on_the_way_to_another_account_costs_nobody_the_mail() {
    for point in ["provision.account_made:2", "provision.synced:2", "provision.mail_begun:2"] {
        let keycloak = FakeKeycloak::start().await;
        let mut system = plan(keycloak.access(), 0).hasty().workers(0).start().await;
        let user = register(&system, CHOSEN).await;
        let mut victim = Binary::worker().envs(system.settings()).env("CRASH_AT", point).start();
        system.until_complete(&user).await;
        assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
        assert!(!victim.exit().await.success(), "{}", victim.output());
        system.start_worker().await;
        system.until_complete(&user).await;
        assert_eq!((password(&keycloak, &user), state(&system, &user).await), (None, json!("lost")), "{point}");
        let [mail] = &keycloak.mails_to(&user.username)[..] else { panic!("one mail to the new account: {point}") };
        assert_eq!(mail.actions, ["VERIFY_EMAIL", "UPDATE_PASSWORD"], "{point}");
        system.stop().await;
    }
}

/// What it kept stays sealed under an id that nobody has, until its time is over.
#[tokio::test]
async fn an_api_that_dies_before_the_commit_registers_nobody() {
    let keycloak = FakeKeycloak::start().await;
    let mut redis = connect(5).await;
    let (system, port) = (plan(keycloak.access(), 5).start().await, ReservedPort::new());
    let victim = Binary::api().arg("serve").envs(system.settings()).env("API_LISTEN", port.address().to_string());
    let mut victim = victim.env("CRASH_AT", "registration.before_commit:1").start();
    let username = name();
    let ask = async || {
        let url = format!("http://{}/users/register", port.address());
        let answer = http::client().post(url).json(&body(&username, CHOSEN)).send().await;
        if answer.as_ref().is_err_and(reqwest::Error::is_connect) { Err(answer) } else { Ok(answer) }
    };
    let unanswered = eventually("the request is heard", PATIENCE, ask).await;
    assert!(unanswered.is_err(), "{unanswered:?}");
    assert!(!victim.exit().await.success());
    assert_eq!(how_many(&mut redis).await, 1);
    assert_eq!(send(&system, &body(&username, CHOSEN)).await.status(), StatusCode::CREATED);
    system.stop().await;
}

/// It shows only with the next question that a connection was closed while it was idle.
#[tokio::test]
async fn a_connection_that_was_closed_meanwhile_costs_nobody_a_password() {
    let keycloak = FakeKeycloak::start().await;
    let proxy = Proxy::start(&Stack::get().redis_url).await;
    let system = plan(keycloak.access(), 0).set("REDIS_URL", &proxy.url()).start().await;
    let before = register(&system, CHOSEN).await;
    system.until_complete(&before).await;
    proxy.cut().await;
    proxy.restore().await;
    let after = register(&system, CHOSEN).await;
    system.until_complete(&after).await;
    for user in [&before, &after] {
        assert_eq!(state(&system, user).await, "set");
    }
    system.stop().await;
}

#[tokio::test]
async fn whose_password_the_realm_refuses_gets_the_set_up_mail() {
    let keycloak = FakeKeycloak::start().await;
    let system = plan(keycloak.access(), 0).start().await;
    // By a policy of Keycloak's, and by one that an operator has installed.
    for error in ["invalidPasswordHistoryMessage", "seenInABreach"] {
        let refusal = Answer::new(400).json(json!({ "error": error, "error_description": "Invalid password" }));
        keycloak.fail_next(Endpoint::CreateUser, 1, Fault::Status(refusal));
        let user = register(&system, CHOSEN).await;
        assert_eq!(system.until_complete(&user).await.claim_no, 1, "in the same run");
        assert_eq!(state(&system, &user).await, "refused");
        assert_eq!(keycloak.mails_to(&user.username)[0].actions, ["VERIFY_EMAIL", "UPDATE_PASSWORD"]);
    }
    system.stop().await;
}

#[tokio::test]
async fn an_account_whose_making_was_not_answered_has_the_password() {
    let keycloak = FakeKeycloak::start().await;
    keycloak.fail_next(Endpoint::CreateUser, 1, Fault::DropAfterEffect);
    let system = plan(keycloak.access(), 0).start().await;
    let user = register(&system, CHOSEN).await;
    system.until_complete(&user).await;
    assert_eq!(state(&system, &user).await, "set");
    assert_eq!(keycloak.user_by_username(&user.username).expect("an account").required_actions, ["VERIFY_EMAIL"]);
    assert_eq!(keycloak.mails_to(&user.username)[0].actions, ["VERIFY_EMAIL"]);
    system.stop().await;
}

//! `usher-worker users` and `parked link`: what an operator does about one person, in the rows and in the real Keycloak.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{audited, by_events, objects, operate, park};
use crate::{
    grouping::being_taken,
    harness::{
        eventually::eventually,
        fake_keycloak::FakeKeycloak,
        keycloak::Realm,
        mailbox::Mailbox,
        own_name::own_name,
        system::{PATIENCE, Plan, Registered, System},
    },
};

/// A realm, and a mail server, of the test's own. Events alone lead to workers.
async fn start() -> (Mailbox, Realm, System) {
    let mailbox = Mailbox::start().await;
    let realm = Realm::create(mailbox.port()).await;
    let system = Plan::on(realm.access()).takes_passwords().set("SWEEP_INTERVAL", "1h").start().await;
    (mailbox, realm, system)
}

async fn execute(system: &System, user: &Registered, statement: &'static str) {
    let done = sqlx::query(statement).bind(user.id).execute(system.pool()).await.expect("a row can be written");
    assert_eq!(done.rows_affected(), 1);
}

async fn count(system: &System, statement: &'static str) -> i64 {
    sqlx::query_scalar(statement).fetch_one(system.pool()).await.expect("rows can be counted")
}

/// For somebody else's commit.
async fn until_it_waits(system: &System) {
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
                      AND wait_event_type = 'Lock' AND application_name = 'usher-worker/operator'";
    eventually("the command waits", PATIENCE, async || count(system, waiting).await == 1).await;
}

#[tokio::test]
async fn a_person_is_found_by_each_name_and_the_log_learns_none() {
    let (_mailbox, _realm, system) = start().await;
    let ada = system.register_as("ada").await;
    for name in [ada.id.to_string().as_str(), "ADA", "Ada@Example.org"] {
        let shown = operate(&system, &["users", "show", name, "--json"]).await;
        assert_eq!(objects(&shown)[0]["id"], json!(ada.id), "{name}");
        assert_eq!(audited(&shown), [("users.show".to_owned(), ada.id.to_string(), "shown".to_owned())]);
        assert!(!shown.log.to_lowercase().contains("example.org"), "{}", shown.log);
    }
    assert_eq!(operate(&system, &["users", "show", "nobody@example.org"]).await.code, Some(67));
    system.stop().await;
}

#[tokio::test]
async fn it_shows_when_a_person_is_tried_next() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = by_events(&keycloak).await;
    let complete = system.register().await;
    system.until_complete(&complete).await;
    let (parked, _) = park(&system, &keycloak, "ada").await;
    system.stop_workers().await;
    let overdue = system.register().await;
    let due = "UPDATE users SET next_attempt_at = now() - interval '1 min' WHERE id = $1";
    execute(&system, &overdue, due).await;
    let taken = system.register().await;
    let lease = "UPDATE users SET leased_until = now() + interval '1 h' WHERE id = $1";
    execute(&system, &taken, lease).await;

    for (user, next) in [(complete, "-"), (parked, "-"), (overdue, "due since 2"), (taken, "now")] {
        let shown = operate(&system, &["users", "show", &user.id.to_string()]).await.stdout;
        assert!(shown.contains(&format!("\nnext attempt  {next}")), "{next}: {shown}");
    }
    system.stop().await;
}

#[tokio::test]
async fn a_wrong_address_is_corrected_everywhere_and_the_mail_goes_to_the_right_one() {
    let (mailbox, realm, system) = start().await;
    let ada = system.register_as("ada").await;
    system.until_complete(&ada).await;
    let grace = system.register_as("grace").await;

    let taken = operate(&system, &["users", "correct-email", "ada", "GRACE@example.org"]).await;
    assert!(taken.code == Some(1) && taken.stderr.contains("another user has this address"), "{}", taken.stderr);
    assert_eq!(operate(&system, &["users", "correct-email", "ada", "nowhere"]).await.code, Some(64));

    for _ in 0..2 {
        let corrected = operate(&system, &["users", "correct-email", "ada", "Right@example.org", "--json"]).await;
        assert_eq!(objects(&corrected)[0]["email"], "Right@example.org");
        let told =
            ("users.correct-email".to_owned(), ada.id.to_string(), "address corrected; account: changed".to_owned());
        assert_eq!(audited(&corrected), [told]);
        assert!(!corrected.log.contains("example.org"), "{}", corrected.log);
        eventually("the mail is there", PATIENCE, async || !mailbox.mails_to("right@example.org").is_empty()).await;
    }
    system.until_complete(&ada).await;
    system.until_complete(&grace).await;
    let account = realm.user_by_username("ada").await.expect("the account");
    assert_eq!((&account["email"], &account["emailVerified"]), (&json!("right@example.org"), &json!(false)));
    assert_eq!((&account["firstName"], &account["lastName"]), (&json!("Ada"), &json!("Lovelace")), "nothing else");
    assert_eq!(mailbox.mails_to("ada@example.org").len(), 1);
    system.stop().await;
}

/// It is registered, or taken in Keycloak, after it was looked for: then nothing is changed anywhere.
#[tokio::test]
async fn an_address_that_somebody_takes_meanwhile_is_not_given_to_another() {
    let (_mailbox, realm, system) = start().await;
    let ada = system.register_as("ada").await;
    let before = system.until_complete(&ada).await;
    let grace = being_taken(&system, "grace").await;
    let arguments = ["users", "correct-email", "ada", "grace@elsewhere.example"];
    let taken = async {
        until_it_waits(&system).await;
        grace.commit().await.expect("it can be committed");
    };
    let (refused, ()) = tokio::join!(operate(&system, &arguments), taken);
    assert!(refused.code == Some(1) && refused.stderr.contains("another user has this address"), "{}", refused.stderr);

    let stranger = json!({ "username": "other", "email": "other@example.org", "enabled": true });
    realm.create_user(&stranger).await;
    let refused = operate(&system, &["users", "correct-email", "ada", "other@example.org"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("Keycloak knows another user"), "{}", refused.stderr);

    let (row, account) = (system.row(&ada).await, realm.user_by_username("ada").await.expect("the account"));
    assert_eq!((account["email"].as_str(), row.mail_wanted), (Some("ada@example.org"), before.mail_wanted));
    let shown = objects(&operate(&system, &["users", "show", "ada", "--json"]).await);
    assert_eq!((&shown[0]["email"], &shown[0]["leasedUntil"]), (&json!("ada@example.org"), &Value::Null));
    system.stop().await;
}

#[tokio::test]
async fn a_confirmed_address_is_its_owners_to_change() {
    let (_mailbox, realm, system) = start().await;
    let ada = system.register_as("ada").await;
    let row = system.until_complete(&ada).await;
    let id = row.keycloak_id.expect("an account").to_string();
    realm
        .change_user(
            &id,
            &json!({ "email": "ada@example.org", "firstName": "Ada", "lastName": "Lovelace", "emailVerified": true }),
        )
        .await;
    let refused = operate(&system, &["users", "correct-email", "ada", "mallory@example.org"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("is confirmed"), "{}", refused.stderr);
    let after = system.row(&ada).await;
    assert_eq!((after.mail_wanted, after.leased_until), (1, None), "and it lets go");
    let account = realm.user_by_username("ada").await.expect("the account");
    assert_eq!(account["email"], "ada@example.org");
    system.stop().await;
}

#[tokio::test]
async fn whoever_is_erased_is_gone_everywhere() {
    let (_mailbox, realm, mut system) = start().await;
    let grace = system.register_as("grace").await;
    let body = json!({ "username": "ada", "email": "ada@example.org", "firstName": "Ada", "lastName": "Lovelace" });
    let key = own_name();
    let answer = system.post("/users/register", &body).header("idempotency-key", key).send().await.expect("an answer");
    let answer: Value = answer.json().await.expect("JSON");
    let id: Uuid = answer["id"].as_str().and_then(|id| id.parse().ok()).expect("an id");
    let ada = Registered { id, username: "ada".to_owned(), email: "ada@example.org".to_owned() };
    system.until_complete(&ada).await;
    system.until_complete(&grace).await;
    system.stop_workers().await;
    system.request_mail(&json!({ "email": "ada@example.org" })).await;
    system.request_mail(&json!({ "email": "grace@example.org" })).await;

    let erased = operate(&system, &["users", "erase", &id.to_string(), "--json"]).await;
    assert_eq!(objects(&erased), [json!({ "id": id, "account": "deleted" })]);
    assert_eq!(audited(&erased), [("users.erase".to_owned(), id.to_string(), "erased; account: deleted".to_owned())]);
    assert!(realm.user_by_username("ada").await.is_none() && realm.user_by_username("grace").await.is_some());
    for (table, left) in [
        ("SELECT count(*) FROM users", 1),
        ("SELECT count(*) FROM outbox", 1),
        ("SELECT count(*) FROM mail_requests", 1),
        ("SELECT count(*) FROM idempotency_keys", 0),
    ] {
        assert_eq!(count(&system, table).await, left, "{table}");
    }
    assert_eq!(operate(&system, &["users", "erase", &id.to_string()]).await.code, Some(67));
    assert_eq!(system.try_register("ada", "ada@example.org").await, 201, "the names are free again");
    system.stop().await;
}

#[tokio::test]
async fn an_account_that_is_not_provably_theirs_is_kept() {
    let (_mailbox, realm, system) = start().await;
    realm.create_user(&json!({ "username": "ada", "email": "ada@elsewhere.org", "enabled": true })).await;
    let ada = system.register_as("ada").await;
    system.until_parked(&ada).await;
    execute(&system, &ada, "UPDATE users SET leased_until = now() + interval '1 h' WHERE id = $1").await;
    let busy = operate(&system, &["users", "erase", "ada"]).await;
    assert!(busy.code == Some(1) && busy.stderr.contains("a worker has the user"), "{}", busy.stderr);
    execute(&system, &ada, "UPDATE users SET leased_until = NULL WHERE id = $1").await;
    let erased = operate(&system, &["users", "erase", "ada", "--json"]).await;
    assert_eq!(objects(&erased), [json!({ "id": ada.id, "account": "kept" })]);
    assert!(realm.user_by_username("ada").await.is_some());
    let probe = system.vhost.probe().await;
    eventually("usher.parked forgets", PATIENCE, async || {
        operate(&system, &["parked", "tidy"]).await;
        probe.depth("usher.parked").await == Some(0)
    })
    .await;
    system.stop().await;
}

#[tokio::test]
async fn an_account_is_linked_to_who_has_its_address_and_to_nobody_else() {
    let (mailbox, realm, system) = start().await;
    let taken = realm
        .create_user(
            &json!({ "username": "ada", "email": "ada@elsewhere.org", "emailVerified": true, "enabled": true }),
        )
        .await;
    let ada = system.register_as("ada").await;
    system.until_parked(&ada).await;
    let id = ada.id.to_string();
    let refused = operate(&system, &["parked", "link", &id, &taken, "--yes"]).await;
    assert!(refused.code == Some(1) && refused.stderr.contains("another address"), "{}", refused.stderr);
    assert_eq!(operate(&system, &["parked", "link", &id, &Uuid::now_v7().to_string()]).await.code, Some(67));

    realm.change_user(&taken, &json!({ "email": "ada@example.org", "emailVerified": true })).await;
    let shown = objects(&operate(&system, &["parked", "link", &id, &taken, "--json"]).await);
    assert_eq!((&shown[0]["linked"], &shown[0]["keycloakEmail"]), (&json!(false), &json!("ada@example.org")));
    assert!(system.row(&ada).await.parked_at.is_some(), "only shown");

    let linked = operate(&system, &["parked", "link", &id, &taken, "--yes", "--json"]).await;
    assert_eq!(objects(&linked)[0]["linked"], true);
    assert_eq!(audited(&linked), [("parked.link".to_owned(), id.clone(), "linked".to_owned())]);
    let row = system.row(&ada).await;
    assert!(row.is_complete() && row.keycloak_id.map(|id| id.to_string()) == Some(taken.clone()), "{row:?}");
    assert_eq!(operate(&system, &["parked", "link", &id, &taken, "--yes"]).await.code, Some(1), "not parked any more");
    assert!(mailbox.mails_to("ada@example.org").is_empty(), "it has its own way in");
    system.stop().await;
}

/// Another operator corrects the address between the look and the hold.
#[tokio::test]
async fn nobody_is_linked_by_what_was_true_before() {
    let (_mailbox, realm, system) = start().await;
    let taken = json!({ "username": "ada", "email": "ada@example.org", "emailVerified": true, "enabled": true });
    let taken = realm.create_user(&taken).await;
    let ada = system.register_as("ada").await;
    system.until_parked(&ada).await;
    let mut other = system.pool().begin().await.expect("a transaction begins");
    let correction = sqlx::query("UPDATE users SET email = 'right@example.org' WHERE id = $1").bind(ada.id);
    correction.execute(&mut *other).await.expect("a row can be written");
    let id = ada.id.to_string();
    let arguments = ["parked", "link", &id, &taken, "--yes"];
    let corrected = async {
        until_it_waits(&system).await;
        other.commit().await.expect("it can be committed");
    };
    let (refused, ()) = tokio::join!(operate(&system, &arguments), corrected);
    assert!(refused.code == Some(1) && refused.stderr.contains("another address"), "{}", refused.stderr);
    let row = system.row(&ada).await;
    assert!(row.parked_at.is_some() && row.leased_until.is_none(), "{row:?}");
    system.stop().await;
}

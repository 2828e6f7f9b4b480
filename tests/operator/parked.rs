//! `usher-worker parked`: who was given up is seen, and comes back when the operator says so.

use serde_json::{Value, json};
use shared::store::parked::{self, Replay};
use uuid::Uuid;

use super::{audited, by_events, command, objects, operate, park};
use crate::{
    harness::{
        database::Database,
        eventually::eventually,
        fake_keycloak::{Endpoint, FakeKeycloak},
        process::Binary,
        rabbit::Probe,
        system::{PATIENCE, Registered, System},
    },
    relay::assert_conforms,
    topology,
};

async fn until_told(probe: &Probe, number: u32) {
    let what = format!("usher.parked speaks of {number}");
    eventually(&what, PATIENCE, async || match probe.depth("usher.parked").await {
        Some(depth) if depth == number => Ok(()),
        depth => Err(depth),
    })
    .await;
}

/// What the workers have begun is done, and they are gone.
async fn until_nothing_moves(system: &mut System) {
    eventually("all is published", PATIENCE, async || system.outbox_depth().await == 0).await;
    system.stop_workers().await;
}

async fn execute(system: &System, user: &Registered, statement: &'static str) {
    let done = sqlx::query(statement).bind(user.id).execute(system.pool()).await.expect("a row can be written");
    assert_eq!(done.rows_affected(), 1);
}

/// Everything of a row that a command could change.
async fn whole_row(system: &System, user: &Registered) -> Value {
    let row = sqlx::query_scalar("SELECT to_jsonb(users) FROM users WHERE id = $1").bind(user.id);
    row.fetch_one(system.pool()).await.expect("the row can be read")
}

#[tokio::test]
async fn the_parked_are_listed_with_their_reasons() {
    let keycloak = FakeKeycloak::start().await;
    let system = by_events(&keycloak).await;
    assert_eq!(operate(&system, &["parked", "list"]).await.stdout, "nobody is parked\n");
    assert_eq!(operate(&system, &["parked", "list", "--json"]).await.stdout, "");

    let (ada, _) = park(&system, &keycloak, "ada").await;
    let (grace, _) = park(&system, &keycloak, "grace").await;
    execute(&system, &grace, "UPDATE users SET parked_reason = 'mail_refused' WHERE id = $1").await;
    let list = objects(&operate(&system, &["parked", "list", "--json"]).await);
    let row = system.row(&ada).await;
    assert_eq!(list.len(), 2, "{list:?}");
    assert_eq!(
        list[0],
        json!({ "id": ada.id, "reason": "conflict", "parkedAt": row.parked_at, "lastError": row.last_error,
                "parkedForSeconds": list[0]["parkedForSeconds"] })
    );
    assert!(list[0]["parkedForSeconds"].is_u64() && row.last_error.is_some(), "{list:?}");

    let table = operate(&system, &["parked", "list", "--reason", "mail_refused"]).await.stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines.len() == 2 && lines[0].starts_with("USER") && lines[1].starts_with(&grace.id.to_string()), "{table}");
    let first = operate(&system, &["parked", "list", "--limit", "1", "--json"]).await;
    assert_eq!(objects(&first)[0]["id"], json!(ada.id), "who waits longest comes first");
    assert!(first.stderr.contains("there are more"), "{}", first.stderr);
    system.stop().await;
}

#[tokio::test]
async fn one_user_is_shown_whole_to_the_operator_and_not_to_the_log() {
    let keycloak = FakeKeycloak::start().await;
    let system = by_events(&keycloak).await;
    let (ada, _) = park(&system, &keycloak, "ada").await;
    let id = ada.id.to_string();
    let shown = operate(&system, &["parked", "show", &id, "--json"]).await;
    let [person] = objects(&shown).try_into().expect("one object");
    for (name, value) in [("id", id.as_str()), ("status", "parked"), ("username", "ada"), ("email", &ada.email)] {
        assert_eq!(person[name], value, "{person}");
    }
    for (name, value) in [("firstName", "Ada"), ("lastName", "Lovelace"), ("parkedReason", "conflict")] {
        assert_eq!(person[name], value, "{person}");
    }
    for name in ["locale", "leasedUntil", "keycloakId", "keycloakRealm", "syncedAt", "passwordState", "mailSentAt"] {
        assert_eq!(person.get(name), Some(&Value::Null), "{name}: {person}");
    }
    assert_eq!((&person["mailWanted"], &person["mailServed"]), (&json!(1), &json!(0)));
    assert_eq!(audited(&shown), [("parked.show".to_owned(), id.clone(), "shown".to_owned())]);

    let table = operate(&system, &["parked", "show", &id]).await;
    assert!(table.stdout.contains("ada@example.org") && table.stdout.contains("conflict, since "), "{}", table.stdout);
    for told in [&shown.log, &shown.stderr, &table.log, &table.stderr] {
        for personal in ["ada", "Ada", "Lovelace", "@"] {
            assert!(!told.contains(personal), "{personal} stands in {told}");
        }
    }
    system.stop().await;
}

#[tokio::test]
async fn a_replayed_user_is_on_the_way_at_once_and_out_of_the_queue() {
    let keycloak = FakeKeycloak::start().await;
    let system = by_events(&keycloak).await;
    let probe = system.vhost.probe().await;
    topology::declare_on(&system.vhost).await;
    probe.declare_queue("own", &json!({})).await;
    probe.bind("own", "usher.events", "user.replayed").await;
    let (ada, stranger) = park(&system, &keycloak, "ada").await;
    let (grace, _) = park(&system, &keycloak, "grace").await;
    until_told(&probe, 2).await;

    keycloak.delete_user(&stranger);
    let id = ada.id.to_string();
    let replayed = operate(&system, &["parked", "replay", &id, "--json"]).await;
    assert_eq!(objects(&replayed), [json!({ "id": ada.id, "outcome": "replayed", "reason": "conflict" })]);
    assert_eq!(audited(&replayed), [("parked.replay".to_owned(), id.clone(), "replayed".to_owned())]);
    // The sweep comes in an hour.
    system.until_complete(&ada).await;
    assert_eq!(keycloak.mails_to("ada").len(), 1);
    assert_conforms(&probe.get("own").await.expect("the event"), "user.replayed");

    until_told(&probe, 1).await;
    let message = probe.get("usher.parked").await.expect("who still waits");
    assert_eq!(message.json()["userId"], json!(grace.id));
    system.stop().await;
}

#[tokio::test]
async fn to_replay_twice_changes_nothing_more() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = by_events(&keycloak).await;
    let (ada, _) = park(&system, &keycloak, "ada").await;
    let id = ada.id.to_string();
    // Nobody takes the event up in between.
    until_nothing_moves(&mut system).await;
    let before = system.row(&ada).await;
    objects(&operate(&system, &["parked", "replay", &id, "--json"]).await);
    let row = system.row(&ada).await;
    assert_eq!(
        (row.parked_at, row.parked_reason.as_deref(), row.attempts, row.last_error.as_deref()),
        (None, None, 0, None)
    );
    assert_eq!(row.claim_no, before.claim_no + 1, "whatever an old run still writes, it writes in vain");
    assert_eq!(system.outbox_depth().await, 1);

    let whole = whole_row(&system, &ada).await;
    let again = operate(&system, &["parked", "replay", &id, "--json"]).await;
    assert_eq!(objects(&again), [json!({ "id": ada.id, "outcome": "notParked", "reason": null })]);
    assert_eq!(operate(&system, &["parked", "replay", "--all"]).await.stdout, "nobody is replayed\n");
    assert_eq!((whole_row(&system, &ada).await, system.outbox_depth().await), (whole, 1));
    system.stop().await;
}

#[tokio::test]
async fn all_of_one_reason_are_replayed_and_nobody_else() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = by_events(&keycloak).await;
    let mut users = Vec::new();
    for username in ["ada", "grace", "edsger"] {
        users.push(park(&system, &keycloak, username).await.0);
    }
    until_nothing_moves(&mut system).await;
    execute(&system, &users[2], "UPDATE users SET parked_reason = 'budget_spent' WHERE id = $1").await;
    let others = whole_row(&system, &users[2]).await;
    let replayed = objects(&operate(&system, &["parked", "replay", "--all", "--reason", "conflict", "--json"]).await);
    let ids: Vec<&Value> = replayed.iter().map(|line| &line["id"]).collect();
    assert_eq!(ids, [&json!(users[0].id), &json!(users[1].id)]);
    assert_eq!(whole_row(&system, &users[2]).await, others);
    system.stop().await;
}

/// Each takes what the other leaves, however often they wait for each other, and neither ends before all are replayed.
#[tokio::test]
async fn two_replays_at_once_take_everybody_once() {
    let database = Database::create().await;
    let many =
        "INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at, parked_at, parked_reason)
                SELECT gen_random_uuid(), 'ada' || n, n || '@example.org', 'Ada', 'Lovelace', now(), now(), 'conflict'
                  FROM generate_series(1, 3500) AS n";
    sqlx::query(many).execute(database.pool()).await.expect("rows can be written");
    let replay = async || {
        let replayed = parked::replay(database.pool(), Replay::default()).await.expect("a replay");
        let left: i64 = sqlx::query_scalar("SELECT count(*) FROM users WHERE parked_at IS NOT NULL")
            .fetch_one(database.pool())
            .await
            .expect("they can be counted");
        (replayed.len(), left)
    };
    let ((one, left), (other, left_by_other)) = tokio::join!(replay(), replay());
    assert_eq!((one + other, left, left_by_other), (3_500, 0, 0), "{one} and {other}");
    let events: i64 = sqlx::query_scalar("SELECT count(DISTINCT user_id) FROM outbox")
        .fetch_one(database.pool())
        .await
        .expect("they can be counted");
    assert_eq!(events, 3_500);
}

/// By the code nobody parked is leased; an operator's word must not rely on that.
#[tokio::test]
async fn who_is_leased_is_left_alone() {
    let keycloak = FakeKeycloak::start().await;
    let system = by_events(&keycloak).await;
    let (ada, _) = park(&system, &keycloak, "ada").await;
    execute(&system, &ada, "UPDATE users SET leased_until = now() + interval '1 h' WHERE id = $1").await;
    let before = whole_row(&system, &ada).await;
    let replayed = operate(&system, &["parked", "replay", &ada.id.to_string(), "--json"]).await;
    assert_eq!(replayed.code, Some(1), "{}", replayed.stderr);
    assert!(replayed.stdout.contains("\"outcome\":\"leased\""), "{}", replayed.stdout);
    assert_eq!(operate(&system, &["parked", "replay", "--all"]).await.stdout, "nobody is replayed\n");
    assert_eq!(whole_row(&system, &ada).await, before);
    system.stop().await;
}

#[tokio::test]
async fn nobody_who_was_deleted_in_keycloak_comes_back_without_a_word() {
    let keycloak = FakeKeycloak::start().await;
    let system = by_events(&keycloak).await;
    let ada = system.register_as("ada").await;
    system.until_complete(&ada).await;
    keycloak.delete_user(&keycloak.user_by_username("ada").expect("the account").id);
    system.request_mail(&json!({ "username": "ada" })).await;
    let parked = system.until_parked(&ada).await;
    assert_eq!(parked.parked_reason.as_deref(), Some("gone_in_keycloak"));

    let id = ada.id.to_string();
    objects(&operate(&system, &["parked", "replay", &id, "--json"]).await);
    let again = system.until(&ada, "parked again", |row| row.parked_at > parked.parked_at).await;
    assert_eq!((again.parked_reason.as_deref(), again.keycloak_id), (Some("gone_in_keycloak"), parked.keycloak_id));
    assert_eq!(keycloak.requests(Endpoint::CreateUser).len(), 1, "nobody was made anew");

    objects(&operate(&system, &["parked", "replay", &id, "--recreate", "--json"]).await);
    let back = system.until_complete(&ada).await;
    assert_ne!(back.keycloak_id, parked.keycloak_id);
    assert_eq!(keycloak.mails_to("ada").len(), 1, "to the new account");
    system.stop().await;
}

/// As it is before an account is made for the first time: whatever is found then has a password only if it shows it.
#[tokio::test]
async fn whoever_is_made_anew_waits_for_a_password_again() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = by_events(&keycloak).await;
    let users = [system.register_as("ada").await, system.register_as("grace").await];
    for user in &users {
        system.until_complete(user).await;
    }
    system.stop_workers().await;
    execute(&system, &users[0], "UPDATE users SET password_state = 'set' WHERE id = $1").await;
    for user in &users {
        let parked = "UPDATE users SET parked_at = now(), parked_reason = 'gone_in_keycloak' WHERE id = $1";
        execute(&system, user, parked).await;
    }
    objects(&operate(&system, &["parked", "replay", "--all", "--recreate", "--json"]).await);
    let states = [whole_row(&system, &users[0]).await, whole_row(&system, &users[1]).await];
    assert_eq!(states.map(|row| row["password_state"].clone()), [json!("waiting"), Value::Null]);
    system.stop().await;
}

/// `--recreate` is a word about the deleted alone.
#[tokio::test]
async fn an_account_that_is_there_is_kept() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = by_events(&keycloak).await;
    let ada = system.register_as("ada").await;
    let complete = system.until_complete(&ada).await;
    system.stop_workers().await;
    let parked = "UPDATE users SET parked_at = now(), parked_reason = 'mail_refused' WHERE id = $1";
    execute(&system, &ada, parked).await;
    objects(&operate(&system, &["parked", "replay", "--all", "--recreate", "--json"]).await);
    let row = system.row(&ada).await;
    assert_eq!((row.keycloak_id, row.synced_at), (complete.keycloak_id, complete.synced_at));
    system.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_away_keeps_nobody_parked() {
    let keycloak = FakeKeycloak::start().await;
    let system = by_events(&keycloak).await;
    let probe = system.vhost.probe().await;
    let (ada, stranger) = park(&system, &keycloak, "ada").await;
    until_told(&probe, 1).await;
    keycloak.delete_user(&stranger);
    let id = ada.id.to_string();
    let replayed = command(&system, &["parked", "replay", &id, "--json"])
        .env("AMQP_URL", "amqp://127.0.0.1:1/nobody")
        .finish()
        .await;
    assert_eq!(replayed.code, Some(1));
    assert!(replayed.stdout.contains("replayed") && replayed.stderr.contains("parked tidy"), "{}", replayed.stderr);
    system.until_complete(&ada).await;

    probe.publish("usher.events", "user.parked", b"not ours", lapin::BasicProperties::default()).await;
    let tidied = objects(&operate(&system, &["parked", "tidy", "--json"]).await);
    assert_eq!(tidied, [json!({ "removed": 1, "kept": 1 })]);
    until_told(&probe, 1).await;
    assert_eq!(probe.get("usher.parked").await.expect("it stays").body, b"not ours");
    system.stop().await;
}

#[tokio::test]
async fn every_end_has_its_exit_code() {
    let keycloak = FakeKeycloak::start().await;
    let system = by_events(&keycloak).await;
    let (ada, _) = park(&system, &keycloak, "ada").await;
    let nobody = Uuid::now_v7().to_string();
    for (arguments, code) in [
        (vec!["parked", "show", nobody.as_str()], 67),
        (vec!["parked", "replay", &nobody], 67),
        (vec!["parked", "replay"], 64),
        (vec!["parked", "replay", "ada"], 64),
        (vec!["parked", "replay", &nobody, "--all"], 64),
        (vec!["parked", "replay", "--reason", "conflict"], 64),
        (vec!["parked", "list", "--reason", "confilct"], 64),
        (vec!["parked", "list", "--help"], 0),
        (vec!["no-such-command"], 64),
    ] {
        let ended = operate(&system, &arguments).await;
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}{}", ended.stdout, ended.stderr);
    }
    let unset = Binary::worker().args(&["parked", "replay", "--all"]).finish().await;
    assert_eq!(unset.code, Some(64));
    assert!(unset.stderr.contains("DATABASE_URL") && unset.stderr.contains("AMQP_URL"), "{}", unset.stderr);
    assert!(!unset.stderr.contains("KEYCLOAK"), "it needs no Keycloak: {}", unset.stderr);
    let list = Binary::worker().args(&["parked", "list"]).env("DATABASE_URL", "postgres://127.0.0.1:1/none");
    assert_eq!(list.finish().await.code, Some(1));

    // Nobody listens, and it is done all the same.
    let unread = command(&system, &["parked", "replay", &ada.id.to_string()]).finish_unread().await;
    assert_eq!((unread.code, unread.stderr.contains("panicked")), (Some(0), false), "{}", unread.stderr);
    assert!(system.row(&ada).await.claim_no > 1);
    for arguments in [&["parked", "list"][..], &["--help"], &["parked", "show", &ada.id.to_string()]] {
        let unread = command(&system, arguments).finish_unread().await;
        assert_eq!((unread.code, unread.stderr.contains("panicked")), (Some(0), false), "{}", unread.stderr);
    }
    system.stop().await;
}

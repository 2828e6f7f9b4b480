//! The relay publishes exactly what was committed, and no event makes another one wait.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use shared::store::outbox;
use sqlx::{Executor as _, PgPool, postgres::PgPoolOptions};
use uuid::Uuid;

use crate::{
    harness::{
        database::Database,
        eventually::eventually,
        fake_keycloak::FakeKeycloak,
        proxy::Proxy,
        rabbit::{Message, Probe, Vhost},
        system::{PATIENCE, Plan, Registered, System},
    },
    topology,
};

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Where only events lead to Keycloak. The sweep never comes round to make up for anything, so on a busy machine nobody
/// may lose a lease or wait in vain for a connection.
fn by_events_alone(keycloak: &FakeKeycloak) -> Plan {
    let plan = Plan::on(keycloak.access()).set("SWEEP_INTERVAL", "1h");
    plan.set("PROVISION_LEASE", "1m").set("PROVISION_CONCURRENCY", "2")
}

/// A queue `own` that gets a copy of every event with this key, as another service would have it.
async fn own_queue(vhost: &Vhost, key: &str) -> Probe {
    topology::declare_on(vhost).await;
    let probe = vhost.probe().await;
    probe.declare_queue("own", &json!({})).await;
    probe.bind("own", "usher.events", key).await;
    probe
}

async fn register_many(system: &System, number: usize) -> Vec<Registered> {
    let mut users = Vec::new();
    for _ in 0..number {
        users.push(system.register().await);
    }
    users
}

async fn until_all_complete(system: &System, users: &[Registered]) {
    for user in users {
        let row = system.until_complete(user).await;
        assert_eq!((row.claim_no, row.mail_attempts), (1, 1), "copies of events do nothing");
    }
}

async fn until_all_published(system: &System) {
    eventually("the outbox is empty", PATIENCE, async || match system.outbox_depth().await {
        0 => Ok(()),
        depth => Err(depth),
    })
    .await;
}

/// An event whose cause this test does not need.
async fn insert_event(system: &System, event_type: &str) -> Uuid {
    insert_event_on(system.pool(), event_type).await
}

async fn insert_event_on(pool: &PgPool, event_type: &str) -> Uuid {
    let (event, user) = (Uuid::now_v7(), Uuid::now_v7());
    let data = json!({ "version": 1, "userId": user, "cause": "conflict" });
    sqlx::query("INSERT INTO outbox (event_id, event_type, user_id, data) VALUES ($1, $2, $3, $4)")
        .bind(event)
        .bind(event_type)
        .bind(user)
        .bind(data)
        .execute(pool)
        .await
        .expect("an event can be inserted");
    event
}

/// Holds all events back for so long.
async fn set_not_before(system: &System, delay: &str) {
    let held = sqlx::query("UPDATE outbox SET not_before = now() + $1::interval").bind(delay).execute(system.pool());
    held.await.expect("events can be held back");
}

async fn committed_events(system: &System) -> BTreeSet<String> {
    let ids: Vec<Uuid> =
        sqlx::query_scalar("SELECT event_id FROM outbox").fetch_all(system.pool()).await.expect("events can be read");
    ids.into_iter().map(|id| id.to_string()).collect()
}

/// Each message exactly once, or the panic shows how often.
fn ids_of(messages: &[Message]) -> BTreeSet<String> {
    let mut times = BTreeMap::<String, usize>::new();
    for message in messages {
        *times.entry(message.message_id().to_owned()).or_default() += 1;
    }
    assert!(times.values().all(|times| *times == 1), "published more than once: {times:?}");
    times.into_keys().collect()
}

/// One try that cost an event something, as [`note_refusals`] writes it down.
#[derive(Debug, sqlx::FromRow)]
struct Refusal {
    event_type: String,
    tries: i32,
    /// Seconds until the next try: those that were left when the row was written, and those since its transaction
    /// began. What the relay chose lies in between.
    from_then: f64,
    from_the_claim: f64,
}

/// From now on the database remembers each event that is put back: by looking from outside one would miss some.
async fn note_refusals(system: &System) {
    let notes = "
        CREATE TABLE refusals (event_type text, tries int, from_then float8, from_the_claim float8);
        CREATE FUNCTION note_refusal() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO refusals VALUES (NEW.event_type, NEW.tries,
                extract(epoch FROM NEW.not_before - clock_timestamp()), extract(epoch FROM NEW.not_before - now()));
            RETURN NULL;
        END $$;
        CREATE TRIGGER note_refusal AFTER INSERT ON outbox
            FOR EACH ROW WHEN (NEW.tries > 0) EXECUTE FUNCTION note_refusal();";
    system.pool().execute(notes).await.expect("the table is ours");
}

async fn refusals(system: &System) -> Vec<Refusal> {
    sqlx::query_as("SELECT event_type, tries, from_then, from_the_claim FROM refusals ORDER BY tries")
        .fetch_all(system.pool())
        .await
        .expect("refusals can be read")
}

/// Waits until every event that is left was refused so often that the backoff has reached its ceiling.
async fn until_refused_often(system: &System) {
    eventually("what is left was refused again and again", PATIENCE, async || {
        let tries: Vec<i32> =
            sqlx::query_scalar("SELECT tries FROM outbox").fetch_all(system.pool()).await.expect("tries can be read");
        if !tries.is_empty() && tries.iter().all(|tries| *tries >= 5) { Ok(()) } else { Err(tries) }
    })
    .await;
}

/// Only events of this type were ever refused, and each waited as long as the harness's backoff (200 ms to 2 s) says.
async fn assert_refused_with_backoff(system: &System, event_type: &str) {
    for refusal in refusals(system).await {
        assert_eq!(refusal.event_type, event_type, "a neighbour was made to wait: {refusal:?}");
        let ceiling = (0.2 * 2_f64.powi(refusal.tries - 1)).min(2.0);
        assert!(refusal.from_the_claim > ceiling / 2.0 - 0.001, "too soon: {refusal:?}");
        assert!(refusal.from_then < ceiling + 0.001, "too late: {refusal:?}");
    }
}

#[tokio::test]
async fn what_was_committed_is_published_once_and_nothing_else() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = by_events_alone(&keycloak).workers(0).start().await;
    let probe = own_queue(&system.vhost, "#").await;
    let users = register_many(&system, 20).await;
    let committed = committed_events(&system).await;
    assert_eq!(committed.len(), users.len());
    let mut open = system.pool().begin().await.expect("a transaction");
    open.execute(
        "INSERT INTO outbox (event_id, event_type, user_id, data)
         SELECT gen_random_uuid(), event_type, user_id, data FROM outbox LIMIT 1",
    )
    .await
    .expect("an event that is never committed");

    system.start_worker().await;
    until_all_complete(&system, &users).await;
    until_all_published(&system).await;
    open.rollback().await.expect("nothing happened");

    let messages = probe.drain("own").await;
    assert_eq!(ids_of(&messages), committed);
    let subjects: BTreeSet<&str> = messages.iter().filter_map(|it| it.headers["cloudEvents_subject"].get(..)).collect();
    assert_eq!(
        subjects,
        users.iter().map(|user| user.id.to_string()).collect::<Vec<_>>().iter().map(String::as_str).collect()
    );
    system.stop().await;
}

#[tokio::test]
async fn a_broker_that_is_down_at_the_commit_costs_no_event_a_try() {
    let keycloak = FakeKeycloak::start().await;
    let vhost = Vhost::create().await;
    let line = Proxy::start(&vhost.amqp_url()).await;
    let system = by_events_alone(&keycloak).set("AMQP_URL", &line.url()).start_on(vhost).await;
    let probe = own_queue(&system.vhost, "user.created").await;
    note_refusals(&system).await;
    // Someone who is served shows that the worker was connected, and loses the connection while it runs.
    let before = system.register().await;
    until_all_complete(&system, &[before]).await;
    until_all_published(&system).await;
    probe.purge("own").await;

    line.cut().await;
    let users = register_many(&system, 5).await;
    let committed = committed_events(&system).await;
    assert_eq!(committed.len(), 5, "nothing can be published");
    line.restore().await;

    until_all_complete(&system, &users).await;
    until_all_published(&system).await;
    assert_eq!(ids_of(&probe.drain("own").await), committed);
    assert!(refusals(&system).await.is_empty(), "an outage is no answer about an event");
    system.stop().await;
}

#[tokio::test]
async fn a_broker_that_never_confirms_does_not_hold_an_event_for_ever() {
    let keycloak = FakeKeycloak::start().await;
    let vhost = Vhost::create().await;
    let line = Proxy::start(&vhost.amqp_url()).await;
    // The heartbeat would end the connection first.
    let plan = by_events_alone(&keycloak).set("AMQP_CONFIRM_TIMEOUT", "300ms").set("AMQP_HEARTBEAT", "1m");
    let system = plan.set("AMQP_URL", &line.url()).start_on(vhost).await;
    note_refusals(&system).await;
    let before = system.register().await;
    until_all_complete(&system, &[before]).await;

    line.stall();
    let user = system.register().await;
    eventually("the event is put back", PATIENCE, async || !refusals(&system).await.is_empty()).await;
    line.restore().await;
    until_all_complete(&system, &[user]).await;
    until_all_published(&system).await;
    assert_refused_with_backoff(&system, "user.created").await;
    system.stop().await;
}

#[tokio::test]
async fn a_foreign_queue_that_refuses_makes_nobody_wait() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = by_events_alone(&keycloak).workers(0).start().await;
    topology::declare_on(&system.vhost).await;
    let probe = system.vhost.probe().await;
    probe.declare_queue("foreign", &json!({ "x-max-length": 1, "x-overflow": "reject-publish" })).await;
    probe.bind("foreign", "usher.events", "user.created").await;
    note_refusals(&system).await;
    // All in one batch.
    let users = register_many(&system, 5).await;
    for _ in 0..5 {
        insert_event(&system, "user.parked").await;
    }

    system.start_worker().await;
    // Our own queue has taken what the foreign one refused.
    until_all_complete(&system, &users).await;
    until_refused_often(&system).await;
    insert_event(&system, "user.parked").await;
    eventually("the neighbours are published", PATIENCE, async || probe.depth("usher.parked").await == Some(6)).await;
    assert_refused_with_backoff(&system, "user.created").await;

    probe.delete_queue("foreign").await;
    until_all_published(&system).await;
    until_all_complete(&system, &users).await;
    system.stop().await;
}

#[tokio::test]
async fn an_event_that_no_queue_takes_waits_without_delaying_another() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = by_events_alone(&keycloak).workers(0).start().await;
    topology::declare_on(&system.vhost).await;
    note_refusals(&system).await;
    let unheard_of = insert_event(&system, "user.unheard-of").await;
    let users = register_many(&system, 5).await;

    system.start_worker().await;
    until_all_complete(&system, &users).await;
    until_refused_often(&system).await;
    assert_eq!(committed_events(&system).await, BTreeSet::from([unheard_of.to_string()]), "the same event still");
    assert_refused_with_backoff(&system, "user.unheard-of").await;

    let probe = own_queue(&system.vhost, "user.unheard-of").await;
    until_all_published(&system).await;
    assert_eq!(ids_of(&probe.drain("own").await), BTreeSet::from([unheard_of.to_string()]));
    system.stop().await;
}

#[tokio::test]
async fn a_queue_that_somebody_deleted_is_made_again() {
    let keycloak = FakeKeycloak::start().await;
    // As slow as in production: the broker needs a moment to tell the consumer before the queue is there again.
    let system = by_events_alone(&keycloak).set("RELAY_RETRY_BASE", "1s").start().await;
    let before = system.register().await;
    until_all_complete(&system, &[before]).await;
    let probe = system.vhost.probe().await;

    // More than once: whether a broker tells its consumers in time is a race.
    for _ in 0..3 {
        // One that we consume, and one that only the relay misses.
        probe.delete_queue("usher.user-created").await;
        probe.delete_queue("usher.parked").await;
        let user = system.register().await;
        let parked = insert_event(&system, "user.parked").await;
        until_all_complete(&system, &[user]).await;
        eventually("the queue is there again", PATIENCE, async || probe.depth("usher.parked").await == Some(1)).await;
        assert_eq!(ids_of(&probe.drain("usher.parked").await), BTreeSet::from([parked.to_string()]));
    }
    until_all_published(&system).await;
    system.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_relays_publish_each_event_once() {
    let keycloak = FakeKeycloak::start().await;
    // Small batches: the relays meet often.
    let mut system = by_events_alone(&keycloak).set("RELAY_BATCH", "7").workers(0).start().await;
    let probe = own_queue(&system.vhost, "user.created").await;
    let users = register_many(&system, 100).await;
    set_not_before(&system, "1 h").await;
    for _ in 0..2 {
        system.start_worker().await;
    }
    eventually("both are there", PATIENCE, async || probe.consumers("usher.user-created").await == Some(2)).await;
    set_not_before(&system, "0").await;

    until_all_complete(&system, &users).await;
    until_all_published(&system).await;

    let messages = probe.drain("own").await;
    assert_eq!(ids_of(&messages).len(), 100);
    system.stop().await;
}

#[tokio::test]
async fn messages_are_what_the_asyncapi_document_says() {
    let keycloak = FakeKeycloak::start().await;
    let mut system = by_events_alone(&keycloak).workers(0).start().await;
    let probe = own_queue(&system.vhost, "#").await;
    let user = system.register_as("ada-lovelace").await;
    keycloak.create_user(&json!({ "username": user.username, "email": "someone.else@example.org", "enabled": true }));
    sqlx::query("UPDATE outbox SET trace_context = $1")
        .bind(json!({ "traceparent": TRACEPARENT }))
        .execute(system.pool())
        .await
        .expect("the event is traced");

    system.start_worker().await;
    system.until_parked(&user).await;
    until_all_published(&system).await;

    let messages = probe.drain("own").await;
    let [created, parked] = messages.as_slice() else { panic!("two events, not {messages:?}") };
    for (message, event_type) in [(created, "user.created"), (parked, "user.parked")] {
        assert_conforms(message, event_type);
        assert_eq!((message.exchange.as_str(), message.routing_key.as_str()), ("usher.events", event_type));
        assert_eq!(message.headers["cloudEvents_id"], message.message_id());
        assert_eq!(message.headers["cloudEvents_subject"], user.id.to_string());
        assert_eq!(message.json()["userId"], user.id.to_string());
    }
    assert_eq!(created.headers["traceparent"], TRACEPARENT);
    system.stop().await;
}

pub(crate) fn assert_conforms(message: &Message, event_type: &str) {
    let document: Value =
        serde_json::from_str(include_str!("../docs/asyncapi.json")).expect("the AsyncAPI document is JSON");
    let description = &document["components"]["messages"][event_type];
    let properties = &message.properties;
    let text = |value: &Option<lapin::types::ShortString>| value.as_ref().map(ToString::to_string);
    let properties = json!({
        "content_type": text(properties.content_type()),
        "message_id": text(properties.message_id()),
        "type": text(properties.kind()),
        "app_id": text(properties.app_id()),
        "delivery_mode": properties.delivery_mode(),
        "timestamp": properties.timestamp(),
    });
    for (part, instance) in
        [("headers", json!(message.headers)), ("payload", message.json()), ("x-amqp-properties", properties)]
    {
        let schema = jsonschema::validator_for(&description[part]).expect("a JSON schema");
        let faults: Vec<_> = schema.iter_errors(&instance).map(|fault| fault.to_string()).collect();
        assert!(faults.is_empty(), "{event_type}, {part}: {faults:?} in {instance}");
    }
}

/// The database hangs just when a claim opens its transaction, and whoever claimed gives up waiting. The session that it
/// was opened on is used again, and what is written there must be committed.
#[tokio::test]
async fn a_claim_that_is_given_up_leaves_no_session_in_a_transaction() {
    let database = Database::create().await;
    let line = Proxy::start(&database.url()).await;
    // Not asked before it is used: the first thing to meet the hanging server is the BEGIN.
    let options = PgPoolOptions::new().max_connections(1).test_before_acquire(false);
    let pool = options.connect(&line.url()).await.expect("the server is there");
    eventually("the session rests", PATIENCE, async || pool.num_idle() == 1).await;
    line.stall();
    tokio::select! {
        _ = outbox::claim(&pool, 10, 0) => panic!("nothing was answered"),
        () = eventually("the claim has the session", PATIENCE, async || pool.num_idle() == 0) => {}
    }
    line.restore().await;

    insert_event_on(&pool, "user.created").await;
    let written = "SELECT count(*) FROM outbox";
    let written: i64 = sqlx::query_scalar(written).fetch_one(database.pool()).await.expect("a count");
    assert_eq!(written, 1, "others do not see what was written");
}

//! Migrations: any number of processes at once, once each, and every column explained.

use futures_util::future::join_all;
use shared::store::{self, SessionLimits};
use sqlx::Executor as _;
use uuid::Uuid;

use crate::harness::{
    database::Database,
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    own_name::own_name,
    process::Binary,
    system::{PATIENCE, Plan, Registered},
};

#[tokio::test]
async fn many_replicas_may_migrate_at_once() {
    let database = Database::empty().await;
    let exits = join_all((0..5).map(|_| async {
        let mut migration = Binary::api().arg("migrate").env("DATABASE_URL", database.url()).start();
        let exit = migration.exit().await;
        (exit.success(), migration.output())
    }))
    .await;
    assert!(exits.iter().all(|(success, _)| *success), "{exits:?}");
    let pool = store::connect(&database.url().into(), 1, SessionLimits::API, "test").expect("the address is good");
    assert!(store::schema_is_current(&pool).await.expect("the database answers"));
}

#[tokio::test]
async fn a_database_with_a_lower_case_of_its_own_is_refused() {
    for (language, is_good) in [("de", true), ("tr", false)] {
        let database = Database::empty_in(language).await;
        let mut migration = Binary::api().arg("migrate").env("DATABASE_URL", database.url()).start();
        assert_eq!(migration.exit().await.success(), is_good, "{language}: {}", migration.output());
        assert!(is_good || migration.output().contains("create it with another"), "{}", migration.output());
    }
}

#[tokio::test]
async fn a_newer_schema_is_no_fault() {
    let database = Database::create().await;
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (99991231235959, 'of a later release', true, '', 0)";
    sqlx::query(newer).execute(database.pool()).await.expect("the table is there");
    let pool = store::connect(&database.url().into(), 1, SessionLimits::API, "test").expect("the address is good");
    store::migrate(&pool).await.expect("an older binary starts beside a newer schema");
    assert!(store::schema_is_current(&pool).await.expect("the database answers"));
}

/// As in a rollout that replaced the workers before it migrated.
#[tokio::test]
async fn a_worker_waits_for_the_schema_that_it_writes_to() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).workers(0).start().await;
    let user = system.register().await;
    let older = "ALTER TABLE users DROP COLUMN mail_answered, DROP COLUMN locale, DROP COLUMN password_state,
                     DROP COLUMN traceparent, DROP COLUMN kept_at, DROP COLUMN expiring_at;
                 DELETE FROM _sqlx_migrations WHERE version >= 20261125000000";
    system.pool().execute(older).await.expect("the schema can be put back");
    let worker = Binary::worker().arg("run").envs(system.settings()).start();
    worker.until_output_has("the schema is older than this binary").await;
    let probe = system.vhost.probe().await;
    eventually("the event waits in the queue", PATIENCE, async || {
        let depth = probe.depth("usher.user-created").await;
        if depth == Some(1) { Ok(()) } else { Err(depth) }
    })
    .await;

    let pool =
        store::connect(&system.database.url().into(), 1, SessionLimits::API, "test").expect("the address is good");
    store::migrate(&pool).await.expect("the schema can be brought up to date");
    assert_eq!(system.until_complete(&user).await.mail_attempts, 1);
}

/// As in a rollout that replaced the workers before the apis. The statement is the one of the first release, as it was.
#[tokio::test]
async fn whom_an_api_of_the_first_release_registers_is_served() {
    let keycloak = FakeKeycloak::start().await;
    let system = Plan::on(keycloak.access()).start().await;
    let username = own_name().replace('_', "-");
    let user = Registered { id: Uuid::now_v7(), email: format!("{username}@example.org"), username };
    let statement = "WITH new_user AS (
                         INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at)
                         VALUES ($1, $2, $3, 'Ada', 'Lovelace', now() + interval '1 h') RETURNING id)
                     INSERT INTO outbox (event_id, event_type, user_id, data, trace_context)
                     SELECT gen_random_uuid(), 'user.created', id, jsonb_build_object('version', 1, 'userId', id), '{}'
                       FROM new_user";
    let insert = sqlx::query(statement).bind(user.id).bind(&user.username).bind(&user.email);
    insert.execute(system.pool()).await.expect("what an older api writes is taken");
    let row = system.until_complete(&user).await;
    assert_eq!((row.claim_no, row.mail_attempts), (1, 1), "by its event, at the first go");
    system.stop().await;
}

#[tokio::test]
async fn every_column_says_what_it_is() {
    let database = Database::create().await;
    let silent: Vec<String> = sqlx::query_scalar(
        "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
          WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace AND c.relname <> '_sqlx_migrations' AND a.attnum > 0 AND NOT a.attisdropped
            AND col_description(c.oid, a.attnum) IS NULL",
    )
    .fetch_all(database.pool())
    .await
    .expect("the catalogue answers");
    assert_eq!(silent, Vec::<String>::new());
}

/// The sweep must cost the same with a thousand and with ten million finished users.
#[tokio::test]
async fn who_is_due_is_found_by_an_index_of_the_open_ones() {
    let database = Database::create().await;
    let many = "INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at, keycloak_id,
                                   keycloak_realm, synced_at, mail_served, mail_sent_at)
                SELECT gen_random_uuid(), 'user' || n, 'user' || n || '@example.org', 'A', 'B', now(),
                       gen_random_uuid(), 'usher', now(), 1, now()
                  FROM generate_series(1, 20000) n";
    sqlx::query(many).execute(database.pool()).await.expect("rows can be inserted");
    sqlx::query("ANALYZE users").execute(database.pool()).await.expect("the table can be analysed");
    let plan: Vec<String> = sqlx::query_scalar(
        "EXPLAIN SELECT id FROM users
          WHERE parked_at IS NULL AND (synced_at IS NULL OR mail_wanted > mail_served) AND next_attempt_at <= now()
          ORDER BY next_attempt_at LIMIT 16",
    )
    .fetch_all(database.pool())
    .await
    .expect("the plan can be asked for");
    assert!(plan.iter().any(|line| line.contains("users_due_idx")), "{plan:#?}");
}

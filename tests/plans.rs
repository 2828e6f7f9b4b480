//! The five statements that are asked all the time use their indexes among a hundred thousand users and events, also by
//! the plans that a session made when there was nobody, which it keeps.
//!
//! They are the store's own, as `.sqlx/` keeps them. Their plans go to `.dev/plans.md`, from where they are copied by hand
//! to `docs/benchmarks/plans.md`.

use std::fs;

use serde_json::Value;
use shared::store::{self, SessionLimits};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::harness::{database::Database, source};

struct Hot {
    name: &'static str,
    /// What stands in this statement and in no other.
    has: &'static str,
    /// For its parameters.
    with: &'static str,
    /// What its plan must name.
    index: &'static str,
}

const SOMEBODY: &str = "'00000000-0000-7000-8000-000000000007'";

const HOT: [Hot; 5] = [
    Hot {
        name: "Register a user",
        has: "WITH new_user AS",
        with: "gen_random_uuid(), 'ada', 'ada@example.org', 'Ada', 'Lovelace', 15, gen_random_uuid(), 'user.created',
               '{}', '{}', NULL, NULL, 0, NULL, NULL",
        index: "Insert on users",
    },
    Hot { name: "The relay claims events", has: "DELETE FROM outbox o", with: "512, 0", index: "outbox_pkey" },
    Hot {
        name: "The sweep finds who is due",
        has: "ORDER BY next_attempt_at\n         LIMIT $1",
        with: "16, true",
        index: "users_due_idx",
    },
    Hot {
        name: "A worker claims a user",
        has: "SET claim_no = claim_no + 1",
        with: "$somebody, 30, true",
        index: "users_pkey",
    },
    Hot { name: "A user is marked served", has: "SET mail_served = $3", with: "$somebody, 0, 1", index: "users_pkey" },
];

/// A session that is not told otherwise plans a statement anew five times, and then perhaps no more.
const UNTIL_KEPT: usize = 6;

/// Almost all of them are complete, as in a year's time.
const MANY: &str = "
    INSERT INTO users (id, username, email, first_name, last_name, next_attempt_at, keycloak_id, keycloak_realm, synced_at,
                       mail_served, mail_sent_at)
    SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'user' || n, 'user' || n || '@example.org',
           'Ada', 'Lovelace', now(), gen_random_uuid(), 'usher', now(), CASE WHEN n % 1000 = 7 THEN 0 ELSE 1 END, now()
      FROM generate_series(1, 100000) n;
    UPDATE users SET leased_until = now() + interval '1 h' WHERE id = '00000000-0000-7000-8000-000000001007';
    INSERT INTO outbox (event_id, event_type, user_id, data)
    SELECT gen_random_uuid(), 'user.created', id, '{}' FROM users";

#[tokio::test]
async fn what_is_asked_all_the_time_uses_its_indexes() {
    let database = Database::create().await;
    let mut owner = PgConnection::connect(&database.url()).await.expect("the database is there");
    // An empty table that was vacuumed looks as if to read all of it cost nothing.
    owner.execute("VACUUM (ANALYZE) users, outbox").await.expect("empty tables can be vacuumed");
    let (mut session, statements) = (session(&database).await, statements());
    for (number, hot) in HOT.iter().enumerate() {
        let statement = statements.iter().find(|statement| statement.contains(hot.has)).expect(hot.name);
        let prepare = format!("PREPARE hot_{number} AS {statement}");
        session.execute(AssertSqlSafe(prepare)).await.expect("the store's own");
        for _ in 0..UNTIL_KEPT {
            plan(&mut session, number).await;
        }
    }
    owner.execute(MANY).await.expect("rows can be inserted");
    for (number, hot) in HOT.iter().enumerate() {
        uses_its_index(hot, &plan(&mut session, number).await);
    }
    owner.execute("ANALYZE").await.expect("rows can be counted");
    let mut page = String::new();
    for (number, hot) in HOT.iter().enumerate() {
        let plan = plan(&mut session, number).await;
        uses_its_index(hot, &plan);
        page.extend(["## ", hot.name, "\n\n```\n", &plan, "\n```\n\n"]);
    }
    fs::write(source::root().join(".dev/plans.md"), page).expect("a page can be written");
}

/// As api and worker have them.
async fn session(database: &Database) -> PgConnection {
    let pool = store::connect(&database.url().into(), 1, SessionLimits::WORKER, "test").expect("an address");
    pool.acquire().await.expect("the database is there").detach()
}

fn uses_its_index(hot: &Hot, plan: &str) {
    let reads_all = plan.contains("Seq Scan") || plan.contains("Sort");
    assert!(plan.contains(hot.index) && !reads_all, "{}:\n{plan}", hot.name);
}

/// Of a statement of [`HOT`], without its changes.
async fn plan(session: &mut PgConnection, number: usize) -> String {
    let mut transaction = session.begin().await.expect("a transaction");
    let with = HOT[number].with.replace("$somebody", SOMEBODY);
    let explain = AssertSqlSafe(format!("EXPLAIN (ANALYZE, BUFFERS) EXECUTE hot_{number}({with})"));
    let plan: Vec<String> = sqlx::query_scalar(explain).fetch_all(&mut *transaction).await.expect("a plan");
    transaction.rollback().await.expect("nothing is kept");
    plan.join("\n")
}

/// As `sqlx` has them.
fn statements() -> Vec<String> {
    let files = fs::read_dir(source::root().join(".sqlx")).expect("the store's statements are kept").flatten();
    let read = |file: fs::DirEntry| fs::read_to_string(file.path()).expect("a statement can be read");
    let statements = files.map(|file| serde_json::from_str::<Value>(&read(file)).expect("as sqlx wrote it"));
    statements.map(|statement| statement["query"].as_str().expect("as sqlx wrote it").to_owned()).collect()
}

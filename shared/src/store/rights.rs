//! Whether the role that we log in as may do what the worker does. Looks, and changes nothing.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgPool;

use super::{MIGRATOR, StoreError, session::lend, within};

/// A table, and what a role is not allowed to do with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacking {
    pub table: String,
    pub right: String,
}

/// What a worker's statements need: rows are locked for an update, so that takes the right to update.
const OF_A_WORKER: [(&str, &str); 7] = [
    ("users", "SELECT"),
    ("users", "UPDATE"),
    ("outbox", "SELECT"),
    ("outbox", "INSERT"),
    ("outbox", "UPDATE"),
    ("outbox", "DELETE"),
    ("_sqlx_migrations", "SELECT"),
];

/// What erasing a person needs beside that. Rows are looked for before they are deleted.
const FOR_ERASURE: [(&str, &str); 5] = [
    ("users", "DELETE"),
    ("mail_requests", "SELECT"),
    ("mail_requests", "DELETE"),
    ("idempotency_keys", "SELECT"),
    ("idempotency_keys", "DELETE"),
];

/// What the role lacks for the work of a worker.
pub async fn lacking_for_work(pool: &PgPool) -> Result<Vec<Lacking>, StoreError> {
    lacking(pool, &OF_A_WORKER).await
}

/// What the role lacks to erase a person, by an operator's command or when a registration expires.
pub async fn lacking_for_erasure(pool: &PgPool) -> Result<Vec<Lacking>, StoreError> {
    lacking(pool, &FOR_ERASURE).await
}

/// A table that is not there lacks nothing: the migrations are asked for it.
async fn lacking(pool: &PgPool, wanted: &[(&str, &str)]) -> Result<Vec<Lacking>, StoreError> {
    let (tables, rights): (Vec<_>, Vec<_>) =
        wanted.iter().map(|(table, right)| ((*table).to_owned(), (*right).to_owned())).unzip();
    let rows = sqlx::query!(
        r#"
        SELECT wanted.name AS "table!", wanted.privilege AS "right!"
          FROM unnest($1::text[], $2::text[]) AS wanted(name, privilege)
         WHERE NOT has_table_privilege(to_regclass(wanted.name), wanted.privilege)
        "#,
        &tables,
        &rights,
    );
    let rows = within("look up the rights of the role", rows.fetch_all(&mut *lend(pool).await?)).await?;
    Ok(rows.into_iter().map(|row| Lacking { table: row.table, right: row.right }).collect())
}

/// The migrations that this binary knows and the database has not had, oldest first.
pub async fn missing_migrations(pool: &PgPool) -> Result<Vec<i64>, StoreError> {
    let known: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
    let there = sqlx::query_scalar!(r#"SELECT to_regclass('_sqlx_migrations') IS NOT NULL AS "there!""#);
    if !within("look for the migrations", there.fetch_one(&mut *lend(pool).await?)).await? {
        return Ok(known);
    }
    let applied = sqlx::query_scalar!("SELECT version FROM _sqlx_migrations WHERE success");
    let applied = within("read the migrations", applied.fetch_all(&mut *lend(pool).await?)).await?;
    Ok(known.into_iter().filter(|version| !applied.contains(version)).collect())
}

/// What the server says of itself.
#[derive(Debug)]
pub struct Server {
    pub version: String,
    pub role: String,
    pub now: DateTime<Utc>,
    /// How long the question took.
    pub took: Duration,
}

pub async fn server(pool: &PgPool) -> Result<Server, StoreError> {
    // Connected before, so that the time it took is the question's alone.
    let mut session = lend(pool).await?;
    let began = std::time::Instant::now();
    let question = sqlx::query!(
        r#"SELECT current_setting('server_version') AS "version!", current_user::text AS "role!", now() AS "now!""#
    );
    let row = within("ask the database for its time", question.fetch_one(&mut *session)).await?;
    Ok(Server { version: row.version, role: row.role, now: row.now, took: began.elapsed() })
}

//! A `PostgreSQL` database of the test's own.
//!
//! The migrations run once for each process, in a template; a test gets a copy of its files. A server allows 100
//! connections by default, and every test that runs brings its own pools: keep them small.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection, PgPool, postgres::PgPoolOptions};
use tokio::sync::OnceCell;
use url::Url;

use super::{
    cleanup::clean_up,
    own_name::{is_left_over, own_name},
    stack::Stack,
};

pub struct Database {
    /// `None`: on a server of the test's own, which goes with it.
    name: Option<String>,
    url: String,
    pool: PgPool,
}

impl Database {
    /// With every migration applied.
    pub async fn create() -> Self {
        static TEMPLATE: OnceCell<String> = OnceCell::const_new();
        let template = TEMPLATE.get_or_init(migrated_template).await;
        Self::new(&format!("TEMPLATE {template}")).await
    }

    /// Before the first migration.
    pub async fn empty() -> Self {
        Self::new("TEMPLATE template1").await
    }

    /// Before the first migration, in a language of ICU's.
    pub async fn empty_in(language: &str) -> Self {
        Self::new(&format!("TEMPLATE template0 LOCALE_PROVIDER icu ICU_LOCALE '{language}'")).await
    }

    /// On a server of the test's own.
    pub async fn at(url: &str) -> Self {
        let database = Self { name: None, url: url.to_owned(), pool: pool(url) };
        shared::store::MIGRATOR.run(&database.pool).await.expect("the migrations apply to an empty database");
        database
    }

    async fn new(options: &str) -> Self {
        let name = own_name();
        execute(&format!("CREATE DATABASE {name} {options}")).await;
        let url = url_of(&name);
        Self { name: Some(name), pool: pool(&url), url }
    }

    pub fn name(&self) -> &str {
        self.name.as_deref().expect("a database of the stack has a name")
    }

    pub fn url(&self) -> String {
        self.url.clone()
    }

    pub fn pool(&self) -> &PgPool {
        &self.pool
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(name) = self.name.take() else { return };
        // FORCE ends the connections of whoever is still there: this pool, and processes that are about to be killed.
        clean_up(async move { execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await });
    }
}

fn pool(url: &str) -> PgPool {
    PgPoolOptions::new()
        .max_connections(3)
        .acquire_timeout(Duration::from_secs(10))
        .connect_lazy(url)
        .expect("DATABASE_URL is an address of PostgreSQL")
}

async fn migrated_template() -> String {
    drop_left_overs().await;
    let name = own_name();
    execute(&format!("CREATE DATABASE {name}")).await;
    let mut connection = PgConnection::connect(&url_of(&name)).await.expect("the template takes connections");
    shared::store::MIGRATOR.run(&mut connection).await.expect("the migrations apply to an empty database");
    // A template is only copied while nobody is connected to it.
    connection.close().await.expect("the template can be left");
    name
}

/// Templates, for one, have nobody to drop them at the end of a process.
async fn drop_left_overs() {
    let mut server = connect().await;
    let names: Vec<String> = sqlx::query_scalar(
        "SELECT datname FROM pg_database WHERE datname LIKE 'usher\\_test\\_%'
            AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE pg_stat_activity.datname = pg_database.datname)",
    )
    .fetch_all(&mut server)
    .await
    .expect("the databases can be listed");
    for name in names.iter().filter(|name| is_left_over(name)) {
        // Another process may be doing the same.
        let dropped = server.execute(AssertSqlSafe(format!("DROP DATABASE IF EXISTS {name}"))).await;
        if let Err(error) = dropped {
            eprintln!("the left-over database {name} stays: {error}");
        }
    }
}

async fn execute(statement: &str) {
    let mut server = connect().await;
    server.execute(AssertSqlSafe(statement.to_owned())).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
}

async fn connect() -> PgConnection {
    PgConnection::connect(&url_of("postgres"))
        .await
        .unwrap_or_else(|error| panic!("no PostgreSQL at DATABASE_URL: {error}; run `cargo dev test`"))
}

fn url_of(database: &str) -> String {
    let mut url = Url::parse(&Stack::get().database_url).expect("DATABASE_URL is an address");
    url.set_path(database);
    url.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::harness::eventually::eventually;

    #[tokio::test]
    async fn a_test_owns_its_database() {
        let (one, other) = (Database::create().await, Database::create().await);
        let name = |pool: PgPool| async move {
            sqlx::query_scalar::<_, String>("SELECT current_database()")
                .fetch_one(&pool)
                .await
                .expect("a database answers")
        };
        assert_ne!(name(one.pool().clone()).await, name(other.pool().clone()).await);
        sqlx::query("SELECT id FROM users").execute(one.pool()).await.expect("the migrations have run");

        let dropped = one.name().to_owned();
        drop(one);
        eventually("the database is dropped", Duration::from_secs(20), async || {
            let left: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_database WHERE datname = $1")
                .bind(&dropped)
                .fetch_one(other.pool())
                .await
                .expect("the databases can be counted");
            left == 0
        })
        .await;
    }
}

//! The rights that the documentation gives to the logins of Usher are enough for a whole way, erasing included.

use std::fs;

use lapin::BasicProperties;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::harness::{
    database::Database,
    eventually::eventually,
    fake_keycloak::FakeKeycloak,
    process::Binary,
    rabbit::{Vhost, documented_rights},
    source::root,
    system::{PATIENCE, Plan, System},
};

#[tokio::test]
async fn a_role_that_changes_no_tables_is_enough() {
    let database = Database::create().await;
    let role = format!("{}_run", database.name());
    for statement in sql_of_the_role().replace("usher_run", &role).split_inclusive(';') {
        database.pool().execute(AssertSqlSafe(statement.to_owned())).await.expect("the owner may grant it");
    }
    let url = format!("{}?options=-crole%3D{role}", database.url());
    let keycloak = FakeKeycloak::start().await;
    let plan = Plan::on(keycloak.access()).set("DATABASE_URL", &url).set("REGISTRATION_EXPIRES", "1d");
    let system = plan.start_with(database, Vhost::create().await).await;
    let mut session = PgConnection::connect(&url).await.expect("the role may log in");
    let who: String = sqlx::query_scalar("SELECT current_user").fetch_one(&mut session).await.expect("it is told");
    assert_eq!(who, role);
    whole_way(&system).await;
    for statement in ["DROP OWNED BY", "DROP ROLE"] {
        let statement = format!("{statement} {role}");
        system.pool().execute(AssertSqlSafe(statement)).await.expect("nothing of the role is left");
    }
    system.stop().await;
}

#[tokio::test]
async fn a_login_for_its_own_names_is_enough() {
    let (keycloak, vhost) = (FakeKeycloak::start().await, Vhost::create().await);
    let rights = documented_rights("usher-worker");
    let address = vhost.address_for(rights.each_ref().map(String::as_str)).await;
    let system = Plan::on(keycloak.access()).set("AMQP_URL", &address).start_on(vhost).await;
    whole_way(&system).await;
    let probe = system.vhost.probe().await;
    probe.publish("", "usher.user-created", b"nothing of ours", BasicProperties::default()).await;
    let is_dead = async || probe.depth("usher.user-created.dead").await == Some(1);
    eventually("what nobody can read is a dead letter", PATIENCE, is_dead).await;
    system.stop().await;
}

/// From the registration to the mail; then whatever else touches a table.
async fn whole_way(system: &System) {
    let user = system.register().await;
    system.until_complete(&user).await;
    assert_eq!(system.request_mail(&json!({ "username": user.username })).await.status(), 202);
    system.until_complete(&user).await;
    // The sweep may have come before the worker's connection to RabbitMQ.
    let probe = system.vhost.probe().await;
    eventually("the queues are declared", PATIENCE, async || probe.depth("usher.parked").await == Some(0)).await;
    let commands = [&["status"][..], &["parked", "list"], &["users", "show", "NAME"], &["users", "erase", "NAME"]];
    for command in commands {
        let arguments: Vec<_> = command.iter().map(|it| if *it == "NAME" { &*user.username } else { it }).collect();
        let finished = Binary::worker().args(&arguments).envs(system.settings()).finish().await;
        assert_eq!(finished.code, Some(0), "{arguments:?}: {}{}", finished.stdout, finished.stderr);
    }
}

fn sql_of_the_role() -> String {
    let text = fs::read_to_string(root().join("docs/security.md")).expect("the page is there");
    let blocks = text.split("```sql\n").skip(1).filter_map(|block| block.split("```").next());
    let block = blocks.into_iter().find(|block| block.contains("CREATE ROLE usher_run"));
    block.expect("it shows the role").trim().to_owned()
}

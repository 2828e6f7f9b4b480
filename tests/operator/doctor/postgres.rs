//! Faults of PostgreSQL.

use super::Patient;
use crate::harness::{database::Database, reserved_port::ReservedPort};

#[tokio::test]
async fn a_database_that_is_away_or_another_one_is_found() {
    let patient = Patient::healthy().await;
    let port = ReservedPort::new();
    let away = format!("postgres://usher:usher@{}/usher", port.address());
    patient.examine_with(&[("DATABASE_URL", &away)]).await.has_fault("postgresql", "connection", "start PostgreSQL");

    let none = patient.database.url().replace(patient.database.name(), "no_such_database");
    let diagnosis = patient.examine_with(&[("DATABASE_URL", &none)]).await;
    diagnosis.has_fault("postgresql", "connection", "there is no such database");
}

/// It still answers all that is only read.
#[tokio::test]
async fn a_database_that_may_only_be_read_is_found() {
    let patient = Patient::healthy().await;
    let read_only = format!("{}?options=-cdefault_transaction_read_only%3Don", patient.database.url());
    let diagnosis = patient.examine_with(&[("DATABASE_URL", &read_only)]).await;
    diagnosis.has_fault("postgresql", "writing", "default_transaction_read_only");
    assert_eq!(diagnosis.of("postgresql", "migrations")["state"], "ok");
}

#[tokio::test]
async fn missing_migrations_are_found() {
    let patient = Patient::healthy().await;
    let empty = Database::empty().await;
    let diagnosis = patient.examine_with(&[("DATABASE_URL", &empty.url())]).await;
    diagnosis.has_fault("postgresql", "migrations", "usher-api migrate");

    sqlx::query("DELETE FROM _sqlx_migrations WHERE version = (SELECT max(version) FROM _sqlx_migrations)")
        .execute(patient.database.pool())
        .await
        .expect("a migration can be forgotten");
    patient.examine().await.has_fault("postgresql", "migrations", "usher-api migrate");
}

/// As a role that every server has, and that may only read.
#[tokio::test]
async fn a_role_with_too_few_rights_is_found() {
    let patient = Patient::healthy().await;
    let reader = format!("{}?options=-crole%3Dpg_read_all_data", patient.database.url());
    let diagnosis = patient.examine_with(&[("DATABASE_URL", &reader)]).await;
    diagnosis.has_fault("postgresql", "rights of the role", "GRANT UPDATE ON users TO \"pg_read_all_data\";");
    diagnosis.has("warning", "postgresql", "rights for users erase", "GRANT DELETE ON users");
    let by_itself = [("DATABASE_URL", reader.as_str()), ("REGISTRATION_EXPIRES", "720h")];
    patient.examine_with(&by_itself).await.has_fault("postgresql", "rights for users erase", "GRANT DELETE ON users");
    assert_eq!(diagnosis.of("postgresql", "migrations")["state"], "ok");
}

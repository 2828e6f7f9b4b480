//! One user held fast, and whose the account in Keycloak is.

use anyhow::{Context as _, bail};
use shared::{
    domain::user::UserId,
    store::{
        hold::{self, Held},
        person::{self, Named, Person},
    },
};
use sqlx::PgPool;

use super::NoSuchUser;
use crate::keycloak::{client::KeycloakClient, error::KeycloakError, users::FoundAccount};

/// The account that bears a person's names, or that the row knows of.
pub(super) enum Whose {
    Nobody,
    /// By the millisecond of the registration: provably made for this person.
    Ours(FoundAccount),
    SomebodyElses,
}

/// A person on whom nobody else works: no worker, no other operator.
pub(super) async fn hold(pool: &PgPool, name: &str) -> anyhow::Result<(Held, Person)> {
    let id = person::find(pool, name).await?.ok_or(NoSuchUser)?.id;
    let held = hold::take(pool, id).await?.context("a worker has the user: try again later")?;
    Ok((held, person::find(pool, Named::from(id)).await?.ok_or(NoSuchUser)?))
}

/// Lets go of whom a command that failed had held; the minute of the hold does it otherwise.
pub(super) async fn or_let_go<T>(pool: &PgPool, held: Held, done: anyhow::Result<T>) -> anyhow::Result<T> {
    if done.is_err() {
        hold::let_go(pool, held).await.ok();
    }
    done
}

pub(super) async fn whose(keycloak: &KeycloakClient, person: &Person) -> anyhow::Result<Whose> {
    if let Some(realm) = person.keycloak_realm.as_ref().filter(|realm| *realm != keycloak.realm()) {
        bail!("the account is in the realm {realm}, and KEYCLOAK_REALM names another one");
    }
    let Some(account) = find(keycloak, person).await? else { return Ok(Whose::Nobody) };
    let names_alike = [account.username == person.username, account.has_email(&person.email)];
    // Who has the id in the row may have changed one of the names since.
    let enough = if person.keycloak_id.is_some() { names_alike.contains(&true) } else { !names_alike.contains(&false) };
    let is_ours = enough && account.was_made_with(person.progress.created_at);
    Ok(if is_ours { Whose::Ours(account) } else { Whose::SomebodyElses })
}

async fn find(keycloak: &KeycloakClient, person: &Person) -> Result<Option<FoundAccount>, KeycloakError> {
    if let Some(id) = person.keycloak_id {
        return keycloak.find_by_id(id).await;
    }
    match keycloak.find_by_username(&person.username).await? {
        Some(account) => Ok(Some(account)),
        None => keycloak.find_by_email(&person.email).await,
    }
}

/// For a message that names nobody.
pub(super) fn gone_meanwhile(id: UserId) -> anyhow::Error {
    anyhow::anyhow!("the hold on {id} ended before the work did: run it again")
}

//! Whose the account in Keycloak is that bears a person's names.

use anyhow::bail;
use shared::store::person::Person;

use crate::keycloak::{client::KeycloakClient, error::KeycloakError, users::FoundAccount};

/// The account that bears a person's names, or that the row knows of.
pub enum Whose {
    Nobody,
    /// By the millisecond of the registration: provably made for this person.
    Ours(FoundAccount),
    SomebodyElses,
}

pub async fn whose(keycloak: &KeycloakClient, person: &Person) -> anyhow::Result<Whose> {
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

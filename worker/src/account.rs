//! Making sure that a user has exactly one account, and that it is the user's own.

use shared::store::provisioning::ClaimedUser;
use uuid::Uuid;

use crate::{
    keycloak::{client::KeycloakClient, error::KeycloakError, users::FoundAccount},
    outcome::Failure,
};

/// Creates the account, or finds the one that an earlier try created.
///
/// Creating comes first: looking first would cost every user a question, and prove nothing about the moment after.
pub async fn ensure(keycloak: &KeycloakClient, user: &ClaimedUser) -> Result<Uuid, Failure> {
    let error = match keycloak.create(user).await {
        Ok(id) => return Ok(id),
        Err(error) if !error.may_have_happened() => return Err(Failure::Account(error)),
        Err(error) => error,
    };
    if let Some(found) = look_up(keycloak, user, &error).await.map_err(Failure::Account)? {
        return if found.is_of(user) { Ok(found.id) } else { Err(Failure::Conflict) };
    }
    if !error.is_transient() {
        return Err(Failure::Account(error));
    }
    // Keycloak answers and does not know the user, so the unclear try had no effect.
    keycloak.create(user).await.map_err(Failure::Account)
}

/// Whoever has the username; and if Keycloak said that somebody has something of ours, whoever has the address.
async fn look_up(
    keycloak: &KeycloakClient,
    user: &ClaimedUser,
    error: &KeycloakError,
) -> Result<Option<FoundAccount>, KeycloakError> {
    let by_username = keycloak.find_by_username(&user.username).await?;
    if by_username.is_some() || !matches!(error, KeycloakError::Taken { .. }) {
        return Ok(by_username);
    }
    keycloak.find_by_email(&user.email).await
}

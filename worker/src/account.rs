//! Making sure that a user has exactly one account, and that it is the user's own.

use secrecy::SecretString;
use shared::{crash_point::CrashPoint, domain::user::PasswordState, store::provisioning::ClaimedUser};
use uuid::Uuid;

use crate::{
    keycloak::{client::KeycloakClient, error::KeycloakError, users::FoundAccount},
    outcome::Failure,
};

/// An account of the user's own.
#[derive(Debug, PartialEq, Eq)]
pub struct Made {
    pub id: Uuid,
    /// What became of a password that was chosen at the registration.
    pub password: Option<PasswordState>,
}

/// Creates the account with the `password` that was chosen for it, if there is one still, and if the realm takes it.
pub async fn ensure(
    keycloak: &KeycloakClient,
    user: &ClaimedUser,
    password: Option<&SecretString>,
) -> Result<Made, Failure> {
    match ensure_with(keycloak, user, password).await {
        // By the realm's policy, or by anything else that the password may be the cause of.
        Err(Failure::Account(KeycloakError::Refused { .. })) if password.is_some() => {
            let made = ensure_with(keycloak, user, None).await?;
            // One that an earlier try made with the password after all keeps it.
            let lost = made.password == Some(PasswordState::Lost);
            Ok(Made { password: if lost { Some(PasswordState::Refused) } else { made.password }, ..made })
        }
        made => made,
    }
}

/// Creates the account, or finds the one that an earlier try created.
///
/// Creating comes first: looking first would cost every user a question, and prove nothing about the moment after.
async fn ensure_with(
    keycloak: &KeycloakClient,
    user: &ClaimedUser,
    password: Option<&SecretString>,
) -> Result<Made, Failure> {
    let made = |id, with_password| Made {
        id,
        password: user.password_waits.then_some(if with_password { PasswordState::Set } else { PasswordState::Lost }),
    };
    let error = match keycloak.create(user, password).await {
        Ok(id) => return Ok(made(id, password.is_some())),
        Err(error) if !error.may_have_happened() => return Err(Failure::Account(error)),
        Err(error) => error,
    };
    match look_up(keycloak, user, &error).await.map_err(Failure::Account)? {
        Some(found) if !found.is_of(user) => return Err(Failure::Conflict),
        Some(found) if is_prepared(user, &found) => {
            keycloak.delete(found.id).await.map_err(Failure::Account)?;
            CrashPoint::ProvisionAccountDeleted.pass();
        }
        Some(found) if may_be_going(user, &found) => return Err(Failure::Conflict),
        Some(found) => return Ok(made(found.id, found.has_password())),
        None if !error.is_transient() => return Err(Failure::Account(error)),
        // Keycloak answers and does not know the user, so the unclear try had no effect.
        None => {}
    }
    let id = keycloak.create(user, password).await.map_err(Failure::Account)?;
    Ok(made(id, password.is_some()))
}

/// Whether somebody may have prepared the account: it has the password that was chosen at the registration, nobody has
/// confirmed the address, and the mail that is owed sets another password. The link in it confirms the address before
/// that is set, and would let in whoever chose the first one. Nothing less than deleting the account ends a login that
/// has been begun with it, on Keycloak's own page, and waits for the address to be confirmed.
///
/// Such an account is never adopted, so that a deletion of an earlier run that lands late takes it from nobody: what is
/// made in its place has another id.
fn is_prepared(user: &ClaimedUser, found: &FoundAccount) -> bool {
    user.password_waits && !user.chosen_password_counts() && found.has_password() && found.is_untouched()
}

/// Whether an earlier run may have asked for the deletion of this account, which somebody has confirmed or changed since.
/// It is not ours to delete any more, and whoever was told that all is well would lose it when that deletion lands.
fn may_be_going(user: &ClaimedUser, found: &FoundAccount) -> bool {
    user.account_was_forgotten() && found.has_password()
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

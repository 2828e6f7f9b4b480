//! Erasing a person everywhere: the account that was made for them, a password that waits, the row and all beside it.

use anyhow::ensure;
use shared::{
    crash_point::CrashPoint,
    domain::{email::EmailAddress, mail_target::MailTarget, user::UserId, username::Username},
    passwords::Passwords,
    store::{
        hold::{self, Held},
        person::Person,
    },
};
use sqlx::PgPool;

use crate::{keycloak::client::KeycloakClient, own::Whose};

/// The row last: whoever still has one can be erased again, should this be cut off.
pub async fn erase(
    keycloak: &KeycloakClient,
    passwords: Option<&Passwords>,
    pool: &PgPool,
    held: Held,
    person: &Person,
    account: &Whose,
) -> anyhow::Result<()> {
    if let Some(passwords) = passwords {
        passwords.erase(person.id).await?;
    }
    if let Whose::Ours(account) = account {
        keycloak.delete(account.id).await?;
        CrashPoint::ErasureAccountDeleted.pass();
    }
    let names = [Username::parse(&person.username).ok().map(MailTarget::Username)]
        .into_iter()
        .chain([EmailAddress::parse(&person.email).ok().map(MailTarget::Email)]);
    let hashes: Vec<Vec<u8>> = names.flatten().map(|name| name.hash().to_vec()).collect();
    ensure!(hold::erase(pool, held, &hashes).await?, gone_meanwhile(person.id));
    Ok(())
}

/// For a message that names nobody.
pub fn gone_meanwhile(id: UserId) -> anyhow::Error {
    anyhow::anyhow!("the hold on {id} ended before the work did: run it again")
}

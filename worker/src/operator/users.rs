//! `usher-worker users`: one person, by id, username or address.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use serde::Serialize;
use shared::{
    config::Environment,
    domain::{email::EmailAddress, user::UserId},
    passwords::Passwords,
    store::{
        bell,
        hold::{self, Held, Reserved},
        person::{self, Person},
    },
    telemetry::chain,
};
use sqlx::PgPool;
use tokio::time::timeout;
use uuid::Uuid;

use super::{
    NoSuchUser,
    answer::{Format, Line},
    audit::Audit,
    connect,
    holding::{hold, or_let_go},
    parked_queue,
    person::PersonLine,
};
use crate::{
    config::operator::{DatabaseAccess, FullAccess},
    erasure::{self, gone_meanwhile},
    keycloak::client::KeycloakClient,
    own::{Whose, whose},
};

/// Whoever registers with one of the names meanwhile waits for it, and for no more than 3 s.
const WHILE_THE_ROW_IS_LOCKED: Duration = Duration::from_secs(2);

#[derive(Subcommand)]
pub enum Command {
    /// Show all that is known of one person, personal data included
    Show(One),
    /// Give a person another address, and have the set-up mail sent to it
    ///
    /// Only as long as nobody has confirmed the old address. The account is changed too, if there is one that was provably
    /// made for this person. Whoever is parked stays so until a replay.
    ///
    /// A link that was mailed to the old address stays good until its time is over. If somebody else may have it, erase
    /// the user and register again instead.
    CorrectEmail(CorrectEmail),
    /// Erase a person: the row, the account, and all that waits for them
    ///
    /// The account in Keycloak goes only if it was provably made for this person; any other is kept, and the answer says
    /// so. Cannot be taken back.
    Erase(One),
}

#[derive(Args)]
pub struct One {
    /// The id, the username or the address
    name: String,
    #[command(flatten)]
    format: Format,
}

#[derive(Args)]
pub struct CorrectEmail {
    /// The id, the username or the old address
    name: String,
    /// The new address
    #[arg(value_parser = EmailAddress::parse)]
    email: EmailAddress,
    #[command(flatten)]
    format: Format,
}

impl Command {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Show(one) => one.show("users.show").await,
            Self::CorrectEmail(correction) => correction.run().await,
            Self::Erase(one) => one.erase().await,
        }
    }
}

impl One {
    pub(super) fn new(name: String, format: Format) -> Self {
        Self { name, format }
    }

    pub(super) async fn show(self, action: &'static str) -> anyhow::Result<()> {
        let access = DatabaseAccess::read(Environment::of_process())?;
        let pool = connect(&access.database)?;
        let audit = Audit::begin(action, "one user", &access.telemetry)?;
        let person = person::find(&pool, self.name.as_str()).await?.ok_or(NoSuchUser)?;
        audit.user(person.id, "shown");
        self.format.print_one(&PersonLine::from(person)).map(drop)
    }

    async fn erase(self) -> anyhow::Result<()> {
        let access = FullAccess::read(Environment::of_process())?;
        let pool = connect(&access.database)?;
        let audit = Audit::begin("users.erase", "one user", &access.telemetry)?;
        let (held, person) = hold(&pool, &self.name).await?;
        let erased = erase(&access, &pool, held, &person).await;
        let account = or_let_go(&pool, held, erased).await?;
        audit.user(person.id, &format!("erased; account: {}", account.name()));
        let tidied = parked_queue::tidy(&access.broker, &pool).await;
        self.format.print_one(&Erased { id: person.id, account })?;
        tidied.map(drop)
    }
}

async fn erase(access: &FullAccess, pool: &PgPool, held: Held, person: &Person) -> anyhow::Result<AccountFate> {
    let keycloak = KeycloakClient::new(&access.keycloak)?;
    let passwords = access.passwords.as_ref().map(Passwords::new).transpose()?;
    let account = whose(&keycloak, person).await?;
    erasure::erase(&keycloak, passwords.as_ref(), pool, held, person, &account).await?;
    Ok(match account {
        Whose::Nobody => AccountFate::None,
        Whose::SomebodyElses => AccountFate::Kept,
        Whose::Ours(_) => AccountFate::Deleted,
    })
}

impl CorrectEmail {
    async fn run(self) -> anyhow::Result<()> {
        let access = FullAccess::read(Environment::of_process())?;
        let pool = connect(&access.database)?;
        let audit = Audit::begin("users.correct-email", "one user", &access.telemetry)?;
        let (held, person) = hold(&pool, &self.name).await?;
        let corrected = self.correct(&access, &pool, held, &person).await;
        let account = or_let_go(&pool, held, corrected).await?;
        audit.user(person.id, &format!("address corrected; account: {}", account.name()));
        if let Err(error) = bell::notify(&pool).await {
            tracing::warn!(error = chain(&error), "a ring was lost; the relay will poll");
        }
        let person = person::find(&pool, person.id).await?.ok_or(NoSuchUser)?;
        self.format.print_one(&PersonLine::from(person)).map(drop)
    }

    /// The row first, so that nobody else gets the address; it is committed once the account has followed. Until then
    /// this can be run again.
    async fn correct(
        &self,
        access: &FullAccess,
        pool: &PgPool,
        held: Held,
        person: &Person,
    ) -> anyhow::Result<AccountFate> {
        let keycloak = KeycloakClient::new(&access.keycloak)?;
        let (account, fate) = to_correct(whose(&keycloak, person).await?, person)?;
        let correction = match hold::correct_email(pool, held, &self.email).await? {
            Reserved::Ours(correction) => correction,
            Reserved::Taken => bail!("another user has this address"),
            Reserved::Lost => return Err(gone_meanwhile(person.id)),
        };
        if let Some(account) = account {
            let changed = timeout(WHILE_THE_ROW_IS_LOCKED, keycloak.change_email(account, self.email.as_str())).await;
            changed.context("Keycloak takes too long to change the address; try again later")??;
        }
        correction.commit().await?;
        Ok(fate)
    }
}

/// The account that has to follow, if there is one, and what becomes of what there is.
fn to_correct(account: Whose, person: &Person) -> anyhow::Result<(Option<Uuid>, AccountFate)> {
    match account {
        Whose::Nobody => Ok((None, AccountFate::None)),
        // It took the name, and the registration is still without an account.
        Whose::SomebodyElses if person.keycloak_id.is_none() => Ok((None, AccountFate::Kept)),
        Whose::SomebodyElses => bail!("the account was not made for this user; change the address in Keycloak"),
        Whose::Ours(account) if account.email_verified => {
            bail!("the old address is confirmed: it is its owner's to change, in Keycloak")
        }
        Whose::Ours(account) => Ok((Some(account.id), AccountFate::Changed)),
    }
}

/// What became of the account.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum AccountFate {
    /// There is none.
    None,
    Deleted,
    Changed,
    /// It is not provably this person's.
    Kept,
}

impl AccountFate {
    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Deleted => "deleted",
            Self::Changed => "changed",
            Self::Kept => "kept",
        }
    }
}

/// `users erase`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Erased {
    id: UserId,
    account: AccountFate,
}

impl Line for Erased {
    const COLUMNS: &'static [&'static str] = &["erased", "account in Keycloak"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string(), self.account.name().to_owned()]
    }
}

//! `usher-worker parked link`: an account that is there already becomes a parked user's own.

use anyhow::ensure;
use clap::Args;
use serde::Serialize;
use shared::{
    config::Environment,
    domain::user::UserId,
    store::{
        hold,
        person::{self, Person},
    },
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    NoSuchAccount, NoSuchUser,
    answer::{Format, Line, or_dash, remark},
    audit::Audit,
    connect,
    holding::{hold, or_let_go},
    parked_queue,
};
use crate::{
    config::operator::FullAccess,
    keycloak::{client::KeycloakClient, users::FoundAccount},
};

#[derive(Args)]
pub struct Link {
    /// The parked user
    id: Uuid,
    /// The account in Keycloak, by its id
    keycloak_id: Uuid,
    /// Do it; without, both are only shown
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    format: Format,
}

impl Link {
    pub async fn run(self) -> anyhow::Result<()> {
        let access = FullAccess::read(Environment::of_process())?;
        let pool = connect(&access.database)?;
        let audit = Audit::begin("parked.link", &self.id.to_string(), &access.telemetry)?;
        let keycloak = KeycloakClient::new(&access.keycloak)?;
        if self.yes {
            self.link(&pool, &keycloak, &audit).await?;
            return parked_queue::tidy(&access.broker, &pool).await.map(drop);
        }
        let person = person::find(&pool, UserId::from(self.id)).await?.ok_or(NoSuchUser)?;
        let account = self.account(&keycloak).await?;
        audit.user(person.id, "shown");
        self.show(&person, &account, false)?;
        check(&person, &account)?;
        remark("nothing was changed: --yes links them");
        Ok(())
    }

    /// What is looked at and shown is what is true while nobody else works on the user.
    async fn link(&self, pool: &PgPool, keycloak: &KeycloakClient, audit: &Audit) -> anyhow::Result<()> {
        let (held, person) = hold(pool, &self.id.to_string()).await?;
        let linked = async {
            let account = self.account(keycloak).await?;
            let fit = check(&person, &account);
            if fit.is_ok() {
                let linked = hold::link(pool, held, account.id, keycloak.realm()).await?;
                ensure!(linked, "another user has this account, or the hold ended before the work did");
            }
            audit.user(person.id, if fit.is_ok() { "linked" } else { "shown" });
            self.show(&person, &account, fit.is_ok())?;
            fit
        };
        or_let_go(pool, held, linked.await).await
    }

    async fn account(&self, keycloak: &KeycloakClient) -> anyhow::Result<FoundAccount> {
        Ok(keycloak.find_by_id(self.keycloak_id).await?.ok_or(NoSuchAccount)?)
    }

    fn show(&self, person: &Person, account: &FoundAccount, linked: bool) -> anyhow::Result<()> {
        self.format.print_one(&LinkLine::of(person, account, linked)).map(drop)
    }
}

/// A set-up mail leads to the account, so it must not go to anybody but the account's owner.
fn check(person: &Person, account: &FoundAccount) -> anyhow::Result<()> {
    ensure!(person.progress.parked_at.is_some(), "the user is not parked");
    ensure!(
        account.has_email(&person.email) && account.email_verified,
        "the account has another address than the user, or one that is not confirmed; mend that in Keycloak"
    );
    Ok(())
}

/// What is to be one: personal data included, on purpose.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkLine {
    id: UserId,
    username: String,
    email: String,
    keycloak_id: Uuid,
    keycloak_username: String,
    keycloak_email: Option<String>,
    email_verified: bool,
    linked: bool,
}

impl LinkLine {
    fn of(person: &Person, account: &FoundAccount, linked: bool) -> Self {
        Self {
            id: person.id,
            username: person.username.clone(),
            email: person.email.clone(),
            keycloak_id: account.id,
            keycloak_username: account.username.clone(),
            keycloak_email: account.email.clone(),
            email_verified: account.email_verified,
            linked,
        }
    }
}

impl Line for LinkLine {
    const COLUMNS: &'static [&'static str] =
        &["user", "username", "email", "account", "account's username", "account's email", "confirmed", "linked"];

    fn cells(&self) -> Vec<String> {
        let yes = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
        vec![
            self.id.to_string(),
            self.username.clone(),
            self.email.clone(),
            self.keycloak_id.to_string(),
            self.keycloak_username.clone(),
            or_dash(self.keycloak_email.as_ref()),
            yes(self.email_verified),
            yes(self.linked),
        ]
    }
}

//! `usher-worker parked`: users who were given up.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use serde::Serialize;
use shared::{
    config::Environment,
    domain::user::UserId,
    store::{
        bell,
        parked::{self, ParkedUser, Replay, Replayed},
        person,
    },
    telemetry::chain,
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    NoSuchUser,
    answer::{Format, Line, age, or_dash, remark},
    audit::Audit,
    connect,
    link::Link,
    parked_queue,
    users::One,
};
use crate::{
    broker::topology::PARKED,
    config::operator::{Access, DatabaseAccess},
    outcome::{GONE_IN_KEYCLOAK, REASONS},
};

#[derive(Subcommand)]
pub enum Command {
    /// List the parked, those who wait longest first
    List(List),
    /// Show all that is known of one user, personal data included
    Show(Show),
    /// Make an account that is in Keycloak already a parked user's own
    ///
    /// For a conflict whose account belongs to the very person who registered: it has the same address, confirmed. Both are
    /// shown; with --yes they are linked, the user counts as synced, and no mail is owed.
    Link(Link),
    /// Have users tried again
    ///
    /// A replayed user is on the way at once, with the whole budget of attempts, and is parked again if nothing has
    /// changed. Whoever is not parked is left alone, so a replay may be repeated.
    ///
    /// Nobody who was deleted in Keycloak comes back by a replay alone: who is parked as `gone_in_keycloak` is looked for
    /// again, and parked again unless the very account is back. Only with --recreate another account is made.
    ///
    /// The users' messages are taken out of the queue usher.parked.
    Replay(ReplayArguments),
    /// Take out of the queue usher.parked what is about users who are not parked any more
    ///
    /// A replay does it too. Needed when the broker was away then, or when a message came late.
    Tidy(Format),
}

#[derive(Args)]
pub struct List {
    /// Only who was parked for this
    #[arg(long, value_parser = PossibleValuesParser::new(REASONS))]
    reason: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1_000)]
    limit: u32,
    #[command(flatten)]
    format: Format,
}

#[derive(Args)]
pub struct Show {
    id: Uuid,
    #[command(flatten)]
    format: Format,
}

#[derive(Args)]
pub struct ReplayArguments {
    /// Who is replayed
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<Uuid>,
    /// Everybody who is parked
    #[arg(long)]
    all: bool,
    /// Of all, only who was parked for this
    #[arg(long, requires = "all", value_parser = PossibleValuesParser::new(REASONS))]
    reason: Option<String>,
    /// Make another account for whoever was deleted in Keycloak (`gone_in_keycloak`)
    #[arg(long)]
    recreate: bool,
    #[command(flatten)]
    format: Format,
}

impl Command {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run().await,
            Self::Show(show) => show.run().await,
            Self::Link(link) => link.run().await,
            Self::Replay(replay) => replay.run().await,
            Self::Tidy(format) => tidy(format).await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let pool = connect(&DatabaseAccess::read(Environment::of_process())?.database)?;
        let mut parked = parked::list(&pool, self.reason.as_deref(), i64::from(self.limit) + 1).await?;
        let more = parked.len() > self.limit as usize;
        parked.truncate(self.limit as usize);
        let lines: Vec<ParkedLine> = parked.into_iter().map(ParkedLine::from).collect();
        self.format.print(&lines, "nobody is parked")?;
        if more {
            remark("there are more: --limit shows them");
        }
        Ok(())
    }
}

impl Show {
    async fn run(self) -> anyhow::Result<()> {
        One::new(self.id.to_string(), self.format).show("parked.show").await
    }
}

impl ReplayArguments {
    async fn run(self) -> anyhow::Result<()> {
        let access = Access::read(Environment::of_process())?;
        let pool = connect(&access.database)?;
        let audit = Audit::begin("parked.replay", &self.selection(), &access.telemetry)?;
        let lines = self.replay(&pool).await?;
        for line in &lines {
            audit.user(line.id, line.outcome.name());
        }
        let tidied = parked_queue::tidy(&access.broker, &pool).await;
        self.format.print(&lines, "nobody is replayed")?;
        tidied
            .map(drop)
            .context("their messages may still lie in the queue of the parked: later, usher-worker parked tidy")?;
        ensure!(lines.iter().all(|line| line.outcome != Outcome::Leased), "a worker has the user: try again later");
        Ok(())
    }

    /// Who was meant, for the log.
    fn selection(&self) -> String {
        let who = self.id.map_or_else(|| "all".to_owned(), |id| id.to_string());
        let reason = self.reason.iter().map(|reason| format!(", {reason}"));
        let recreate = self.recreate.then(|| ", recreate".to_owned());
        [who].into_iter().chain(reason).chain(recreate).collect()
    }

    async fn replay(&self, pool: &PgPool) -> anyhow::Result<Vec<ReplayLine>> {
        let which = Replay {
            id: self.id.map(UserId::from),
            reason: self.reason.as_deref(),
            anew_if: self.recreate.then_some(GONE_IN_KEYCLOAK),
        };
        let replayed = parked::replay(pool, which).await?;
        if let Err(error) = bell::notify(pool).await {
            tracing::warn!(error = chain(&error), "a ring was lost; the relay will poll");
        }
        match which.id {
            Some(id) if replayed.is_empty() => Ok(vec![left_alone(pool, id).await?]),
            _ => Ok(replayed.into_iter().map(ReplayLine::from).collect()),
        }
    }
}

/// Why a user was not replayed.
async fn left_alone(pool: &PgPool, id: UserId) -> anyhow::Result<ReplayLine> {
    let progress = person::find(pool, id).await?.ok_or(NoSuchUser)?.progress;
    let outcome = if progress.parked_at.is_some() { Outcome::Leased } else { Outcome::NotParked };
    Ok(ReplayLine { id, outcome, reason: progress.parked_reason })
}

async fn tidy(format: Format) -> anyhow::Result<()> {
    let access = Access::read(Environment::of_process())?;
    let pool = connect(&access.database)?;
    let audit = Audit::begin("parked.tidy", PARKED, &access.telemetry)?;
    let tidied = parked_queue::tidy(&access.broker, &pool).await?;
    audit.done(&format!("{} messages taken out", tidied.removed));
    format.print_one(&tidied).map(drop)
}

/// `parked list`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ParkedLine {
    id: UserId,
    reason: String,
    parked_at: DateTime<Utc>,
    parked_for_seconds: u64,
    last_error: Option<String>,
}

impl From<ParkedUser> for ParkedLine {
    fn from(user: ParkedUser) -> Self {
        let ParkedUser { id, reason, parked_at, parked_for, last_error } = user;
        Self { id, reason, parked_at, parked_for_seconds: parked_for.as_secs(), last_error }
    }
}

impl Line for ParkedLine {
    const COLUMNS: &'static [&'static str] = &["USER", "REASON", "PARKED FOR", "LAST ERROR"];

    fn cells(&self) -> Vec<String> {
        let parked_for = age(Duration::from_secs(self.parked_for_seconds));
        vec![self.id.to_string(), self.reason.clone(), parked_for, or_dash(self.last_error.as_ref())]
    }
}

/// `parked replay`
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReplayLine {
    id: UserId,
    outcome: Outcome,
    /// Why the user was, or is, parked.
    reason: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Outcome {
    Replayed,
    /// Nothing to do: by now, or ever.
    NotParked,
    /// Somebody has a lease on the user, who was left alone.
    Leased,
}

impl Outcome {
    fn name(self) -> &'static str {
        match self {
            Self::Replayed => "replayed",
            Self::NotParked => "not parked",
            Self::Leased => "leased",
        }
    }
}

impl From<Replayed> for ReplayLine {
    fn from(user: Replayed) -> Self {
        Self { id: user.id, outcome: Outcome::Replayed, reason: Some(user.reason) }
    }
}

impl Line for ReplayLine {
    const COLUMNS: &'static [&'static str] = &["USER", "OUTCOME", "WAS PARKED FOR"];

    fn cells(&self) -> Vec<String> {
        vec![self.id.to_string(), self.outcome.name().to_owned(), or_dash(self.reason.as_ref())]
    }
}

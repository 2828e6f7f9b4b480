//! `usher-worker dead`: messages that could not be understood.
//!
//! They lie in the dead queue of the queue they came from, each with its reason. Nobody is lost with one: its user's row
//! is there all the same, and the sweep sees to it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::{Args, Subcommand, builder::PossibleValuesParser};
use lapin::{
    Channel, Confirmation, Connection,
    message::{BasicGetMessage, Delivery},
    options::{BasicGetOptions, BasicPublishOptions},
};
use serde::Serialize;
use shared::{config::Environment, domain::user::UserId};

use super::{
    answer::{Format, Line, age, or_dash, remark},
    audit::Audit,
};
use crate::{
    broker::{
        connection::{BrokerError, close, confirming_channel, within},
        dial::connect_to_any,
        message,
        topology::{WORK_QUEUES, WorkQueue},
    },
    config::operator::BrokerAccess,
    settle,
};

#[derive(Subcommand)]
pub enum Command {
    /// List dead letters and their reasons; they stay where they are
    List(List),
    /// Publish the originals to their queues again
    ///
    /// A letter leaves its dead queue when the broker has confirmed the original. One that workers still do not
    /// understand comes back, with the reason it then has; the answer says of which this is to be expected. Nobody is
    /// provisioned twice by it.
    Replay(ReplayArguments),
}

#[derive(Args)]
pub struct List {
    #[command(flatten)]
    queues: Queues,
    /// At most so many of each queue
    #[arg(long, default_value_t = 1_000)]
    limit: u32,
    #[command(flatten)]
    format: Format,
}

#[derive(Args)]
pub struct ReplayArguments {
    #[command(flatten)]
    queues: Queues,
    #[command(flatten)]
    format: Format,
}

#[derive(Args)]
struct Queues {
    /// Only what came from this queue
    #[arg(long, value_parser = PossibleValuesParser::new(WORK_QUEUES.map(|queue| queue.name)))]
    queue: Option<String>,
}

impl Queues {
    fn chosen(&self) -> impl Iterator<Item = WorkQueue> {
        let all = WORK_QUEUES.into_iter();
        all.filter(|queue| self.queue.as_ref().is_none_or(|chosen| chosen == queue.name))
    }
}

impl Command {
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run().await,
            Self::Replay(replay) => replay.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let access = BrokerAccess::read(Environment::of_process())?;
        let connection = connect_to_any("operator", &access.broker).await?;
        let mut lines = Vec::new();
        let mut left = 0;
        for queue in self.queues.chosen() {
            left += self.look(&connection, queue, &mut lines).await?;
        }
        close(connection).await;
        self.format.print(&lines, "there are no dead letters")?;
        if left > 0 {
            remark(&format!("{left} more are there: --limit shows them"));
        }
        Ok(())
    }

    /// Says how many were not looked at.
    async fn look(
        &self,
        connection: &Connection,
        queue: WorkQueue,
        lines: &mut Vec<Letter>,
    ) -> Result<u32, BrokerError> {
        // A channel for each queue: what was fetched is back in its place once that is closed.
        let channel = within("open a channel", connection.create_channel()).await?;
        let mut left = 0;
        for _ in 0..self.limit {
            let Some(letter) = get(&channel, queue).await? else { break };
            left = letter.message_count;
            lines.push(Letter::read(queue, &letter));
        }
        within("close a channel", channel.close(200, "looked".into())).await?;
        Ok(left)
    }
}

impl ReplayArguments {
    async fn run(self) -> anyhow::Result<()> {
        let access = BrokerAccess::read(Environment::of_process())?;
        let what = self.queues.chosen().map(|queue| queue.name).collect::<Vec<_>>().join(", ");
        let audit = Audit::begin("dead.replay", &what, &access.telemetry)?;
        let connection = connect_to_any("operator", &access.broker).await?;
        let mut lines = Vec::new();
        let mut ended = Ok(());
        for queue in self.queues.chosen() {
            ended = ended.and(replay(&connection, queue, &mut lines, &audit).await);
        }
        close(connection).await;
        // What was done is told, also when it was not all.
        self.format.print(&lines, "there are no dead letters")?;
        Ok(ended?)
    }
}

/// Only what lies there now: what comes back meanwhile is not sent round again.
async fn replay(
    connection: &Connection,
    queue: WorkQueue,
    lines: &mut Vec<Letter>,
    audit: &Audit,
) -> Result<(), BrokerError> {
    let channel = confirming_channel(connection).await?;
    let mut left = 1;
    let mut first = true;
    while left > 0 {
        let Some(letter) = get(&channel, queue).await? else { break };
        left = if std::mem::take(&mut first) { letter.message_count } else { left - 1 };
        give_back(&channel, queue, &letter).await?;
        settle::ack(&letter).await?;
        let letter = Letter::read(queue, &letter);
        match letter.user_id {
            Some(user) => audit.user(user, "replayed"),
            None => audit.done("replayed a letter that names no user"),
        }
        lines.push(letter);
    }
    Ok(())
}

async fn get(channel: &Channel, queue: WorkQueue) -> Result<Option<BasicGetMessage>, BrokerError> {
    within("look into a dead queue", channel.basic_get(queue.dead.into(), BasicGetOptions { no_ack: false })).await
}

/// Returns once the queue has it.
async fn give_back(channel: &Channel, queue: WorkQueue, letter: &Delivery) -> Result<(), BrokerError> {
    let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
    let original = message::without_reason(&letter.properties);
    // Past the exchange of events, where other services would hear it too.
    let sent = channel.basic_publish("".into(), queue.name.into(), options, &letter.data, original);
    let confirm = within("publish an original", sent).await?;
    match within("confirm an original", confirm).await? {
        Confirmation::Ack(None) => Ok(()),
        _ => Err(BrokerError::NotTaken { queue: queue.name }),
    }
}

/// A dead letter.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Letter {
    /// Where it came from.
    queue: &'static str,
    message_id: Option<String>,
    reason: Option<String>,
    event_type: Option<String>,
    user_id: Option<UserId>,
    /// When what it tells of happened.
    happened_at: Option<DateTime<Utc>>,
    /// Why this version of Usher would bury it again; nothing when it would understand it.
    undecodable: Option<String>,
}

impl Letter {
    fn read(queue: WorkQueue, letter: &Delivery) -> Self {
        let decoded = message::decode(letter);
        Self {
            queue: queue.name,
            message_id: letter.properties.message_id().as_ref().map(ToString::to_string),
            reason: message::reason(&letter.properties).map(str::to_owned),
            event_type: message::event_type(&letter.properties).map(str::to_owned),
            user_id: decoded.as_ref().ok().map(|hint| hint.user_id),
            happened_at: message::happened_at(&letter.properties),
            undecodable: decoded.err().map(|undecodable| undecodable.to_string()),
        }
    }
}

impl Line for Letter {
    const COLUMNS: &'static [&'static str] = &["QUEUE", "EVENT", "USER", "AGE", "REASON", "COMES BACK"];

    fn cells(&self) -> Vec<String> {
        // For a human to see; nothing is decided by it.
        let since = self.happened_at.and_then(|at| (Utc::now() - at).to_std().ok());
        vec![
            self.queue.to_owned(),
            or_dash(self.event_type.as_ref()),
            or_dash(self.user_id),
            or_dash(since.map(|since| age(Duration::from_secs(since.as_secs())))),
            or_dash(self.reason.as_ref()),
            if self.undecodable.is_some() { "yes" } else { "no" }.to_owned(),
        ]
    }
}

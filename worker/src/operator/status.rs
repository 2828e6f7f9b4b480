//! `usher-worker status`: where everybody is on the way, from the rows and the queues.

use std::{
    io::{IsTerminal as _, stdout},
    time::{Duration, Instant},
};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::Args;
use lapin::{Connection, options::QueueDeclareOptions, types::FieldTable};
use serde::Serialize;
use shared::{
    config::Environment,
    store::funnel::{self, AT_MOST, Cohort, Funnel},
    telemetry::chain,
};
use sqlx::PgPool;
use tokio::time::sleep;

use super::{
    answer::{Format, Line, age, remark},
    connect,
    trend::Trend,
};
use crate::{
    broker::{
        connection::{BrokerError, close, within},
        dial::connect_to_any,
        topology::WORK_QUEUES,
    },
    config::{broker::BrokerConfig, operator::Access},
};

#[derive(Args)]
pub struct Status {
    /// Again every two seconds, until nobody reads it any more
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    format: Format,
}

const PAUSE: Duration = Duration::from_secs(2);
/// Clears a terminal and begins at its top.
const AFRESH: &str = "\u{1b}[2J\u{1b}[H";

impl Status {
    pub async fn run(self) -> anyhow::Result<()> {
        let access = Access::read(Environment::of_process())?;
        let pool = connect(&access.database)?;
        if !self.watch {
            let looked = look(&pool, &access.broker).await?;
            return self.tell(&looked).map(drop);
        }
        let mut trend = Trend::default();
        while self.look_again(&pool, &access.broker, &mut trend).await? {
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// What cannot be seen now may be seen again in a moment: whoever watches an outage wants to see its end. Returns
    /// whether anybody still reads.
    async fn look_again(&self, pool: &PgPool, broker: &BrokerConfig, trend: &mut Trend) -> anyhow::Result<bool> {
        let looked = look(pool, broker).await;
        if stdout().is_terminal() {
            super::answer::write(AFRESH)?;
        }
        match looked {
            Ok(mut looked) => {
                looked.line.open_per_second = trend.add(Instant::now(), looked.line.open());
                self.tell(&looked)
            }
            Err(error) => {
                remark(&format!("nobody can be counted: {}", chain(&*error)));
                Ok(true)
            }
        }
    }

    fn tell(&self, looked: &Looked) -> anyhow::Result<bool> {
        if let Some(error) = &looked.without_queues {
            remark(&format!("the queues are not known: {}", chain(error)));
        }
        self.format.print_one(&looked.line)
    }
}

struct Looked {
    line: StatusLine,
    /// Why the line does not say what is in the queues.
    without_queues: Option<BrokerError>,
}

async fn look(pool: &PgPool, broker: &BrokerConfig) -> anyhow::Result<Looked> {
    let funnel = funnel::take(pool).await?;
    Ok(match queues(broker).await {
        Ok(queues) => Looked { line: StatusLine::of(funnel, Some(queues)), without_queues: None },
        Err(error) => Looked { line: StatusLine::of(funnel, None), without_queues: Some(error) },
    })
}

/// Messages in the work queues, and in their dead queues.
async fn queues(broker: &BrokerConfig) -> Result<(u64, u64), BrokerError> {
    let connection = connect_to_any("operator", broker).await?;
    let (mut queued, mut dead) = (0, 0);
    for queue in WORK_QUEUES {
        queued += depth(&connection, queue.name).await?;
        dead += depth(&connection, queue.dead).await?;
    }
    close(connection).await;
    Ok((queued, dead))
}

async fn depth(connection: &Connection, queue: &str) -> Result<u64, BrokerError> {
    let channel = within("open a channel", connection.create_channel()).await?;
    let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let looked = within("look at a queue", channel.queue_declare(queue.into(), options, FieldTable::default())).await?;
    within("close a channel", channel.close(200, "looked".into())).await?;
    Ok(looked.message_count().into())
}

/// Everybody by the place they are at. A number of 10,000 means at least so many, but for `registered` and `complete`,
/// which are the planner's estimates then.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusLine {
    registered: u64,
    worker_runs: bool,
    in_outbox: u64,
    outbox_oldest_seconds: Option<u64>,
    /// Nothing when the broker is away.
    in_queues: Option<u64>,
    not_tried: u64,
    in_work: u64,
    waiting: u64,
    next_try_at: Option<DateTime<Utc>>,
    causes: Vec<CauseOfWaiting>,
    /// Of those not tried, in work and waiting: who has an account and no mail yet.
    without_mail: u64,
    oldest_open_seconds: Option<u64>,
    parked: Vec<ParkedFor>,
    dead_letters: Option<u64>,
    complete: u64,
    /// By how many those not tried, in work and waiting change in a second, while somebody watches.
    open_per_second: Option<f64>,
    last_minute: CohortLine,
    last_hour: CohortLine,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CauseOfWaiting {
    users: u64,
    error: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ParkedFor {
    users: u64,
    reason: String,
    longest_seconds: u64,
}

/// Of those registered within some time, how far they have come.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct CohortLine {
    registered: u64,
    synced: u64,
    mailed: u64,
}

impl From<Cohort> for CohortLine {
    fn from(cohort: Cohort) -> Self {
        Self { registered: cohort.registered, synced: cohort.synced, mailed: cohort.mailed }
    }
}

impl StatusLine {
    fn of(funnel: Funnel, queues: Option<(u64, u64)>) -> Self {
        let open = funnel.open;
        let parked: u64 = funnel.parked.iter().map(|parked| parked.users).sum();
        let unfinished = open.new + open.leased + open.waiting + parked;
        Self {
            registered: funnel.registered,
            worker_runs: funnel.worker_runs,
            in_outbox: funnel.outbox,
            outbox_oldest_seconds: funnel.outbox_oldest.map(|age| age.as_secs()),
            in_queues: queues.map(|(queued, _)| queued),
            not_tried: open.new,
            in_work: open.leased,
            waiting: open.waiting,
            next_try_at: open.next_due,
            causes: open.causes.into_iter().map(|(error, users)| CauseOfWaiting { users, error }).collect(),
            without_mail: open.synced,
            oldest_open_seconds: open.oldest.map(|age| age.as_secs()),
            parked: funnel
                .parked
                .into_iter()
                .map(|parked| ParkedFor {
                    users: parked.users,
                    reason: parked.reason,
                    longest_seconds: parked.longest.as_secs(),
                })
                .collect(),
            dead_letters: queues.map(|(_, dead)| dead),
            complete: funnel.registered.saturating_sub(unfinished),
            open_per_second: None,
            last_minute: funnel.last_minute.into(),
            last_hour: funnel.last_hour.into(),
        }
    }

    fn open(&self) -> u64 {
        self.not_tried + self.in_work + self.waiting
    }

    /// What the change means, and how long it will take if it stays so.
    fn change(&self) -> String {
        let Some(per_second) = self.open_per_second else { return "-".to_owned() };
        if per_second.abs() < 0.05 {
            return "none".to_owned();
        }
        if per_second > 0.0 {
            return format!("{per_second:.1} a second more on the way");
        }
        let open = u32::try_from(self.open()).map_or(f64::INFINITY, f64::from);
        let left = Duration::try_from_secs_f64(open / -per_second).unwrap_or(Duration::MAX);
        format!("{:.1} a second fewer on the way, all done in {}", -per_second, age(left))
    }
}

impl Line for StatusLine {
    const COLUMNS: &'static [&'static str] = &[
        "registered",
        "workers",
        "in the outbox",
        "in the queues",
        "not tried yet",
        "in work",
        "waiting",
        "because",
        "without a mail",
        "oldest open",
        "parked",
        "dead letters",
        "complete",
        "change",
        "last minute",
        "last hour",
    ];

    fn cells(&self) -> Vec<String> {
        let seconds = |seconds: u64| age(Duration::from_secs(seconds));
        let since =
            |oldest: Option<u64>| oldest.map_or_else(String::new, |oldest| format!(", oldest {}", seconds(oldest)));
        let unknown = |number: Option<u64>| number.map_or_else(|| "not known".to_owned(), bounded);
        let next = self.next_try_at.map(|at| at.to_rfc3339_opts(SecondsFormat::Secs, true));
        let causes = self.causes.iter().map(|cause| format!("{} x {}", cause.users, cause.error));
        let parked = self.parked.iter().map(|parked| {
            format!("{} {} (longest {})", bounded(parked.users), parked.reason, seconds(parked.longest_seconds))
        });
        let cohort = |cohort: &CohortLine| {
            let [registered, synced, mailed] = [cohort.registered, cohort.synced, cohort.mailed].map(bounded);
            format!("{registered} registered, of these {synced} synced, {mailed} mailed")
        };
        vec![
            self.registered.to_string(),
            if self.worker_runs { "running" } else { "none: everybody waits until one is started" }.to_owned(),
            bounded(self.in_outbox) + &since(self.outbox_oldest_seconds),
            unknown(self.in_queues),
            bounded(self.not_tried),
            bounded(self.in_work),
            bounded(self.waiting) + &next.map_or_else(String::new, |at| format!(", next try {at}")),
            listed(causes),
            bounded(self.without_mail),
            self.oldest_open_seconds.map_or_else(|| "-".to_owned(), seconds),
            listed(parked),
            unknown(self.dead_letters),
            self.complete.to_string(),
            self.change(),
            cohort(&self.last_minute),
            cohort(&self.last_hour),
        ]
    }
}

fn listed(items: impl Iterator<Item = String>) -> String {
    let text = items.collect::<Vec<_>>().join("; ");
    if text.is_empty() { "-".to_owned() } else { text }
}

/// Nobody counted further.
fn bounded(number: u64) -> String {
    if number >= AT_MOST.unsigned_abs() { format!("{number} or more") } else { number.to_string() }
}

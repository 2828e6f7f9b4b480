//! `cargo dev chaos`: users register while everything is killed at random, with SIGKILL; then all is healed, and who was
//! acknowledged is counted.
//!
//! With `--cluster` it is only the broker that loses a node, again and again (`cluster`, `publishing`).
//!
//! Read in this order: `schedule` says who dies when, by the seed alone; `supervisor` does it and starts everything
//! again; `crowd` registers; `losses` bounds the duplicate mails; `outcome` writes the report, with its `picture`. All
//! of it happens on a stack of its own (`ground`).

mod cluster;
mod crowd;
mod ground;
mod losses;
mod outcome;
mod picture;
mod publishing;
mod record;
mod sample;
mod schedule;
mod supervisor;
mod timeouts;
mod versions;
mod victim;

use std::{panic::AssertUnwindSafe, process::ExitCode, time::Duration};

use anyhow::{Context as _, Result, bail};
use checker::{Administrator, Outside, Places};
use chrono::Utc;
use clap::Args;
use futures_util::{FutureExt as _, future::try_join_all};
use sqlx::postgres::PgPoolOptions;
use tokio::signal::unix::{SignalKind, signal};

use crate::{
    addresses::{self, ADMINISTRATOR, ADMINISTRATOR_PASSWORD},
    stack::Stack,
};
use crowd::{Crowd, PREFIX};
use losses::Losses;
use outcome::Outcome;
use record::Record;
use schedule::schedule;
use supervisor::Supervisor;
use victim::Victim;

pub(crate) use ground::end_what_is_left;

#[derive(Args)]
pub(crate) struct Options {
    /// Decides who is killed when; chosen and printed when it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// How long it lasts before everything is healed
    #[arg(long, default_value_t = 3.0)]
    minutes: f64,
    /// How many register in that time
    #[arg(long, default_value_t = 2_000)]
    users: u32,
    /// RabbitMQ is a cluster of three, and only the node that leads the queue of new users is killed, again and again
    #[arg(long)]
    cluster: bool,
}

impl Options {
    /// Every kind of victim dies at least once.
    pub(crate) const SHORT: Self = Self { seed: None, minutes: 0.5, users: 100, cluster: false };
}

pub(crate) async fn run(stack: &Stack, options: &Options) -> Result<ExitCode> {
    let ground = ground::of(stack, if options.cluster { ground::CLUSTER } else { ground::CREW });
    let _lock = ground::prepare(stack, &ground).await?;
    let outcome = tokio::select! {
        outcome = AssertUnwindSafe(run_on(&ground, options)).catch_unwind() => outcome,
        interrupted = interrupted() => Ok(interrupted),
    };
    ground::end(&ground).await?;
    let Ok(outcome) = outcome else { bail!("a defect of cargo dev chaos itself; the stack is stopped") };
    let outcome = outcome.with_context(|| format!("the logs lie in {}", ground.state.join("log").display()))?;
    tell(stack, &ground, &outcome)
}

/// By Ctrl-C, or by whoever ends a CI job.
async fn interrupted<T>() -> Result<T> {
    let mut signals = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()].map(signal);
    let received = signals.iter_mut().map(|signal| {
        Box::pin(async move {
            match signal {
                Ok(signal) => _ = signal.recv().await,
                Err(_) => std::future::pending().await,
            }
        })
    });
    futures_util::future::select_all(received).await;
    bail!("interrupted; the stack is stopped")
}

async fn run_on(ground: &Stack, options: &Options) -> Result<Outcome> {
    let seed = options.seed.unwrap_or_else(|| rand::random_range(0..1_000_000));
    let length = Duration::try_from_secs_f64(options.minutes * 60.0).context("--minutes must be a positive number")?;
    println!("chaos with --seed {seed}: {} users in {} s", options.users, length.as_secs());
    ground::start(ground).await?;
    let places = places(ground)?;
    let versions = versions::read(ground, &places.database).await?;

    let strikes = if options.cluster { Vec::new() } else { schedule(seed, length) };
    let (began, record, losses) = (Utc::now(), Record::begin(), Losses::new(places.clone()));
    let apis = vec![addresses::api(ground), addresses::api_2(ground)];
    let crowd = Crowd::new(options.users, length, apis, record.clone())?;
    let supervisors = Victim::ALL.map(|victim| Supervisor { stack: ground, victim, record: &record, losses: &losses });
    let killing = async {
        if options.cluster {
            return cluster::kill_leaders(ground, &record, seed, length).await;
        }
        let killing = supervisors.iter().map(|supervisor| {
            let deaths = strikes.iter().copied().filter(|strike| strike.victim == supervisor.victim);
            supervisor.run(deaths)
        });
        try_join_all(killing).await.map(drop)
    };
    let acts = async {
        let (waiting, killed) = tokio::join!(std::sync::Arc::clone(&crowd).come(), killing);
        killed?;
        record.heals();
        println!("everything is up again");
        crowd::all_answered(waiting).await?;
        places.until_quiet(patience(options.users)).await?;
        record.is_quiet();
        supervisors.iter().for_each(Supervisor::must_run);
        anyhow::Ok(())
    };
    tokio::select! {
        acted = acts => acted?,
        () = sample::take(&record, &places) => {}
        () = losses.watch() => {}
    }

    let outside = Outside::read(&administrator(ground), &addresses::mail(ground), PREFIX).await?;
    let mut history = places.read(crowd.attempts(), outside).await?;
    let excused = losses.excused(ground).await?;
    history.answers_lost = excused.cut_off + excused.timed_out;
    let (verdict, noted) = (checker::check(&history), record.noted().clone());
    let published = if options.cluster { publishing::read(ground, began)? } else { Vec::new() };
    let (cluster, settings) = (options.cluster, ground.crew.settings);
    Ok(Outcome { seed, began, length, cluster, settings, strikes, versions, verdict, excused, noted, published })
}

fn places(ground: &Stack) -> Result<Places> {
    let database = PgPoolOptions::new().max_connections(4).acquire_timeout(Duration::from_secs(3));
    let database = database.connect_lazy(&addresses::database(ground, "usher"))?;
    Ok(Places { database, amqp_url: addresses::amqp_of(ground.ports.brokers[0]) })
}

/// For the backlog that the last faults left.
fn patience(users: u32) -> Duration {
    Duration::from_mins(3) + Duration::from_millis(200) * users
}

fn administrator(ground: &Stack) -> Administrator {
    Administrator {
        url: addresses::keycloak(ground),
        realm: "usher".to_owned(),
        username: ADMINISTRATOR.to_owned(),
        password: ADMINISTRATOR_PASSWORD.to_owned(),
    }
}

fn tell(stack: &Stack, ground: &Stack, outcome: &Outcome) -> Result<ExitCode> {
    let directory = outcome.write(stack)?;
    let violations = outcome.violations();
    if !violations.is_empty() {
        outcome::keep_logs(ground, &directory)?;
    }
    println!("\n{}", outcome.title());
    if let Some(costs) = outcome.costs() {
        println!("{costs}");
    }
    for violation in &violations {
        println!("MUST NOT BE: {violation}");
    }
    println!("{}\n{}", outcome.verdict, directory.join("timeline.svg").display());
    Ok(if violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

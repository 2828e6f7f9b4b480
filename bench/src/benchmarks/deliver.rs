//! From the commit of a registration to its event at a consumer, by bell, relay and broker; beside the commit itself,
//! which is the least that anything durable takes here, and beside the broker alone: a message that is published without
//! a database, to the same queue and consumer.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Result, ensure};
use futures_util::StreamExt as _;
use lapin::{
    Connection, ConnectionProperties,
    options::{BasicAckOptions, BasicConsumeOptions},
};
use shared::{
    domain::user::UserId,
    store::{
        bell::Bell,
        registrations::{self, Registered},
    },
};
use sqlx::PgPool;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use worker::broker::message;

use crate::{
    ground::{Database, Ground, Vhost, process::Process, vhost::QUEUE},
    load::{open, person},
    reference::publisher,
    rounds::{Plan, Sample},
    row::{Goal, Row},
};

const NAME: &str = "deliver";
/// Registrations a second, and how many.
const RATES: [(u32, u32); 3] = [(20, 60), (200, 1_000), (2_000, 4_000)];
const ASKERS: usize = 16;
const PATIENCE: Duration = Duration::from_mins(1);

/// When something happened, by user.
type Times = Arc<Mutex<HashMap<UserId, Instant>>>;

/// Milliseconds of one round: the commits, from commit to delivery, and from publishing to delivery.
struct Round {
    commits: Sample,
    deliveries: Sample,
    broker: Sample,
}

pub(crate) async fn measure(ground: &Ground, plan: Plan) -> Result<Vec<Row>> {
    let settings = &ground.settings;
    let database = Database::fresh(&settings.database_url).await?;
    let vhost = Vhost::fresh(&settings.rabbitmq_management_url, &settings.amqp_url).await?;
    let relay = Process::relay(ground, settings.of_usher(&database.url, &vhost.url)).await?;
    // As the relay has one.
    let publishers = Connection::connect(&vhost.url, ConnectionProperties::default()).await?;
    let (bell, closing, mut tasks) = (Bell::default(), CancellationToken::new(), JoinSet::new());
    tasks.spawn(bell.clone().run(database.pool.clone(), closing.clone()));
    let delivered = Times::default();
    tasks.spawn(consume(deliveries(&vhost).await?, Arc::clone(&delivered)));

    let mut rows = Vec::new();
    for (rate, count) in RATES {
        let mut rounds = Vec::new();
        for round in 0..=plan.rounds {
            // The first does not count.
            let share = if round > 0 { plan.share } else { plan.share.max(5) };
            let count = count / u32::try_from(share)?;
            let (commits, deliveries) = one(&database, &bell, &delivered, rate, count).await?;
            let broker = broker_alone(&publishers, &delivered, rate, count).await?;
            rounds.extend((round > 0).then_some(Round { commits, deliveries, broker }));
        }
        rows.extend(rows_of(rate, &rounds));
    }
    closing.cancel();
    tasks.shutdown().await;
    relay.stop().await?;
    vhost.remove().await?;
    database.remove().await?;
    Ok(rows)
}

/// The commits, and from each to the delivery.
async fn one(database: &Database, bell: &Bell, delivered: &Times, rate: u32, count: u32) -> Result<(Sample, Sample)> {
    locked(delivered).clear();
    let committed = Times::default();
    let asker = |_| {
        let (pool, bell, committed) = (database.pool.clone(), bell.clone(), Arc::clone(&committed));
        move || register(pool.clone(), bell.clone(), Arc::clone(&committed))
    };
    let commits = open::at_rate(rate, count, (0..ASKERS).map(asker).collect()).await?;
    Ok((milliseconds(&commits), until_delivered(&committed, delivered, count).await?))
}

async fn broker_alone(connection: &Connection, delivered: &Times, rate: u32, count: u32) -> Result<Sample> {
    locked(delivered).clear();
    let published = Times::default();
    let mut askers = Vec::new();
    for _ in 0..ASKERS {
        let (channel, published) = (publisher::channel(connection).await?, Arc::clone(&published));
        askers.push(move || {
            let (channel, published) = (channel.clone(), Arc::clone(&published));
            async move {
                let user = UserId::generate();
                locked(&published).insert(user, Instant::now());
                publisher::publish_one(&channel, user).await
            }
        });
    }
    open::at_rate(rate, count, askers).await?;
    until_delivered(&published, delivered, count).await
}

/// From when each was sent.
async fn until_delivered(sent: &Times, delivered: &Times, count: u32) -> Result<Sample> {
    let all_sent = Instant::now();
    while locked(delivered).len() < usize::try_from(count)? {
        ensure!(all_sent.elapsed() < PATIENCE, "not all events are delivered");
        sleep(Duration::from_millis(5)).await;
    }
    let (sent, delivered) = (locked(sent), locked(delivered));
    let between = |(user, at): (&UserId, &Instant)| Some(delivered.get(user)?.saturating_duration_since(*at));
    Ok(milliseconds(&sent.iter().filter_map(between).collect::<Vec<_>>()))
}

async fn register(pool: PgPool, bell: Bell, committed: Times) -> Result<()> {
    let candidate = person::candidate()?;
    let mut connection = pool.acquire().await?;
    let registered = registrations::register(&mut connection, &candidate, Duration::from_secs(15)).await?;
    let at = Instant::now();
    bell.ring();
    if let Registered::Created { id, .. } = registered {
        locked(&committed).insert(id, at);
    }
    Ok(())
}

async fn deliveries(vhost: &Vhost) -> Result<lapin::Consumer> {
    let channel = vhost.connection.create_channel().await?;
    let (options, arguments) = (BasicConsumeOptions::default(), lapin::types::FieldTable::default());
    Ok(channel.basic_consume(QUEUE.into(), "bench".into(), options, arguments).await?)
}

async fn consume(mut deliveries: lapin::Consumer, delivered: Times) {
    while let Some(Ok(delivery)) = deliveries.next().await {
        let at = Instant::now();
        if let Ok(hint) = message::decode(&delivery) {
            locked(&delivered).entry(hint.user_id).or_insert(at);
        }
        drop(delivery.ack(BasicAckOptions::default()).await);
    }
}

fn rows_of(rate: u32, rounds: &[Round]) -> [Row; 3] {
    let of = |part: f64, side: fn(&Round) -> &Sample| Sample::of(rounds.iter().map(|round| side(round).quantile(part)));
    let row = |name: &str, part: f64| {
        let row = Row::new(NAME, format!("{rate}/s, {name}"), &of(part, |round| &round.deliveries), "ms");
        row.beside("the commit", &of(part, |round| &round.commits))
    };
    let goal = |most| if rate == 200 { Goal::AtMost(most) } else { Goal::Nothing };
    let broker = Row::new(NAME, format!("{rate}/s, the broker alone, p50"), &of(0.5, |round| &round.broker), "ms");
    [row("p50", 0.5).goal(goal(1.5)), row("p99", 0.99).goal(goal(5.0)), broker]
}

fn milliseconds(times: &[Duration]) -> Sample {
    Sample::of(times.iter().map(|time| time.as_secs_f64() * 1e3))
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

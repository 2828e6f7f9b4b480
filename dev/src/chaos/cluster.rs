//! `--cluster`: RabbitMQ is a cluster of three nodes, and the one that leads the queue of new users is killed, started
//! again when another leads, and so on. Nobody else dies: what is seen is what the loss of a node costs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde::Deserialize;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    record::{Fault, Record},
    victim::Victim,
};
use crate::{
    addresses::{self, VHOST},
    services::rabbitmq::{self, Node},
    stack::Stack,
};

const QUEUE: &str = "usher.user-created";
const POLL: Duration = Duration::from_millis(200);
/// A node catches up with what it has missed before it counts as a member again.
const WHOLE_WITHIN: Duration = Duration::from_mins(2);
/// From the moment when the cluster is whole to the next death, in milliseconds.
const GAP: std::ops::Range<u64> = 3_000..8_000;
/// Before a node is started again, in milliseconds.
const DOWN: std::ops::Range<u64> = 1_000..6_000;

/// As the management API tells it.
#[derive(Deserialize)]
struct Queue {
    name: String,
    #[serde(default)]
    leader: String,
    #[serde(default)]
    members: Vec<String>,
    #[serde(default)]
    online: Vec<String>,
}

/// Again and again until `length` is over; then the cluster is whole.
pub(super) async fn kill_leaders(ground: &Stack, record: &Record, seed: u64, length: Duration) -> Result<()> {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut leader = until_whole(ground, None).await?;
    let end = record.began + length;
    loop {
        let next = Instant::now() + Duration::from_millis(dice.random_range(GAP));
        if next >= end {
            return Ok(());
        }
        sleep_until(next).await;
        let killed = kill(ground, record, &leader).await?;
        sleep(Duration::from_millis(dice.random_range(DOWN))).await;
        killed.start(ground).await?;
        let now = record.now();
        record.noted().is_back(killed, now);
        leader = until_whole(ground, Some(&leader)).await?;
    }
}

async fn kill(ground: &Stack, record: &Record, leader: &str) -> Result<Victim> {
    let nodes = rabbitmq::nodes(ground);
    let node = nodes.iter().find(|node| node.erlang_name == leader).context("the leader is no node of ours")?;
    let victim = Victim::NODES.into_iter().find(|victim| victim.name == node.name).context("no such victim")?;
    let killed = record.now();
    ensure!(victim.kill(ground).await?, "{} ended by itself", victim.name);
    record.noted().faults.push(Fault { victim, killed, ready: None });
    Ok(victim)
}

/// Waits until every queue has all its members, and the one of new users another leader than `before`. Says which.
async fn until_whole(ground: &Stack, before: Option<&str>) -> Result<String> {
    let asked = Instant::now();
    loop {
        let whole = look(ground, before).await;
        if whole.is_ok() || asked.elapsed() > WHOLE_WITHIN {
            return whole.context("the cluster is not whole");
        }
        sleep(POLL).await;
    }
}

async fn look(ground: &Stack, before: Option<&str>) -> Result<String> {
    let nodes = rabbitmq::nodes(ground);
    let told = join_all(nodes.iter().map(queues)).await.into_iter().collect::<Result<Vec<_>>>()?;
    for queue in told.iter().flatten() {
        ensure!(
            queue.members.len() == nodes.len() && queue.online.len() == nodes.len(),
            "{} has the members {:?}, of which {:?} are there",
            queue.name,
            queue.members,
            queue.online
        );
    }
    let leaders = told.iter().filter_map(|queues| queues.iter().find(|queue| queue.name == QUEUE));
    let mut leaders: Vec<_> = leaders.map(|queue| queue.leader.clone()).collect();
    leaders.dedup();
    let [leader] =
        <[String; 1]>::try_from(leaders).map_err(|leaders| anyhow::anyhow!("the leaders are {leaders:?}"))?;
    ensure!(before != Some(leader.as_str()), "the API still tells of the leader that was killed");
    Ok(leader)
}

/// What one node knows of them.
async fn queues(node: &Node) -> Result<Vec<Queue>> {
    let url = format!("{}/api/queues/{VHOST}", addresses::management_of(node.ports));
    Ok(reqwest::get(url).await?.error_for_status()?.json().await?)
}

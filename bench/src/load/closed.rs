//! As fast as it goes: every connection asks again as soon as it was answered.

use std::net::SocketAddr;

use anyhow::{Result, ensure};
use tokio::{task::JoinSet, time::Instant};

use super::{client::Client, person};
use crate::rounds::Plan;

pub(crate) const REGISTER: &str = "/users/register";

/// How many registrations a second are answered with 201, over all `connections`, once warm.
pub(crate) async fn registrations(address: SocketAddr, connections: usize, plan: Plan) -> Result<f64> {
    let mut clients = Vec::new();
    for _ in 0..connections {
        clients.push(Client::connect(address).await?);
    }
    let from = Instant::now() + plan.warm_up;
    let mut asking = JoinSet::new();
    for client in clients {
        asking.spawn(ask(client, from, from + plan.length));
    }
    let mut answered = 0;
    while let Some(count) = asking.join_next().await {
        answered += count??;
    }
    Ok(f64::from(answered) / plan.length.as_secs_f64())
}

/// Returns how many answers came between the two.
async fn ask(mut client: Client, from: Instant, until: Instant) -> Result<u32> {
    let mut answered = 0;
    loop {
        let status = client.post(REGISTER, &person::body(&person::name())).await?;
        ensure!(status == 201, "a registration was answered with {status}");
        let now = Instant::now();
        if now >= until {
            return Ok(answered);
        }
        answered += u32::from(now >= from);
    }
}

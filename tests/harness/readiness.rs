//! What an orchestrator is told by the port for operations.

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;

use super::{eventually::eventually, http};

/// Status and body; why there is none when nobody answers.
pub async fn readiness(ops: SocketAddr) -> Result<(u16, Value), String> {
    let answer = http::client().get(format!("http://{ops}/health/ready")).send().await;
    let answer = answer.map_err(|error| error.to_string())?;
    Ok((answer.status().as_u16(), answer.json().await.map_err(|error| error.to_string())?))
}

pub async fn until_readiness(ops: SocketAddr, wanted: (u16, Value), deadline: Duration) {
    eventually(&format!("the readiness at {ops} is {wanted:?}"), deadline, async || {
        let answer = readiness(ops).await;
        if answer.as_ref() == Ok(&wanted) { Ok(()) } else { Err(answer) }
    })
    .await;
}

pub async fn until_status(ops: SocketAddr, wanted: u16, deadline: Duration) {
    eventually(&format!("the readiness at {ops} is {wanted}"), deadline, async || {
        let answer = readiness(ops).await;
        if answer.as_ref().is_ok_and(|(status, _)| *status == wanted) { Ok(()) } else { Err(answer) }
    })
    .await;
}

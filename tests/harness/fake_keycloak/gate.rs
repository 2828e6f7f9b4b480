//! A point in the middle of a request, at which a test stops it.

use std::time::Duration;

use tokio::{sync::oneshot, time::timeout};

use super::Endpoint;

/// The test's side.
pub struct Gate {
    endpoint: Endpoint,
    reached: oneshot::Receiver<()>,
    release: oneshot::Sender<()>,
}

impl Gate {
    /// Returns once a request stands before the gate.
    pub async fn reached(&mut self) {
        let reached = timeout(Duration::from_secs(20), &mut self.reached).await;
        reached.unwrap_or_else(|_| panic!("no request came to {:?}", self.endpoint)).expect("the server is there");
    }

    pub fn release(self) {
        // Nobody there any more is as good: the server went first.
        self.release.send(()).ok();
    }
}

/// The server's side.
struct Barrier {
    endpoint: Endpoint,
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

#[derive(Default)]
pub(super) struct Gates {
    before_effect: Vec<Barrier>,
    before_answer: Vec<Barrier>,
}

impl Gates {
    pub(super) fn before_effect(&mut self, endpoint: Endpoint) -> Gate {
        let (gate, barrier) = pair(endpoint);
        self.before_effect.push(barrier);
        gate
    }

    pub(super) fn before_answer(&mut self, endpoint: Endpoint) -> Gate {
        let (gate, barrier) = pair(endpoint);
        self.before_answer.push(barrier);
        gate
    }

    pub(super) fn stop_before_effect(&mut self, endpoint: Endpoint) -> Stop {
        Stop(take(&mut self.before_effect, endpoint))
    }

    pub(super) fn stop_before_answer(&mut self, endpoint: Endpoint) -> Stop {
        Stop(take(&mut self.before_answer, endpoint))
    }
}

/// A gate holds one request: the first that comes.
fn take(barriers: &mut Vec<Barrier>, endpoint: Endpoint) -> Option<Barrier> {
    let position = barriers.iter().position(|barrier| barrier.endpoint == endpoint)?;
    Some(barriers.remove(position))
}

fn pair(endpoint: Endpoint) -> (Gate, Barrier) {
    let ((reach, reached), (release, released)) = (oneshot::channel(), oneshot::channel());
    (Gate { endpoint, reached, release }, Barrier { endpoint, reached: reach, released })
}

/// Taken out of [`Gates`] while they are locked, awaited when they are free again.
pub(super) struct Stop(Option<Barrier>);

impl Stop {
    pub(super) async fn wait(self) {
        let Some(barrier) = self.0 else { return };
        // A gate that was dropped is open.
        if barrier.reached.send(()).is_ok() {
            drop(barrier.released.await);
        }
    }
}

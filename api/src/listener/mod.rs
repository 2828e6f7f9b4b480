//! An address that is bound before anything is served there, and connections that nobody can hold for ever.

mod connection;
mod peers;
mod stall;

use std::{future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::Router;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

pub use self::peers::Peers;
use self::peers::Seat;

/// A bound address.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

/// How long a client may keep a connection without moving anything on it, and how many there may be.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the first request's header, for a later one that has begun, and for an answer that nobody takes.
    pub stall: Duration,
    /// For the next request. Longer than load balancers keep a connection (60 s), so that they close it and not we
    /// just when they send.
    pub idle: Duration,
    /// More wait in the kernel's queue until one ends.
    pub connections: u32,
}

/// Why an address could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("could not listen on {address}, the value of {variable}")]
pub struct ListenError {
    variable: &'static str,
    address: SocketAddr,
    source: io::Error,
}

impl Listener {
    /// Binds `address`; `variable` is where it was configured.
    pub async fn bind(variable: &'static str, address: SocketAddr) -> Result<Self, ListenError> {
        let failed = |source| ListenError { variable, address, source };
        let socket = TcpListener::bind(address).await.map_err(failed)?;
        let address = socket.local_addr().map_err(failed)?;
        Ok(Self { socket, address })
    }

    /// The address, with the port that the system chose if it was left to it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Answers until `stop`, and then what is still in flight.
    pub async fn serve(self, router: Router, patience: Patience, peers: Peers, stop: impl Future<Output = ()>) {
        let places = Arc::new(Semaphore::new(usize::try_from(patience.connections).unwrap_or(Semaphore::MAX_PERMITS)));
        let (mut connections, draining) = (JoinSet::new(), CancellationToken::new());
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                (place, seat, stream, peer) = self.accept(&places, &peers) => {
                    let served = connection::serve(stream, peer, router.clone(), patience, draining.clone());
                    connections.spawn(async move {
                        served.await;
                        drop((place, seat));
                    });
                }
                Some(ended) = connections.join_next() => log_panic(&ended),
                () = &mut stop => break,
            }
        }
        // Nobody else is let in while the last ones are answered.
        drop(self.socket);
        draining.cancel();
        while let Some(ended) = connections.join_next().await {
            log_panic(&ended);
        }
    }

    async fn accept(
        &self,
        places: &Arc<Semaphore>,
        peers: &Peers,
    ) -> (Option<OwnedSemaphorePermit>, Seat, TcpStream, SocketAddr) {
        // Fails only when closed, which nobody does.
        let place = Arc::clone(places).acquire_owned().await.ok();
        loop {
            match self.socket.accept().await {
                Ok((stream, peer)) => {
                    if let Some(seat) = peers.admit(peer) {
                        return (place, seat, stream, peer);
                    }
                    tracing::debug!("a client has as many connections as it may");
                }
                Err(error) if is_about_one(&error) => {}
                Err(error) => {
                    // Out of file descriptors, say: others have to end first.
                    tracing::error!(%error, "cannot take connections; trying again");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

/// The client was gone before it was let in.
fn is_about_one(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn log_panic(ended: &Result<(), tokio::task::JoinError>) {
    if let Err(panic) = ended {
        tracing::error!(%panic, "a connection panicked; the others go on");
    }
}

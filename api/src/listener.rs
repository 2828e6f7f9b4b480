//! An address that is bound before anything is served there.

use std::{future::Future, io, net::SocketAddr};

use axum::{Router, serve::ListenerExt as _};
use tokio::net::TcpListener;

/// A bound address.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
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
    pub async fn serve(self, router: Router, stop: impl Future<Output = ()> + Send + 'static) -> io::Result<()> {
        let socket = self.socket.tap_io(|connection| {
            // Without it an answer may wait for the acknowledgement of the one before.
            connection.set_nodelay(true).ok();
        });
        axum::serve(socket, router).with_graceful_shutdown(stop).await
    }
}

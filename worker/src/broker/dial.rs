//! Connecting, and hanging up on a broker that does not answer.
//!
//! lapin shakes hands on a thread of its own, and goes on for ever when nobody waits any more: measured, a broker that
//! is frozen costs a thread and a socket at every try. So the socket is kept at hand, to be shut down.

use std::{
    io,
    net::{Shutdown, TcpStream},
    os::fd::AsFd as _,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use lapin::{
    AsyncTcpStream, Connection, ConnectionProperties, runtime::default_runtime, tcp::AMQPUriTcpExt as _, uri::AMQPUri,
};
use tokio::time::timeout;

use super::connection::{BrokerError, instance, within};
use crate::config::broker::{BrokerAddress, BrokerConfig, CALL_TIMEOUT};

/// Connects once, under a name that an operator recognises: `usher-worker/relay@host#pid`.
pub async fn connect(role: &str, address: &BrokerAddress) -> Result<Connection, BrokerError> {
    let name = format!("usher-worker/{role}@{}", instance());
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    let line = Arc::new(Line::default());
    let connected = within("connect to the broker", dial(address.uri(), properties, Arc::clone(&line))).await;
    if connected.is_err() {
        line.hang_up();
    }
    connected
}

/// Connects to the first node that answers.
pub async fn connect_to_any(role: &str, config: &BrokerConfig) -> Result<Connection, BrokerError> {
    let mut last = BrokerError::Lost;
    for address in config.addresses.all() {
        match connect(role, address).await {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn dial(uri: AMQPUri, properties: ConnectionProperties, line: Arc<Line>) -> lapin::Result<Connection> {
    Connection::connector(
        uri,
        default_runtime()?,
        async move |uri, runtime| {
            let stream = timeout(CALL_TIMEOUT, uri.connect_async(&runtime)).await.map_err(io::Error::from)??;
            match &stream {
                AsyncTcpStream::Plain(plain) => line.hold(plain.get_ref())?,
                AsyncTcpStream::Rustls(tls) => line.hold(tls.get_ref().0.get_ref())?,
                _ => {}
            }
            Ok(stream)
        },
        properties,
    )
    .await
}

/// The socket of one try, once there is one.
#[derive(Default)]
struct Line {
    socket: OnceLock<TcpStream>,
    given_up: AtomicBool,
}

impl Line {
    fn hold(&self, stream: &tokio::net::TcpStream) -> io::Result<()> {
        let socket = TcpStream::from(stream.as_fd().try_clone_to_owned()?);
        let socket = self.socket.get_or_init(|| socket);
        // It may have been too late already.
        if self.given_up.load(Ordering::SeqCst) { socket.shutdown(Shutdown::Both) } else { Ok(()) }
    }

    fn hang_up(&self) {
        self.given_up.store(true, Ordering::SeqCst);
        if let Some(socket) = self.socket.get() {
            // Gone already is as good.
            socket.shutdown(Shutdown::Both).ok();
        }
    }
}

//! A port of this test's own, on which nobody answers yet.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket};

/// The port is held by a socket that is bound and does not listen: connections are refused, nobody else is given the
/// port, and, since both sides ask for address reuse, a server can still bind and listen on it. So a service can be down
/// first, up later and down again at one and the same address.
pub struct ReservedPort {
    address: SocketAddr,
    _bound: TcpSocket,
}

impl Default for ReservedPort {
    fn default() -> Self {
        Self::new()
    }
}

impl ReservedPort {
    pub fn new() -> Self {
        let bound = bind((Ipv4Addr::LOCALHOST, 0).into());
        Self { address: bound.local_addr().expect("a bound socket has an address"), _bound: bound }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn number(&self) -> u16 {
        self.address.port()
    }

    pub fn listen(&self) -> TcpListener {
        bind(self.address).listen(1024).expect("nobody else listens on a reserved port")
    }
}

fn bind(address: SocketAddr) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_reuseaddr(true).expect("a socket can reuse its address");
    socket.bind(address).expect("a port on loopback");
    socket
}

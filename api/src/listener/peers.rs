//! How many connections come from one address: whoever has an address to spare must not have all of them.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::limits::address::{Client, TrustedProxies};

/// The open connections of everybody.
#[derive(Debug, Clone)]
pub struct Peers {
    most: u32,
    proxies: TrustedProxies,
    open: Arc<Mutex<HashMap<Client, u32>>>,
}

/// One of them, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat {
    peers: Peers,
    client: Client,
}

impl Peers {
    /// `most` from one address, unless it is one of `proxies`, where many people's connections come from.
    pub fn new(most: u32, proxies: TrustedProxies) -> Self {
        Self { most, proxies, open: Arc::default() }
    }

    /// The same rule with a count of its own: whoever fills one port fills no other.
    #[must_use]
    pub fn counted_apart(&self) -> Self {
        Self { open: Arc::default(), ..self.clone() }
    }

    /// `None` when the peer has as many as it may.
    pub(super) fn admit(&self, peer: SocketAddr) -> Option<Seat> {
        let address = peer.ip().to_canonical();
        let client = Client::of(address);
        let mut open = self.open();
        let of_client = open.entry(client).or_default();
        if *of_client >= self.most && !self.proxies.is_ours(address) {
            return None;
        }
        *of_client += 1;
        Some(Seat { peers: self.clone(), client })
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Client, u32>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whoever has none left is forgotten.
impl Drop for Seat {
    fn drop(&mut self) {
        if let Entry::Occupied(mut of_client) = self.peers.open().entry(self.client) {
            *of_client.get_mut() -= 1;
            if *of_client.get() == 0 {
                of_client.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::config::Setting as _;

    use super::*;

    fn peer(address: &str) -> SocketAddr {
        SocketAddr::new(address.parse().unwrap(), 1)
    }

    #[test]
    fn each_address_has_so_many_and_a_proxy_as_many_as_it_likes() {
        let peers = Peers::new(1, TrustedProxies::parse("10.0.0.0/8").unwrap());
        let first = peers.admit(peer("198.51.100.7"));
        assert!(first.is_some() && peers.admit(peer("::ffff:198.51.100.7")).is_none());
        let others = ["198.51.100.8", "2001:db8::1", "10.0.0.1", "10.0.0.1"].map(|other| peers.admit(peer(other)));
        assert!(others.iter().all(Option::is_some) && peers.admit(peer("2001:db8::2")).is_none());
        drop(first);
        assert!(peers.admit(peer("198.51.100.7")).is_some());
        drop(others);
        assert!(peers.open().is_empty());
    }
}

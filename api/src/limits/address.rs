//! Whose request it is: the client's address, as far as it can be believed.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use axum::http::HeaderMap;
use ipnet::IpNet;
use shared::config::Setting;

/// Those whose word about the address of a client is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Who is counted as one: an IPv4 address, or an IPv6 network of 64 bits, which is the least that anybody is given and
/// holds more addresses than could be counted one by one (RFC 6177).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

impl Setting for TrustedProxies {
    const EXPECTED: &'static str = "a list of addresses and networks, such as 10.0.0.0/8,2001:db8::1";

    fn parse(raw: &str) -> Option<Self> {
        let network = |part: &str| part.parse::<IpNet>().ok().or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from));
        raw.split(',').map(|part| network(part.trim())).collect::<Option<_>>().map(Self)
    }

    fn written(&self) -> String {
        self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }
}

impl TrustedProxies {
    /// The peer, unless it is a proxy of ours: then whom it names, the last name in the header being its own. Names
    /// further to the left were written by whoever stands before it, so they count only if that is a proxy of ours too.
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> Client {
        let mut believed = peer.ip().to_canonical();
        for named in named(headers) {
            if !self.is_ours(believed) {
                break;
            }
            // What is no address was not written by a proxy of ours.
            let Some(address) = named else { break };
            believed = address;
        }
        Client::of(believed)
    }

    pub fn is_ours(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// `X-Forwarded-For` from right to left; a header that comes several times is one list (RFC 9110, section 5.3).
fn named(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines = headers.get_all("x-forwarded-for").iter().rev();
    lines.flat_map(|line| line.to_str().unwrap_or("?").rsplit(',').map(|name| address(name.trim())))
}

/// With or without a port.
fn address(name: &str) -> Option<IpAddr> {
    let address = name.parse().ok().or_else(|| name.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Client {
    pub(super) const UNKNOWN: Self = Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED));

    pub fn of(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & NETWORK)),
        })
    }
}

const NETWORK: u128 = !(u64::MAX as u128);

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &str, peer: &str, forwarded: &[&'static str]) -> String {
        let trusted = TrustedProxies::parse(trusted).unwrap();
        let peer = SocketAddr::new(peer.parse().unwrap(), 1);
        let mut headers = HeaderMap::new();
        for line in forwarded {
            headers.append("x-forwarded-for", line.parse().unwrap());
        }
        trusted.client(peer, &headers).0.to_string()
    }

    #[test]
    fn a_stranger_is_not_believed() {
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &[]), "192.0.2.1");
    }

    #[test]
    fn a_proxy_of_ours_is_believed_about_the_one_before_it() {
        let ours = "10.0.0.0/8,2001:db8:1::/48";
        for (forwarded, expected) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            // What the client made up stands to the left.
            (&["203.0.113.9, 198.51.100.7"], "198.51.100.7"),
            (&["203.0.113.9", "198.51.100.7"], "198.51.100.7"),
            // Through two proxies of ours.
            (&["203.0.113.9, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            (&["198.51.100.7, 2001:db8:1::2"], "198.51.100.7"),
            // Nobody but us.
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&[], "10.0.0.1"),
            // Not an address: nobody further left is believed.
            (&["198.51.100.7, unknown"], "10.0.0.1"),
            (&["198.51.100.7:4711"], "198.51.100.7"),
        ] {
            assert_eq!(client(ours, "10.0.0.1", forwarded), expected, "{forwarded:?}");
        }
    }

    #[test]
    fn a_network_of_64_bits_is_one_client() {
        assert_eq!(client("::1", "2001:db8::1:2:3:4", &[]), "2001:db8::");
        assert_eq!(client("::1", "::1", &["2001:db8:0:9:1::"]), "2001:db8:0:9::");
        assert_eq!(client("10.0.0.1", "::ffff:192.0.2.1", &[]), "192.0.2.1", "IPv4 in IPv6 clothes");
        assert_eq!(client("10.0.0.1", "::ffff:10.0.0.1", &["192.0.2.1"]), "192.0.2.1");
    }

    #[test]
    fn a_list_is_addresses_and_networks() {
        for bad in ["proxy", "10.0.0.0/33", "10.0.0.1,", ""] {
            assert_eq!(TrustedProxies::parse(bad), None, "{bad}");
        }
    }
}

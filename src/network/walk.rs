//! Decides whom a chain of proxies speaks for.
//!
//! 1. It begins at the other end of the socket. Who is not listed speaks for itself alone.
//! 2. A listed proxy is believed about one thing: who was in front of it. That is the last entry which nobody has taken
//!    yet, so the list is read from the right; what a client wrote itself is further left, and is never reached.
//! 3. So it goes on while the one in front is listed too, over at most so many proxies as the deployment has.
//! 4. An entry that names no address ends it, and nobody beyond the last listed proxy is known: the peer is that proxy.
//!
//! Linear in the bytes that are read; never more than [`MOST`] entries.
//!
//! It does not read `Forwarded`, whose entries come from [`super::forwarded`].
//! # Deployment caveat
//! A client whose own address is listed may name anybody. List proxies, not the network that clients are in too.

use std::net::IpAddr;

use super::node;

/// The networks that proxies are in.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    four: Vec<(u32, u32)>,
    six: Vec<(u128, u128)>,
    unix: bool,
}

/// Somebody on the way: an address, a Unix socket, or who cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Party {
    /// By its address; an IPv4 address never stands in IPv6 clothes.
    Address(IpAddr),
    /// On this machine, by a socket in the file system.
    Unix,
    /// The server said something that is neither.
    Unknown,
}

/// Why a walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// At somebody who is not listed, or as many proxies away as there may be.
    Client,
    /// No entry was left: a listed proxy speaks for itself, or somebody in front of it said nothing.
    Short,
    /// An entry names no address.
    Malformed,
}

/// Where a walk came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// The farthest address that is vouched for.
    pub peer: Party,
    /// Proxies that were believed.
    pub depth: usize,
    /// Why it ended.
    pub end: End,
}

impl Proxies {
    /// No proxies yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a network: an address and how many of its leading bits count. False if there are not so many.
    #[must_use]
    pub fn add(&mut self, address: IpAddr, bits: u32) -> bool {
        match address {
            IpAddr::V4(address) if bits <= 32 => {
                let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
                self.four.push((address.to_bits() & mask, mask));
            }
            IpAddr::V6(address) if bits <= 128 => {
                let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
                self.six.push((address.to_bits() & mask, mask));
            }
            _ => return false,
        }
        true
    }

    /// Whoever connects by a Unix socket is one too.
    pub fn add_unix(&mut self) {
        self.unix = true;
    }

    /// Whether it is one of them.
    pub fn has(&self, party: Party) -> bool {
        match party {
            Party::Unix => self.unix,
            Party::Unknown => false,
            Party::Address(IpAddr::V4(address)) => {
                self.four.iter().any(|(network, mask)| address.to_bits() & mask == *network)
            }
            Party::Address(IpAddr::V6(address)) => {
                self.six.iter().any(|(network, mask)| address.to_bits() & mask == *network)
            }
        }
    }

    /// Walks from who is at the other end of the socket, and *is* listed, over entries from the right.
    ///
    /// *hops* is how many proxies are believed at most.
    pub fn walk<'a>(
        &self,
        socket: Party,
        entries: impl Iterator<Item = Option<&'a str>>,
        hops: usize,
    ) -> Walk {
        let (mut peer, mut depth) = (socket, 0);
        let hops = hops.min(MOST);
        for entry in entries {
            if depth == hops || !self.has(peer) {
                return Walk { peer, depth, end: End::Client };
            }
            let Some(address) = entry.and_then(node::address) else {
                return Walk { peer, depth, end: End::Malformed };
            };
            peer = Party::Address(address);
            depth += 1;
        }
        let ended = depth == hops || !self.has(peer);
        Walk { peer, depth, end: if ended { End::Client } else { End::Short } }
    }
}

/// Entries that are read at most.
pub const MOST: usize = 64;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn proxies() -> Proxies {
        let mut proxies = Proxies::new();
        assert!(proxies.add("10.0.0.0".parse().unwrap(), 8));
        assert!(proxies.add("2001:db8:1::".parse().unwrap(), 48));
        proxies.add_unix();
        proxies
    }

    fn walked(socket: &str, list: &str, hops: usize) -> (String, usize, End) {
        let socket = node::address(socket).map_or(Party::Unix, Party::Address);
        let walk = proxies().walk(socket, list.rsplit(',').map(Some), hops);
        let peer = match walk.peer {
            Party::Address(address) => address.to_string(),
            other => format!("{other:?}"),
        };
        (peer, walk.depth, walk.end)
    }

    #[test]
    fn a_list_is_read_from_the_right_as_far_as_proxies_are_listed() {
        use End::*;
        for (socket, list, hops, peer, depth, end) in [
            ("10.0.0.1", "192.0.2.1", 9, "192.0.2.1", 1, Client),
            // CVE-2025-46814, SmartIpKeyExtractor: what a client wrote stands on the left.
            ("10.0.0.1", "203.0.113.9, 192.0.2.1", 9, "192.0.2.1", 1, Client),
            ("10.0.0.1", "203.0.113.9,192.0.2.1,10.0.0.2", 9, "192.0.2.1", 2, Client),
            ("10.0.0.1", "192.0.2.1, 2001:db8:1::7, ::ffff:10.9.9.9", 9, "192.0.2.1", 3, Client),
            ("", "192.0.2.1", 9, "192.0.2.1", 1, Client),
            // GHSA-8xvm-856x-7hwp: a depth beyond the chain's reaches nothing that the client wrote.
            ("10.0.0.1", "203.0.113.9, 192.0.2.1", 64, "192.0.2.1", 1, Client),
            ("10.0.0.1", "192.0.2.1, 10.0.0.2", 1, "10.0.0.2", 1, Client),
            ("10.0.0.1", "10.0.0.3, 10.0.0.2", 9, "10.0.0.3", 2, Short),
            ("10.0.0.1", "unknown", 9, "10.0.0.1", 0, Malformed),
            ("10.0.0.1", "192.0.2.1, ", 9, "10.0.0.1", 0, Malformed),
            ("10.0.0.1", "192.0.2.1, _hidden, 10.0.0.2", 9, "10.0.0.2", 1, Malformed),
            ("10.0.0.1", "garbage, 192.0.2.1", 9, "192.0.2.1", 1, Client),
        ] {
            assert_eq!(walked(socket, list, hops), (peer.into(), depth, end), "{socket} {list}");
        }
    }

    #[test]
    fn a_long_list_of_listed_addresses_ends() {
        let list = vec!["10.0.0.2"; 10_000].join(",");
        assert_eq!(walked("10.0.0.1", &list, usize::MAX), ("10.0.0.2".into(), MOST, End::Client));
    }

    #[test]
    fn all_bits_and_none_are_networks() {
        let mut proxies = Proxies::new();
        assert!(proxies.add("192.0.2.1".parse().unwrap(), 32));
        assert!(proxies.add("::".parse().unwrap(), 0));
        assert!(!proxies.add("192.0.2.1".parse().unwrap(), 33));
        assert!(proxies.has(Party::Address("192.0.2.1".parse().unwrap())));
        assert!(!proxies.has(Party::Address("192.0.2.2".parse().unwrap())));
        assert!(proxies.has(Party::Address("2001:db8::1".parse().unwrap())));
        assert!(!proxies.has(Party::Unix) && !proxies.has(Party::Unknown));
    }
}

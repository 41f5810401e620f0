//! Keyed hashes: what stands in the table in the place of names and addresses.
//!
//! SipHash-1-3 with the table's own 128 bits: nobody without them can tell whose counters these are, or choose names
//! that share a place.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;

use super::observation::{Observation, Signs};
use super::sent::Source;
use super::share::source_of;

/// The key of a table.
#[derive(Clone, Copy)]
pub struct Keys([u8; 16]);

/// What is known of a request, in clear. It lives as long as it takes to hash it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// 4 bytes of an IPv4 address, or 16 of IPv6 with all beyond the client's prefix zero; empty if it is not known.
    pub address: &'a [u8],
    /// Who it was.
    pub principal: &'a [u8],
    /// Which credential.
    pub token: &'a [u8],
    /// Who vouches for both: of another issuer, each is another.
    pub issuer: Option<&'a [u8]>,
    /// Which account a login named.
    pub account: &'a [u8],
    /// What was asked for: the path.
    pub place: &'a [u8],
    /// What was asked for: the query.
    pub query: &'a [u8],
    /// Whose doing it was.
    pub source: Source,
    /// Whether its principal is known by what no browser adds by itself.
    pub is_deliberate: bool,
    /// What was wrong: a route, a code and a reason.
    pub kind: [&'a [u8]; 3],
}

impl Keys {
    /// From 128 random bits, kept with the table.
    pub fn new(seed: [u8; 16]) -> Self {
        Self(seed)
    }

    /// The request in hashes.
    pub fn observe(&self, known: &Known<'_>, at: u64, unix: u64, signs: Signs, bytes: u64) -> Observation {
        let address = known.address;
        // A /24 of IPv4; of IPv6 the client's own prefix is a network.
        let network = if address.len() == 4 { address.get(..3).unwrap_or_default() } else { address };
        let kind = if known.kind.iter().all(|part| part.is_empty()) {
            0
        } else {
            let mut hasher = self.hasher(b'k');
            for part in known.kind {
                hasher.write_u64(part.len() as u64);
                hasher.write(part);
            }
            hasher.finish().max(1)
        };
        let network = self.of(b'n', network);
        let place = self.of(b'w', known.place);
        Observation {
            at,
            now: at,
            unix,
            signs,
            source: self.source(address, network),
            address: self.of(b'a', address),
            network,
            is_v6: address.len() == 16,
            principal: self.of_issuer(b'p', known.principal, known.issuer),
            token: self.of_issuer(b't', known.token, known.issuer),
            account: self.of(b'u', known.account),
            place,
            object: if known.query.is_empty() { place } else { self.object(known.place, known.query) },
            sent_by: known.source,
            is_deliberate: known.is_deliberate,
            kind,
            bytes,
        }
    }

    /// The wide and the narrow network of an address, whose own network is hashed already.
    #[inline]
    pub fn source(&self, address: &[u8], network: u64) -> u32 {
        // A /16 of IPv4, a /32 of IPv6.
        let wide = address.get(..if address.len() == 4 { 2 } else { 4 }).unwrap_or_default();
        // A /24 of IPv4, a /48 of IPv6.
        let narrow =
            if address.len() == 4 { network } else { self.of(b's', address.get(..6).unwrap_or_default()) };
        source_of(self.of(b's', wide), narrow)
    }

    /// The hash of what is called so, as a thing of this kind; 0 of nothing.
    #[inline]
    pub fn of(&self, kind: u8, text: &[u8]) -> u64 {
        if text.is_empty() {
            return 0;
        }
        let mut hasher = self.hasher(kind);
        hasher.write(text);
        hasher.finish().max(1)
    }

    /// The hash of what an issuer calls so; 0 of nothing.
    #[inline]
    pub fn of_issuer(&self, kind: u8, text: &[u8], issuer: Option<&[u8]>) -> u64 {
        let Some(issuer) = issuer.filter(|_| !text.is_empty()) else { return self.of(kind, text) };
        let mut hasher = self.hasher(kind);
        hasher.write(&(issuer.len() as u64).to_le_bytes());
        hasher.write(issuer);
        hasher.write(text);
        hasher.finish().max(1)
    }

    /// The hash of a path with its query, but for what is there to get round a cache.
    fn object(&self, place: &[u8], query: &[u8]) -> u64 {
        let mut hasher = self.hasher(b'o');
        hasher.write_u64(place.len() as u64);
        hasher.write(place);
        for part in query.split(|&byte| byte == b'&').filter(|part| !part.starts_with(b"_=")) {
            hasher.write(part);
            hasher.write_u8(b'&');
        }
        hasher.finish().max(1)
    }

    fn hasher(&self, kind: u8) -> SipHasher13 {
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write_u8(kind);
        hasher
    }
}

/// Two hashes as one (the finisher of MurmurHash3): what is keyed stays so.
#[inline]
pub(super) fn mixed(one: u64, other: u64) -> u64 {
    let mut hash = one ^ other.rotate_left(32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    hash ^ (hash >> 33)
}

//! The part of a client's address that a limit counts by.
//!
//! - IPv4: the address. IPv6: its first 64 bits (or as many as configured), since one customer is
//!   given at least that many and can change the rest at will.
//! - An IPv4 address in IPv6 clothes is that IPv4 address: `::ffff:192.0.2.1`, `::ffff:c000:201` (RFC 4291 §2.5.5.2)
//!   and NAT64's `64:ff9b::c000:201` (RFC 6052). Masked like IPv6, all of them would be one client
//!   (CVE-2026-30827).
//! - Zone, port and brackets are dropped: `fe80::1%eth0`, `192.0.2.1:443`, `[::1]:443`.
//!
//! It does not decide whom to believe: which address is the client's is settled before, from trusted proxies.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::ConfigError;

/// How many leading bits of an IPv6 address make a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prefix(u8);

impl Prefix {
    /// 32 to 128 bits.
    pub fn new(bits: u32) -> Result<Self, ConfigError> {
        match u8::try_from(bits) {
            Ok(bits @ 32..=128) => Ok(Self(bits)),
            _ => Err(ConfigError::new(format!(
                "an IPv6 prefix has 32 to 128 bits, not {bits}. 64 is what one customer usually has, 56 what some have"
            ))),
        }
    }

    /// How many bits they are.
    pub fn bits(&self) -> u8 {
        self.0
    }

    /// A client's address as a key: 4 bytes, or 16 with all beyond the prefix zero. None if it is not an address: the caller
    /// must then count by something else, and not stop counting.
    #[inline]
    pub fn key(&self, text: &str) -> Option<AddressKey> {
        match text.parse::<Ipv4Addr>() {
            Ok(address) => Some(AddressKey::V4(address.octets())),
            Err(_) => self.other(text),
        }
    }

    fn other(&self, text: &str) -> Option<AddressKey> {
        let text = text.trim_ascii();
        if let Ok(address) = text.parse::<Ipv4Addr>() {
            return Some(AddressKey::V4(address.octets()));
        }
        if let Some((host, port)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            return if port.is_empty() || is_port(port) { self.six(host) } else { None };
        }
        match text.split_once(':') {
            Some((host, _)) if host.contains('.') => {
                let port = text.get(host.len()..).unwrap_or_default();
                let address = host.parse::<Ipv4Addr>().ok().filter(|_| is_port(port))?;
                Some(AddressKey::V4(address.octets()))
            }
            Some(_) => self.six(text),
            None => None,
        }
    }

    fn six(&self, text: &str) -> Option<AddressKey> {
        let (address, zone) =
            text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
        if zone.is_some_and(str::is_empty) {
            return None;
        }
        let address = address.parse::<Ipv6Addr>().ok()?;
        let bits = address.to_bits();
        if bits >> 32 == 0xFFFF || bits >> 32 == NAT64 {
            return Some(AddressKey::V4((bits as u32).to_be_bytes()));
        }
        let mask = u128::MAX << (128 - u32::from(self.0));
        Some(AddressKey::V6((bits & mask).to_be_bytes()))
    }
}

impl Default for Prefix {
    fn default() -> Self {
        Self(64)
    }
}

/// A client's address, as far as it identifies the client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKey {
    /// Four bytes of an IPv4 address.
    V4([u8; 4]),
    /// Sixteen bytes of an IPv6 address, masked.
    V6([u8; 16]),
}

impl AddressKey {
    /// The bytes to hash. The length tells the two kinds apart.
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }
}

/// `:443`
fn is_port(text: &str) -> bool {
    let digits = text.strip_prefix(':').unwrap_or_default();
    (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

/// 64:ff9b::/96, without its last 32 bits.
const NAT64: u128 = 0x0064_FF9B_0000_0000_0000_0000;

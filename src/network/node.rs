//! What one entry of a forwarding header names.
//!
//! 1. An IPv4 or IPv6 address, in brackets or not, with a port or not; a zone is dropped. An IPv4 address in IPv6
//!    clothes (`::ffff:192.0.2.1`, RFC 4291 §2.5.5.2) is that IPv4 address.
//! 2. Everything else names nobody: an empty entry, `unknown`, an obfuscated name such as `_hidden` (RFC 7239 §6.3), a
//!    host name, numbers with leading zeros, a port above 65535, anything longer than an address can be.
//!
//! It does not say whom to believe.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The address that an entry names; `None` if it names none.
pub fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches([' ', '\t']);
    if entry.len() > LONGEST {
        return None;
    }
    if let Ok(four) = entry.parse::<Ipv4Addr>() {
        return Some(IpAddr::V4(four));
    }
    if let Some(rest) = entry.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        return if port.is_empty() || port.strip_prefix(':').is_some_and(is_port) { six(host) } else { None };
    }
    match entry.split_once(':') {
        Some((host, port)) if host.contains('.') => {
            host.parse().ok().filter(|_| is_port(port)).map(IpAddr::V4)
        }
        Some(_) => six(entry),
        None => None,
    }
}

/// Whether a text is a port: one to five digits, 1 to 65535.
pub fn is_port(text: &str) -> bool {
    (1..=5).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_digit())
        && text.parse::<u32>().is_ok_and(|port| (1..=65535).contains(&port))
}

fn six(text: &str) -> Option<IpAddr> {
    let (address, zone) = text.split_once('%').map_or((text, None), |(address, zone)| (address, Some(zone)));
    let is_zone = |zone: &str| {
        !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
    };
    if !zone.is_none_or(is_zone) {
        return None;
    }
    let address = address.parse::<Ipv6Addr>().ok()?;
    Some(address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4))
}

/// Bytes: an IPv6 address of 45 with brackets, a port, and the name of an interface.
const LONGEST: usize = 96;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_one_in_all_its_spellings() {
        for text in [
            "192.0.2.1",
            " 192.0.2.1\t",
            "192.0.2.1:443",
            "::ffff:192.0.2.1",
            "::ffff:c000:201", // CVE-2026-30827: the hexadecimal spelling of the same
            "[::ffff:192.0.2.1]:443",
            "[::FFFF:192.0.2.1]",
        ] {
            assert_eq!(address(text), "192.0.2.1".parse().ok(), "{text}");
        }
        for text in ["2001:db8::1", "[2001:DB8::1]", "[2001:db8:0::1]:65535", "2001:db8::1%eth0"] {
            assert_eq!(address(text), "2001:db8::1".parse().ok(), "{text}");
        }
    }

    #[test]
    fn what_is_no_address_names_nobody() {
        for text in [
            "",
            " ",
            "unknown",
            "_hidden",
            "localhost",
            "192.0.2",
            "192.0.2.01",
            "0xC0.0.2.1",
            "3221225985",
            "192.0.2.1:",
            "192.0.2.1:0",
            "192.0.2.1:65536",
            "192.0.2.1:+80",
            "192.0.2.1:80:80",
            "192.0.2.1/32",
            "[192.0.2.1]",
            "[2001:db8::1",
            "2001:db8::1]",
            "[2001:db8::1]80",
            "[2001:db8::1]:",
            "2001:db8::1%",
            "2001:db8::1%e th",
            "\"192.0.2.1\"",
            "192.0.2.1 192.0.2.2",
            "192.0.2.1\u{a0}",
            "\u{ff11}92.0.2.1",
        ] {
            assert_eq!(address(text), None, "{text}");
        }
        assert_eq!(address(&format!("2001:db8::1%{}", "e".repeat(200))), None);
    }
}

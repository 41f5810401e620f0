//! Decides whether the host that a request names may be pinned to TLS (HSTS).
//!
//! Not, in this order:
//! 1. an IPv6 address, and what ends in a number, which is an IPv4 address: browsers ignore the field there
//!    (RFC 6797 §8.1.1), so whoever sends it was mistaken about its effect;
//! 2. `localhost` and what is below it (RFC 6761 §6.3): it is every developer's own machine. A pin that one project
//!    leaves there locks all others on the same name out of plain HTTP, and with `includeSubDomains` their subdomains.
//!
//! It does not decide whether the answer goes over TLS, nor whether the host is ours.

/// Whether a `Host` may be pinned; with or without a port, in any case.
///
/// An empty one may not: nobody would keep it.
pub fn may_be_pinned(host: &str) -> bool {
    if host.starts_with('[') {
        return false;
    }
    let name = host.split(':').next().unwrap_or_default();
    let name = name.strip_suffix('.').unwrap_or(name);
    let last = name.rsplit('.').next().unwrap_or_default();
    !(last.is_empty() || last.eq_ignore_ascii_case("localhost") || is_number(last))
}

/// What browsers read as a number where the last label of a host stands (WHATWG URL, "ends in a number").
fn is_number(label: &str) -> bool {
    let digits = |text: &str, known: fn(&u8) -> bool| text.bytes().all(|byte| known(&byte));
    match label.strip_prefix("0x").or_else(|| label.strip_prefix("0X")) {
        Some(hex) => digits(hex, u8::is_ascii_hexdigit),
        None => digits(label, u8::is_ascii_digit),
    }
}

#[cfg(test)]
mod tests {
    use super::may_be_pinned;

    #[test]
    fn a_name_may_be_pinned_whatever_its_port_case_and_dot() {
        for host in ["example.com", "API.Example.com:8443", "example.com.", "localhost.example.com", "a1.b2c"]
        {
            assert!(may_be_pinned(host), "{host}");
        }
    }

    #[test]
    fn localhost_and_addresses_are_never_pinned() {
        for host in [
            "localhost",
            "LOCALHOST:5000",
            "localhost.",
            "app.localhost",
            "127.0.0.1",
            "192.0.2.7:443",
            "127.1",
            "0x7f.0x1",
            "[::1]",
            "[2001:db8::1]:8443",
            "",
            ".",
            ":443",
        ] {
            assert!(!may_be_pinned(host), "{host}");
        }
    }
}

//! Reads an origin as a developer writes it, and gives it as browsers send it.
//!
//! An origin is `scheme://host` or `scheme://host:port`, and nothing else. In order:
//! 1. it is at most [`LONGEST`] bytes, without blanks, controls, backslashes, `%`, `@` and `*`;
//! 2. what follows the authority is refused, also a single `/`: an origin has no path;
//! 3. scheme and host are put in lower case, a name beyond ASCII becomes its A-labels, and the default port goes
//!    (RFC 6454 §6.2 "ASCII serialisation", WHATWG URL);
//! 4. an address stays as it was written, or is refused: `127.1` is `127.0.0.1` to browsers and something else to others;
//! 5. a name has labels of letters, digits, hyphens and underscores, and no dot at its end.
//!
//! `null` is no origin: every sandboxed frame and every `data:` page sends it. Schemes other than `http` and `https`
//! (`capacitor://localhost`) are taken as they are written, in lower case; those whose pages have no origin are not.
//!
//! # What it does not do
//! It resolves nothing, and says nothing of who may be trusted.
//!
//! Sources: RFC 6454; WHATWG URL; Fetch, "Origin header".

use url::{Host, Url};

/// Bytes of the longest origin: 64 of a scheme, 253 of a name, 5 of a port, and what is between them.
pub const LONGEST: usize = 64 + 3 + 253 + 1 + 5;

/// An origin in the form in which browsers send it. Only [`Origin::parse`] and [`Origin::sent`] make one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Origin {
    text: String,
    scheme: usize,
    host: usize,
}

impl Origin {
    /// Reads *text*, and puts it in the form in which browsers send it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > LONGEST || text.chars().any(misleads) {
            return None;
        }
        let (scheme, authority) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        if authority.contains(['/', '?', '#']) || !is_scheme(&scheme) {
            return None;
        }
        if scheme != "http" && scheme != "https" {
            return Self::sent(&format!("{scheme}://{authority}"));
        }
        let (written, port) = split_port(authority)?;
        let url = Url::parse(&format!("{scheme}://{authority}/")).ok()?;
        let host = match url.host()? {
            Host::Domain(name) => is_name(name).then(|| name.to_owned())?,
            address => Some(address.to_string()).filter(|found| found.eq_ignore_ascii_case(written))?,
        };
        // Read by ourselves: the crate takes `:` and `:0443` for the default port.
        let port = match port {
            Some(port) => Some(number(port)?).filter(|_| url.port().is_some()),
            None => None,
        };
        let port = port.map(|port| format!(":{port}")).unwrap_or_default();
        Some(Self { text: format!("{scheme}://{host}{port}"), scheme: scheme.len(), host: host.len() })
    }

    /// Reads what a browser has sent, which is in its one form already; anything else is no origin. Touches no heap before
    /// it is known to be one.
    #[must_use]
    pub fn sent(text: &str) -> Option<Self> {
        let (scheme, host, _) = parts(text)?;
        Some(Self { text: text.to_owned(), scheme: scheme.len(), host: host.len() })
    }

    /// As browsers send it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// In lower case, such as `https`.
    #[must_use]
    pub fn scheme(&self) -> &str {
        self.text.get(..self.scheme).unwrap_or_default()
    }

    /// A name in lower case, or an address; an IPv6 one in brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        self.text.get(self.scheme + 3..self.scheme + 3 + self.host).unwrap_or_default()
    }

    /// Whether it is a page of this very machine, on which HTTP is as safe as HTTPS (W3C Secure Contexts §3.1).
    #[must_use]
    pub fn is_local(&self) -> bool {
        is_local(self.host())
    }
}

/// Scheme, host and port of an origin in the form in which browsers send it.
pub(super) fn parts(text: &str) -> Option<(&str, &str, Option<u16>)> {
    if text.len() > LONGEST || !text.is_ascii() {
        return None;
    }
    let (scheme, authority) = text.split_once("://")?;
    let (host, port) = split_port(authority)?;
    let port = match port {
        Some(port) => Some(number(port)?),
        None => None,
    };
    let is_default = matches!((scheme, port), ("http", Some(80)) | ("https", Some(443)));
    let is_host = if host.starts_with('[') { is_ipv6(host) } else { is_name(host) };
    (is_scheme(scheme) && !is_default && is_host).then_some((scheme, host, port))
}

/// Whether a host is this machine in every resolver that browsers have.
pub(super) fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "[::1]") || host.ends_with(".localhost")
}

/// Whether *host* is an address, and no name.
pub(super) fn is_address(host: &str) -> bool {
    // A name that ends in a number is an IPv4 address to browsers (WHATWG URL, "ends in a number").
    host.starts_with('[')
        || host.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()))
}

fn split_port(authority: &str) -> Option<(&str, Option<&str>)> {
    let end = if authority.starts_with('[') { authority.find(']')? + 1 } else { 0 };
    let (address, rest) = authority.split_at_checked(end)?;
    match rest.split_once(':') {
        None => (address.is_empty() || rest.is_empty()).then_some((authority, None)),
        Some((name, port)) if address.is_empty() => Some((name, Some(port))),
        Some(("", port)) => Some((address, Some(port))),
        Some(_) => None,
    }
}

/// 1 to 65535, without zeros before it.
fn number(port: &str) -> Option<u16> {
    let is_plain =
        port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit()) && !port.starts_with('0');
    if is_plain { port.parse().ok() } else { None }
}

fn is_scheme(scheme: &str) -> bool {
    let mut bytes = scheme.bytes();
    let starts = bytes.next().is_some_and(|byte| byte.is_ascii_lowercase());
    let goes_on = bytes
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.'));
    // Pages of these have the origin `null` (WHATWG URL, "origin"), or are no pages.
    let has_none =
        matches!(scheme, "about" | "blob" | "data" | "file" | "filesystem" | "javascript" | "ws" | "wss");
    starts && goes_on && scheme.len() <= 64 && !has_none
}

/// A name of labels that are not empty, in lower case; or an IPv4 address as browsers write it.
fn is_name(host: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_'))
    };
    host.len() <= 253
        && host.split('.').all(is_label)
        && (!is_address(host) || host.parse::<std::net::Ipv4Addr>().is_ok())
}

/// An IPv6 address in brackets, in the one form of WHATWG URL, without a zone.
fn is_ipv6(host: &str) -> bool {
    let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let address = inner.and_then(|inner| inner.parse::<std::net::Ipv6Addr>().ok());
    address.is_some_and(|address| Host::<String>::Ipv6(address).to_string() == host)
}

fn misleads(c: char) -> bool {
    c.is_whitespace() || c.is_control() || matches!(c, '\\' | '%' | '@' | '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<String> {
        Origin::parse(text).map(|origin| origin.as_str().to_owned())
    }

    #[test]
    fn an_origin_is_put_in_the_form_in_which_browsers_send_it() {
        for (text, sent) in [
            ("https://example.com", "https://example.com"),
            ("HTTPS://Example.COM:443", "https://example.com"),
            ("http://example.com:80", "http://example.com"),
            ("https://example.com:80", "https://example.com:80"),
            ("https://b\u{fc}cher.example", "https://xn--bcher-kva.example"),
            ("http://127.0.0.1:5000", "http://127.0.0.1:5000"),
            ("http://[::1]:5000", "http://[::1]:5000"),
            ("capacitor://localhost", "capacitor://localhost"),
        ] {
            assert_eq!(read(text).as_deref(), Some(sent), "{text}");
            assert_eq!(Origin::sent(sent).map(|origin| origin.as_str().to_owned()).as_deref(), Some(sent));
        }
    }

    #[test]
    fn what_is_more_or_less_than_an_origin_is_none() {
        for text in [
            "",
            "null",
            "*",
            "example.com",
            "https://",
            "https://example.com/",
            "https://example.com?",
            "https://a#",
            "https://example.com/path",
            "https://user@example.com",
            "https://example.com.",
            "https://.example.com",
            "https://a..b",
            "https://example.com:",
            "https://example.com:0",
            "https://example.com:0443",
            "https://example.com:65536",
            "https://example.com:+1",
            "https://exam ple.com",
            "https://example.com\n",
            "https:\\\\example.com",
            "https:example.com",
            "https:///example.com",
            "https://%65xample.com",
            "https://127.1",
            "https://0x7f.1",
            "https://2130706433",
            "https://[::1",
            "https://[::1]a",
            "https://::1",
            "https://[0:0:0:0:0:0:0:1]",
            "https://[fe80::1%25eth0]",
            "https://*.example.com",
            "file://a",
            "data://a",
            "https://a.example https://b.example",
            "https://a,https://b",
            "javascript://a",
            "1a://b",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read(&format!("https://{}", "a".repeat(LONGEST))), None);
    }

    #[test]
    fn what_is_sent_has_one_form() {
        for text in [
            "https://EXAMPLE.com",
            "HTTPS://example.com",
            "https://example.com:443",
            "http://example.com:80",
            "https://b\u{fc}cher.example",
            "https://[::0001]",
            "https://1.2.3.04",
            "https://1.2.3",
        ] {
            assert_eq!(Origin::sent(text), None, "{text}");
        }
        let origin =
            Origin::sent("https://a.example:8443").map(|it| (it.scheme().to_owned(), it.host().to_owned()));
        assert_eq!(origin, Some(("https".to_owned(), "a.example".to_owned())));
    }
}

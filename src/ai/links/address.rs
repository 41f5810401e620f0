//! Decides whether an address leads to a listed host, however it is read.
//!
//! An address is allowed when all of these hold; what readers read differently is refused, never repaired:
//! 1. it is at most 2,048 characters of those that addresses are written in: no blank, backslash, quote, bracket or control,
//!    letters beyond ASCII only behind the host;
//! 2. it begins with a listed scheme and `://`, and the host follows at once: no user, no `@`, nothing percent-encoded or
//!    spelled by HTML's references; a port is digits;
//! 3. the host is on the list: `a.example` is that host alone, `*.a.example` each host below it; a port counts if it is not
//!    the scheme's own;
//! 4. what browsers make of it (WHATWG URL) has the same host and port;
//! 5. where a bound is set, what of it a sender may choose (the part of the host that `*` stands for, path, query, fragment)
//!    holds no more than so many bits, by the entropy of its own characters.
//!
//! `mailto:` and `tel:` have no host: listed as schemes, they are allowed. A destination that is one word, or a fragment, leads
//! nowhere else. Others without a scheme are allowed if relative addresses are.
//!
//! Sources: WHATWG URL; RFC 3986; "A New Era of SSRF" (O. Tsai, 2017).

use psl::Psl as _;
use url::Url;

use super::LinksRules;
use crate::error::ConfigError;

/// What an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Allowed,
    /// A host that is not listed, but a readable one, of a listed scheme or a web one.
    Unlisted,
    /// A listed host, with more data in the address than may be.
    Data,
    /// Anything else: another scheme, or an address that readers differ about.
    Unreadable,
}

/// A host that is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    name: String,
    /// Whether those below it are meant.
    below: bool,
    port: Option<u16>,
}

impl Host {
    pub(super) fn read(text: &str) -> Result<Self, ConfigError> {
        let wrong = |hint: &str| Err(ConfigError::new(format!("hosts: {text:?} is not a host{hint}")));
        if text.contains("://") || text.contains('/') {
            return wrong(". Leave out the scheme and the path: \"cdn.example.com\"");
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(name) => (true, name),
            None => (false, text),
        };
        if name.contains('*') {
            return wrong(". A star stands at the beginning alone: \"*.example.com\"");
        }
        let Some(url) = Url::parse(&format!("https://{name}/")).ok().filter(|url| url.username().is_empty())
        else {
            return wrong("");
        };
        let read = url.host_str().unwrap_or_default();
        let full = url.port().map_or_else(|| read.to_owned(), |port| format!("{read}:{port}"));
        if full != name || name.contains('[') {
            return wrong(&format!(" as browsers write it. Did you mean {full:?}?"));
        }
        if below && psl::List.suffix(read.as_bytes()).is_some_and(|suffix| suffix == read.as_bytes()) {
            return wrong(": anybody may have a host below it. List those that are meant");
        }
        Ok(Self { name: read.to_owned(), below, port: url.port() })
    }

    /// What of *host* a sender may choose, if this one allows it.
    fn allows<'h>(&self, host: &'h str, port: Option<u16>) -> Option<&'h str> {
        if port != self.port {
            return None;
        }
        if !self.below {
            return (host == self.name).then_some("");
        }
        host.strip_suffix(&self.name)?.strip_suffix('.').filter(|chosen| !chosen.is_empty())
    }
}

/// What *address* is, by the rules.
pub(super) fn judge(rules: &LinksRules, hosts: &[Host], address: &str) -> Verdict {
    if address.len() > LONGEST {
        return Verdict::Unreadable;
    }
    if is_word(address) {
        return Verdict::Allowed;
    }
    if !address.chars().all(|c| is_written(c) || (!c.is_ascii() && c.is_alphanumeric())) {
        return Verdict::Unreadable;
    }
    let Some((scheme, rest)) = address.split_once(':').filter(|(scheme, _)| is_scheme(scheme)) else {
        return if rules.relative && is_relative(address) { Verdict::Allowed } else { Verdict::Unreadable };
    };
    let scheme = scheme.to_ascii_lowercase();
    let listed = rules.schemes.contains(&scheme);
    if matches!(scheme.as_str(), "mailto" | "tel") {
        return if listed && !rest.starts_with('/') { Verdict::Allowed } else { Verdict::Unreadable };
    }
    if !matches!(scheme.as_str(), "http" | "https" | "ftp" | "ws" | "wss") {
        return Verdict::Unreadable;
    }
    let Some(rest) = rest.strip_prefix("//") else { return Verdict::Unreadable };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, beyond) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let Some((host, port)) = authority_of(authority) else { return Verdict::Unreadable };
    // Two readers, one host.
    let Ok(url) = Url::parse(address) else { return Verdict::Unreadable };
    let host = host.to_ascii_lowercase();
    let port = port.filter(|port| Some(*port) != default_port(&scheme));
    if url.host_str() != Some(&host)
        || url.port() != port
        || !url.username().is_empty()
        || url.password().is_some()
    {
        return Verdict::Unreadable;
    }
    let Some(chosen) = hosts.iter().find_map(|listed| listed.allows(&host, port)) else {
        return Verdict::Unlisted;
    };
    if !listed {
        return Verdict::Unlisted;
    }
    if rules.data_bits.is_some_and(|most| bits(&[chosen, beyond]) > f64::from(most)) {
        return Verdict::Data;
    }
    Verdict::Allowed
}

/// What addresses are written in.
fn is_written(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~:/?#@!$&'()*+,;=%".contains(c)
}

/// One word, or a fragment: it names something here.
pub(super) fn is_word(address: &str) -> bool {
    let word = address.strip_prefix('#').unwrap_or(address);
    word.chars().all(|c| c.is_alphanumeric() || "_-.,;!*~+=\"'(){}|^$".contains(c))
}

/// Whether `scheme:…` is a path in code, such as `std::string`, which no program of a reader's follows.
pub(super) fn is_path(address: &str) -> bool {
    let Some((scheme, rest)) = address.split_once("::") else { return false };
    !is_followed(scheme)
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:,&*".contains(&b))
}

/// Whether some program follows, or runs, what has this scheme.
pub(super) fn is_followed(scheme: &str) -> bool {
    FOLLOWED.iter().any(|followed| followed.eq_ignore_ascii_case(scheme))
}

fn is_scheme(scheme: &str) -> bool {
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Whether it stays on this site: no host, no scheme, nothing that HTML would read as one of their signs.
fn is_relative(address: &str) -> bool {
    let first = address.split(['/', '?', '#']).next().unwrap_or_default();
    let references = address.match_indices('&').any(|(at, _)| {
        let name = address.get(at + 1..).unwrap_or_default();
        let end = name.find(|c: char| !c.is_ascii_alphanumeric() && c != '#').unwrap_or(name.len());
        name.get(end..).is_some_and(|rest| rest.starts_with(';')) || name.starts_with('#')
    });
    !address.starts_with("//") && !first.contains([':', '%', '@']) && !references
}

fn authority_of(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => {
            (host, Some(port.parse::<u16>().ok().filter(|_| port.bytes().all(|b| b.is_ascii_digit()))?))
        }
        None => (authority, None),
    };
    let is_host = !host.is_empty()
        && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'));
    is_host.then_some((host, port))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" | "ws" => Some(80),
        "https" | "wss" => Some(443),
        "ftp" => Some(21),
        _ => None,
    }
}

/// How many bits *parts* may carry: their length times the entropy of their characters, and the bits of the length.
fn bits(parts: &[&str]) -> f64 {
    let mut counts = [0_u32; 256];
    let all = || parts.iter().flat_map(|part| part.bytes());
    all().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = f64::from(counts.iter().sum::<u32>());
    let each = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count));
    let entropy: f64 = each.map(|count| count * (length / count).log2()).sum();
    entropy + (length + 1.0).log2()
}

/// The address as a text that no reader takes for a link, though people can read it.
pub(super) fn defanged(address: &str) -> String {
    let scheme =
        address.split_once("://").filter(|(scheme, _)| scheme.bytes().all(|b| b.is_ascii_alphabetic()));
    let (scheme, rest) = scheme.unwrap_or(("", address));
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, beyond) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let scheme = scheme.to_ascii_lowercase().replace('t', "x");
    let separator = if scheme.is_empty() { "" } else { "://" };
    let host = host.replace('.', "[.]");
    // Nothing in it may be a link of its own.
    let mut beyond = beyond.replace("//", "%2F%2F").replace('@', "%40");
    while let Some(at) = beyond.to_ascii_lowercase().find("www.") {
        beyond.replace_range(at + 3..at + 4, "%2E");
    }
    format!("{scheme}{separator}{host}{beyond}")
}

/// Whether `://…` is what `defanged` leaves behind a scheme, so that an answer that is filtered twice is as if it was once.
pub(super) fn is_defanged(address: &str) -> bool {
    let rest = address.strip_prefix("://").unwrap_or(address);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (host, beyond) = rest.split_at_checked(end).unwrap_or((rest, ""));
    let name = host.replace("[.]", "");
    name.len() < host.len()
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b':'))
        && beyond.chars().all(is_written)
        && !beyond.contains("//")
        && !beyond.contains('@')
        && !beyond.to_ascii_lowercase().contains("www.")
}

/// The longest address, in bytes.
pub(super) const LONGEST: usize = 2048;

const FOLLOWED: [&str; 15] = [
    "about",
    "blob",
    "data",
    "file",
    "ftp",
    "http",
    "https",
    "intent",
    "javascript",
    "mailto",
    "sms",
    "tel",
    "vbscript",
    "ws",
    "wss",
];

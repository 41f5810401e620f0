//! Decides whether a browser that is sent to an address stays on this site, or on one of those listed.
//!
//! An address is safe when all of these hold:
//! 1. it is at most 2048 bytes, without blanks, backslashes, controls and what else is not seen: browsers drop tabs
//!    and line ends from addresses, and read `\` as `/` (WHATWG URL §4.4);
//! 2. it is a path of this site, one `/` and no second one after it; or its scheme is `http` or `https`, followed by
//!    `://` and exactly one of the hosts listed, in ASCII, without user, on the port listed;
//! 3. its path, percent-decoded up to three times, hides no backslash and no control, and does not begin with `//` once
//!    its parameters are gone and its dots are resolved (`/..;//host`, `/;/host`): proxies do that to paths before they
//!    redirect in turn;
//! 4. the `url` crate, which reads addresses as browsers do, finds the same host.
//!
//! # What it does not do
//! It does not follow the address: a page of this site that redirects openly in turn is as bad as before. It knows nothing
//! of what is served under a path. A listed host is trusted wholly.
//!
//! Sources: WHATWG URL; RFC 3986; OWASP "Unvalidated Redirects and Forwards"; CWE-601; CVE-2021-23401, CVE-2023-49438
//! (Flask-User, Flask-Security-Too: `/\host`, `\\\host`).

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::characters::is_unseen;
use crate::error::ConfigError;

/// The hosts, beside this one, to which a browser may be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sites(Vec<String>);

impl Sites {
    /// Sites by their hosts: `"www.example.com"`, `"localhost:5000"`, `"[::1]"`. Names match whole, subdomains are others.
    ///
    /// # Errors
    /// If one is not a host as browsers write it: in lower case, ASCII (`xn--…`), without scheme, path or default port.
    pub fn new<'h>(hosts: impl IntoIterator<Item = &'h str>) -> Result<Self, ConfigError> {
        hosts.into_iter().map(site).collect::<Result<Vec<_>, _>>().map(Self)
    }
}

fn site(host: &str) -> Result<String, ConfigError> {
    let wrong = |hint: &str| Err(ConfigError::new(format!("hosts: {host:?} is not a host{hint}")));
    if host.contains("://") || host.contains('/') {
        return wrong(". Leave out the scheme and the path: \"www.example.com\"");
    }
    if host.contains('*') {
        return wrong(". Subdomains are listed one by one: who may make one could send browsers anywhere");
    }
    // As https, so that a port 80 stays: it is one there.
    match Url::parse(&format!("https://{host}/")).ok().and_then(|url| authority(&url)) {
        Some(read) if read == host => Ok(read),
        Some(read) if !host.contains('@') => wrong(&format!(" as browsers write it. Did you mean {read:?}?")),
        _ => wrong(""),
    }
}

/// *target*, if a browser sent there stays on this site or the *sites*.
pub fn safe_redirect<'t>(target: &'t str, sites: &Sites) -> Option<&'t str> {
    let is_safe = target.len() <= MAX && !target.chars().any(misleads) && {
        if target.starts_with('/') { is_path(target) } else { is_listed(target, sites) }
    };
    is_safe.then_some(target)
}

/// What browsers drop or read as something else, or what readers do not see.
fn misleads(c: char) -> bool {
    c == '\\' || c.is_whitespace() || is_unseen(c)
}

fn is_path(target: &str) -> bool {
    let path = before(target, &['?', '#']);
    // Any origin does; `.invalid` is nobody's (RFC 2606).
    let Ok(base) = Url::parse("https://site.invalid/") else { return false };
    let Ok(url) = base.join(target) else { return false };
    url.origin() == base.origin()
        && url.username().is_empty()
        && hides_nothing(path)
        && hides_nothing(url.path())
}

/// Whether a path stays one, however often it is decoded on its way.
fn hides_nothing(path: &str) -> bool {
    let mut path = Cow::Borrowed(path);
    for _ in 0..DECODED {
        let bare = without_parameters(&path);
        if bare.starts_with("//") || path.chars().any(|c| c == '\\' || c.is_control()) {
            return false;
        }
        // Dots that go leave what is after them, and what merges slashes leaves other dots: `/.//host`, `/././/host`,
        // `/a/..//host`, `/a//..//../host`.
        if bare.contains("//") && (bare.split('/').any(|part| part == "..") || begins_twice(&bare)) {
            return false;
        }
        match percent_decode_str(&path).decode_utf8() {
            Ok(Cow::Borrowed(_)) => return true,
            Ok(Cow::Owned(decoded)) => path = Cow::Owned(decoded),
            // Overlong slashes (0xC0 0xAF) are of this kind.
            Err(_) => return false,
        }
    }
    // Four layers of encoding are nobody's page.
    false
}

/// Whether two slashes are at the start of a path once the dots there are gone.
fn begins_twice(path: &str) -> bool {
    let mut parts = path.split('/').skip(1).skip_while(|part| *part == ".");
    parts.next() == Some("") && parts.next().is_some()
}

/// A path without the parameters of its parts, which some servers take off before they look for dots and slashes.
fn without_parameters(path: &str) -> Cow<'_, str> {
    if !path.contains(';') {
        return Cow::Borrowed(path);
    }
    let parts: Vec<&str> = path.split('/').map(|part| before(part, &[';'])).collect();
    Cow::Owned(parts.join("/"))
}

fn is_listed(target: &str, sites: &Sites) -> bool {
    let Some((scheme, rest)) = target.split_once("://") else { return false };
    let port = match scheme.to_ascii_lowercase().as_str() {
        "https" => ":443",
        "http" => ":80",
        _ => return false,
    };
    let written = before(rest, &['/', '?', '#']).to_ascii_lowercase();
    let host = written.strip_suffix(port).unwrap_or(&written);
    let Ok(url) = Url::parse(target) else { return false };
    // Two readings, one host: what was written, and what a browser makes of it.
    sites.0.iter().any(|site| site == host)
        && authority(&url).is_some_and(|read| read == host)
        && hides_nothing(before(rest.get(written.len()..).unwrap_or_default(), &['?', '#']))
        && hides_nothing(url.path())
}

/// Host, and port if it is not the scheme's own; none if there is a user.
fn authority(url: &Url) -> Option<String> {
    let host = url.host_str().filter(|_| url.username().is_empty() && url.password().is_none())?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}

fn before<'t>(text: &'t str, ends: &[char]) -> &'t str {
    text.split(ends).next().unwrap_or_default()
}

/// The longest address in bytes; longer ones do not pass all proxies either.
const MAX: usize = 2048;
/// How many layers of percent-encoding are looked through, and one more to see that nothing is left.
const DECODED: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(target: &str) -> bool {
        let sites = Sites::new(["www.example.com", "localhost:5000", "xn--bcher-kva.example", "[::1]"]);
        sites.is_ok_and(|sites| safe_redirect(target, &sites).is_some())
    }

    #[test]
    fn paths_of_this_site_and_listed_hosts_pass() {
        for target in [
            "/",
            "/next?page=2#top",
            "/a//b",
            "/caf%C3%A9",
            "/café",
            "/?next=https://evil.example/",
            "/a/../b",
            "/./a",
            "/.",
            "/a/.//b",
            "/.well-known//x",
            "/a;b//c",
            "/;a",
            "/a/;b/c",
            "/@user",
            "/a:b",
            "https://www.example.com",
            "https://www.example.com/a?b#c",
            "http://www.example.com/",
            "HTTPS://WWW.Example.com:443/",
            "http://localhost:5000/x",
            "https://xn--bcher-kva.example/",
            "http://[::1]/",
        ] {
            assert!(goes(target), "{target}");
        }
    }

    #[test]
    fn other_sites_do_not_pass_however_they_are_written() {
        for target in [
            "",
            "next",
            "?a",
            "//evil.example",
            "///evil.example",
            "/\\evil.example",
            "\\\\evil.example",
            "/\t/evil.example",
            "/\n/evil.example",
            "/\r\nSet-Cookie: a=b",
            " //evil.example",
            "/\u{a0}/evil.example",
            "/\u{200b}/evil.example",
            "/%09/evil.example",
            "/%2f/evil.example",
            "/%2F%2Fevil.example",
            "/%5cevil.example",
            "/%255cevil.example",
            "/%25252525",
            "/%0d%0aSet-Cookie:a=b",
            "/;/evil.example",
            "/%3bx/evil.example",
            "/a/../;x/evil.example",
            "/.//evil.example",
            "/%2e//evil.example",
            "/a/..//evil.example",
            "/a/%2e%2e//evil.example",
            "/././/evil.example",
            "/.%2f.//evil.example",
            "/.%2f/evil.example",
            "/.%252f.//evil.example",
            "/.%2f.%2f.%2f/evil.example",
            "/%2e/..//evil.example",
            "/%2e%2f.//evil.example",
            "/..//evil.example",
            "/..%2f/evil.example",
            "/..%2f%2fevil.example",
            "/%2e%2e%2f%2fevil.example",
            "/a%2f..%2f/evil.example",
            "/a/..%2f..%2f/evil.example",
            "/.;//evil.example",
            "/.;x=1%2f/evil.example",
            "/a/..;//evil.example",
            "/.\\evil.example",
            "/.%5cevil.example",
            "/.%5c/evil.example",
            "/.%09//evil.example",
            "/.\t//evil.example",
            "/%09/evil.example",
            "https://www.example.com/.%2f.//evil.example",
            "/%c0%af/evil.example",
            "javascript:alert(1)",
            "javascript://www.example.com/%0aalert(1)",
            "data:text/html,x",
            "vbscript://www.example.com",
            "https:evil.example",
            "https:/evil.example",
            "https:///evil.example",
            "https:www.example.com",
            "https://evil.example",
            "https://www.example.com@evil.example",
            "https://evil.example@www.example.com",
            "https://www.example.com:pw@evil.example/",
            "https://www.example.com.evil.example",
            "https://evil.example#.www.example.com",
            "https://evil.example\\.www.example.com",
            "https://evil.example/www.example.com",
            "https://www.example.com.",
            "https://www.example.com:8443/",
            "http://www.example.com:443/",
            "https://www.ex%61mple.com/",
            "https://www．example．com/",
            "https://www.example。com/",
            "https://bücher.example/",
            "https://www.ехаmple.com/",
            "https://sub.www.example.com/",
            "https://www.example.com//evil.example",
            "ftp://www.example.com/",
            "https://[::1",
        ] {
            assert!(!goes(target), "{target:?}");
        }
        assert!(!goes(&format!("/{}", "a".repeat(2048))));
    }

    #[test]
    fn a_host_is_written_as_browsers_write_it() {
        for host in [
            "https://a.example",
            "a.example/",
            "A.example",
            "*.example.com",
            "bücher.example",
            "u@a.example",
            "",
        ] {
            assert!(Sites::new([host]).is_err(), "{host:?}");
        }
        assert!(Sites::new(["a.example:443"]).is_err());
    }
}

//! Tells whose page made a browser send a request, by `Sec-Fetch-Site` and `Origin`, which no page can write.
//!
//! 1. `Sec-Fetch-Site: same-origin` or `none`: one of the request's own origin, or none at all.
//! 2. Without that field (a WebSocket's handshake, plain HTTP, an old browser) `Origin` tells it, if it is there.
//! 3. An origin that is trusted is told as such, whichever site it is of.
//!
//! Programs send neither field, or what they like: it is about what browsers can be made to send. What follows from it is
//! decided by who asks.
//!
//! Sources: W3C Fetch Metadata; Fetch, "Origin header"; RFC 6455 section 10.2.

/// What a request says of where it came from, and where it went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Told<'a> {
    /// `Sec-Fetch-Site`.
    pub site: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// By which scheme it came: `http`, `https`, or `wss`, which some servers write for a handshake.
    pub scheme: &'a str,
    /// `Host`, or what the server is called: a name, and a port unless it is the scheme's own.
    pub host: &'a str,
}

/// Whose page it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// It does not say: `Origin: null` alone, as a form sends it by plain HTTP under `no-referrer`, and everybody's page in
    /// a sandbox.
    Hidden,
    /// Another site's.
    Other,
    /// One of the request's own origin, or none: the user typed the address.
    Own,
    /// Another origin's of the same site.
    Sibling,
    /// One of an origin that is trusted.
    Trusted,
    /// Neither field is there, as programs send it.
    Unsaid,
}

impl Page {
    /// Whose page it was; `is_trusted` is asked of origins that are not the request's own.
    pub fn of(told: &Told<'_>, is_trusted: impl FnOnce(&str) -> bool) -> Self {
        let is_told = match told.site {
            Some("same-origin" | "none") => return Self::Own,
            None | Some("same-site" | "cross-site") => true,
            Some(_) => false,
        };
        let Some(origin) = told.origin else {
            return match told.site {
                None => Self::Unsaid,
                Some("same-site") => Self::Sibling,
                Some(_) => Self::Other,
            };
        };
        if told.site.is_none() && is_own(told, origin) {
            return Self::Own;
        }
        if is_told && is_trusted(origin) {
            return Self::Trusted;
        }
        match (told.site, origin) {
            (None, "null") => Self::Hidden,
            (Some("same-site"), _) => Self::Sibling,
            _ => Self::Other,
        }
    }
}

/// Whether an origin is that of the request's own address.
///
/// Over HTTPS the scheme must be https too. Where the request seems to have come over HTTP, either will do: a proxy that
/// ends TLS and is not known here hides it, and the host alone tells the sites apart.
fn is_own(told: &Told<'_>, origin: &str) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    if scheme == told.scheme && authority == told.host && !authority.is_empty() {
        return true; // as a browser writes it; the rest is for what proxies do to it
    }
    let port = match scheme {
        "https" => ":443",
        "http" if !matches!(told.scheme, "https" | "wss") => ":80",
        _ => return false,
    };
    // A browser leaves out the port of its scheme; a proxy may have written it.
    let host = undotted(&told.host.to_lowercase());
    !authority.is_empty() && host.strip_suffix(port).unwrap_or(&host) == undotted(authority)
}

/// The edge has taken the dot from `Host` already: it is the same name (RFC 1034 section 3.1).
fn undotted(authority: &str) -> String {
    let text = authority.replacen(".:", ":", 1);
    text.strip_suffix('.').unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://shop.example";
    const EVIL: &str = "https://evil.example";

    fn page(site: Option<&str>, origin: Option<&str>) -> Page {
        let told = Told { site, origin, scheme: "https", host: "shop.example" };
        Page::of(&told, |origin| origin == "https://app.example")
    }

    #[test]
    fn what_the_browser_says_of_the_site_goes_before_the_origin() {
        assert_eq!(page(Some("same-origin"), Some(EVIL)), Page::Own);
        assert_eq!(page(Some("none"), None), Page::Own);
        assert_eq!(page(Some("cross-site"), None), Page::Other);
        assert_eq!(page(Some("cross-site"), Some(EVIL)), Page::Other);
        assert_eq!(page(Some("same-site"), None), Page::Sibling);
        assert_eq!(page(Some("same-site"), Some("https://blog.shop.example")), Page::Sibling);
        assert_eq!(page(Some("what-comes-next"), Some("https://app.example")), Page::Other);
    }

    #[test]
    fn without_it_the_origin_tells_as_of_a_websockets_handshake() {
        assert_eq!(page(None, Some(OWN)), Page::Own);
        assert_eq!(page(None, Some(EVIL)), Page::Other);
        assert_eq!(page(None, Some("null")), Page::Hidden);
        assert_eq!(page(None, None), Page::Unsaid);
    }

    #[test]
    fn an_origin_that_is_trusted_is_told_as_such() {
        for site in [None, Some("same-site"), Some("cross-site")] {
            assert_eq!(page(site, Some("https://app.example")), Page::Trusted);
        }
    }

    #[test]
    fn plain_http_is_never_an_origin_of_https_and_a_port_of_the_scheme_may_be_written() {
        let own = |scheme, host, origin| is_own(&Told { scheme, host, ..Told::default() }, origin);
        assert!(own("https", "shop.example:443", OWN));
        assert!(own("http", "Shop.example.:80", "http://shop.example"));
        assert!(own("http", "shop.example", OWN), "a proxy ended TLS");
        assert!(!own("wss", "shop.example", "http://shop.example"));
        assert!(!own("https", "shop.example", "https://shop.example:8443"));
        assert!(!own("http", "", "http://"));
        assert!(!own("https", "shop.example", "ftp://shop.example"));
    }
}

//! Decides whether a page's origin is one of those that were listed.
//!
//! An origin that was sent is one of them when it is in the one form in which browsers send it ([`super::Origin::sent`])
//! and one of these holds:
//! 1. it is listed, byte for byte;
//! 2. it is listed with any port (`http://localhost:*`), which only this very machine can be;
//! 3. it is below a listed domain (`https://*.example.com`): at any depth, on the same port, and never the domain itself;
//! 4. a pattern of the `regex` crate matches the whole of it.
//!
//! For 3 and 4 it must belong to the same registrable domain as what was listed: whoever has `evil.s3.amazonaws.com` is
//! not the one who has `amazonaws.com`, although the name is below it.
//!
//! What would let in strangers is refused when the list is made: the names below a public suffix (`https://*.co.uk`,
//! `https://*.github.io`), `null`, an address with a star, and a regex that does not begin with its scheme and end in a whole
//! registrable domain (`https://.*example\.com` has `evilexample.com`, `https://a.example.com.*` has everybody).
//!
//! # Deployment caveat
//! The Public Suffix List is the one of the day when this was built. A domain that lends its subdomains to strangers and
//! is not on the list is not known for that.
//!
//! Sources: RFC 6454; Fetch; the Public Suffix List; J. Kettle, "Exploiting CORS misconfigurations" (2016).

use std::collections::{HashMap, HashSet};

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::Hir;
use regex_syntax::hir::literal::{ExtractKind, Extractor};
use url::Url;

use super::origin::{Origin, is_address, is_local, parts};
use crate::error::ConfigError;

/// The most entries of a list.
pub const MOST: usize = 10_000;
const MOST_PATTERNS: usize = 64;
const LONGEST_PATTERN: usize = 1024;
/// Bytes of a compiled pattern.
const LARGEST_PATTERN: usize = 1 << 20;

/// The origins that were listed.
#[derive(Debug, Default)]
pub struct Origins {
    exact: HashSet<String>,
    /// Scheme and host of those that are listed with any port.
    any_port: HashSet<(String, String)>,
    below: HashMap<String, Vec<Below>>,
    patterns: Vec<Pattern>,
    insecure: Option<String>,
}

/// The names below a domain.
#[derive(Debug)]
struct Below {
    scheme: String,
    port: Port,
    site: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Port {
    Any,
    Of(Option<u16>),
}

#[derive(Debug)]
struct Pattern {
    regex: Regex,
    sites: Vec<String>,
}

impl Origins {
    /// The origins of a list: each one whole, or with a star for the names below a domain or for the ports of this machine; and
    /// regular expressions.
    ///
    /// # Errors
    /// For what is no origin, and for what would let in strangers.
    pub fn new<'t>(
        listed: impl IntoIterator<Item = &'t str>,
        patterns: impl IntoIterator<Item = &'t str>,
    ) -> Result<Self, ConfigError> {
        let mut origins = Self::default();
        for (index, text) in listed.into_iter().enumerate() {
            if index == MOST {
                return Err(ConfigError::new(format!("there are more than {MOST} origins")));
            }
            if text.contains('*') { origins.add_stars(text)? } else { origins.add(text)? }
        }
        for (index, pattern) in patterns.into_iter().enumerate() {
            if index == MOST_PATTERNS {
                return Err(ConfigError::new(format!(
                    "there are more than {MOST_PATTERNS} regular expressions"
                )));
            }
            origins.add_pattern(pattern)?;
        }
        Ok(origins)
    }

    /// Whether the origin that a browser sent is one of these.
    #[must_use]
    pub fn has(&self, sent: &str) -> bool {
        if self.exact.contains(sent) {
            return true;
        }
        if self.any_port.is_empty() && self.below.is_empty() && self.patterns.is_empty() {
            return false;
        }
        let Some((scheme, host, port)) = parts(sent) else { return false };
        self.has_any_port(scheme, host) || self.has_below(scheme, host, port) || self.has_pattern(sent, host)
    }

    /// The first that is reached over plain HTTP from elsewhere: whoever is on the way can be it.
    #[must_use]
    pub fn insecure(&self) -> Option<&str> {
        self.insecure.as_deref()
    }

    fn has_any_port(&self, scheme: &str, host: &str) -> bool {
        // A handful at most: this machine has few names.
        self.any_port.iter().any(|(listed, name)| listed == scheme && name == host)
    }

    fn has_below(&self, scheme: &str, host: &str, port: Option<u16>) -> bool {
        if self.below.is_empty() || is_address(host) {
            return false;
        }
        host.match_indices('.').any(|(dot, _)| {
            let listed = host.get(dot + 1..).and_then(|base| self.below.get(base));
            listed.is_some_and(|listed| {
                listed.iter().any(|below| {
                    let is_port = below.port == Port::Any || below.port == Port::Of(port);
                    below.scheme == scheme && is_port && site_of(host).is_some_and(|site| site == below.site)
                })
            })
        })
    }

    fn has_pattern(&self, sent: &str, host: &str) -> bool {
        self.patterns.iter().any(|pattern| {
            pattern.regex.is_match(sent)
                && site_of(host).is_some_and(|site| pattern.sites.iter().any(|own| own == site))
        })
    }

    fn add(&mut self, text: &str) -> Result<(), ConfigError> {
        let Some(origin) = Origin::parse(text) else { return Err(no_origin(text)) };
        if origin.scheme() == "http" && !origin.is_local() {
            self.insecure.get_or_insert_with(|| text.to_owned());
        }
        self.exact.insert(origin.as_str().to_owned());
        Ok(())
    }

    fn add_stars(&mut self, text: &str) -> Result<(), ConfigError> {
        let wrong = |cure: &str| Err(ConfigError::new(format!("{}: {cure}", quoted(text))));
        let Some((scheme, rest)) = text.split_once("://") else { return wrong(STARS) };
        let (rest, has_any_port) = rest.strip_suffix(":*").map_or((rest, false), |rest| (rest, true));
        let (rest, is_below) = rest.strip_prefix("*.").map_or((rest, false), |rest| (rest, true));
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return wrong("a star goes with http and https alone");
        }
        let Some(base) = Origin::parse(&format!("{scheme}://{rest}")) else { return wrong(STARS) };
        let (scheme, host) = (base.scheme().to_owned(), base.host().to_owned());
        let port = match parts(base.as_str()) {
            _ if has_any_port => Port::Any,
            Some((_, _, port)) => Port::Of(port),
            None => return wrong(STARS),
        };
        if has_any_port && !base.is_local() {
            return wrong(
                "only localhost may have any port; elsewhere each port is another one's. Name the ports",
            );
        }
        if has_any_port && base.as_str() != format!("{scheme}://{host}") {
            return wrong(STARS);
        }
        if is_below && is_address(&host) {
            return wrong("there is nothing below an address");
        }
        if scheme == "http" && !base.is_local() {
            self.insecure.get_or_insert_with(|| text.to_owned());
        }
        if !is_below {
            self.any_port.insert((scheme, host));
            return Ok(());
        }
        let Some(site) = site_of(&host).map(str::to_owned) else {
            return wrong(
                "that is a public suffix, below which everybody can have a name. Put the star below your own domain",
            );
        };
        self.below.entry(host).or_default().push(Below { scheme, port, site });
        Ok(())
    }

    fn add_pattern(&mut self, pattern: &str) -> Result<(), ConfigError> {
        let wrong = |cure: &str| {
            let shown = if pattern.contains('@') { "...".to_owned() } else { format!("{pattern:?}") };
            ConfigError::new(format!("re.compile({shown}): {cure}"))
        };
        if pattern.len() > LONGEST_PATTERN {
            return Err(ConfigError::new(format!(
                "a regular expression is longer than {LONGEST_PATTERN} bytes"
            )));
        }
        let hir = regex_syntax::parse(pattern).map_err(|_| wrong(DIALECT))?;
        let regex = RegexBuilder::new(&format!(r"\A(?:{pattern})\z"))
            .size_limit(LARGEST_PATTERN)
            .build()
            .map_err(|_| wrong(DIALECT))?;
        let begins = literals(&hir, ExtractKind::Prefix);
        let is_begun = |text: &String| text.starts_with("https://") || text.starts_with("http://");
        if begins.is_empty() || !begins.iter().all(is_begun) {
            return Err(wrong("it must begin with the scheme, https://"));
        }
        let ends = literals(&hir, ExtractKind::Suffix);
        let sites: Option<Vec<String>> = ends.iter().map(|end| whole_site(end)).collect();
        let sites = sites.filter(|sites| !sites.is_empty()).ok_or_else(|| wrong(ENDS))?;
        if begins.iter().any(|text| text.starts_with("http://")) && !sites.iter().all(|site| is_local(site)) {
            self.insecure.get_or_insert_with(|| pattern.to_owned());
        }
        self.patterns.push(Pattern { regex, sites });
        Ok(())
    }
}

/// The registrable domain of a host: what one owner has. On this machine, the machine.
fn site_of(host: &str) -> Option<&str> {
    if is_local(host) {
        return Some("localhost");
    }
    // An address belongs to no domain, whatever it ends in.
    if is_address(host) { None } else { psl::domain_str(host) }
}

/// The registrable domain with which all that ends like this ends, if it is there from its first letter on.
fn whole_site(end: &str) -> Option<String> {
    let (name, port) = end.rsplit_once(':').unwrap_or((end, ""));
    let name = if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { end };
    let (before, host) = match name.rfind('/') {
        Some(at) => (name.get(..=at)?, name.get(at + 1..)?),
        None => ("", name),
    };
    // Not judged as a name of its own before it is known where it begins.
    let inner = host.split_once('.').map(|(_, rest)| rest).filter(|_| before.is_empty()).unwrap_or(host);
    site_of(inner).map(str::to_owned)
}

/// The texts with one of which all that matches begins, or ends; none if there is no end of them.
fn literals(hir: &Hir, kind: ExtractKind) -> Vec<String> {
    let found = Extractor::new().kind(kind).extract(hir);
    let found = found.literals().unwrap_or_default();
    found.iter().map(|literal| String::from_utf8_lossy(literal.as_bytes()).into_owned()).collect()
}

fn no_origin(text: &str) -> ConfigError {
    if text.eq_ignore_ascii_case("null") {
        return ConfigError::new(
            "\"null\" is what every sandboxed frame and every data: page sends, whoever made it. Give the page an origin",
        );
    }
    let wrong = |hint: &str| {
        ConfigError::new(format!("{} is no origin such as \"https://example.com\"{hint}", quoted(text)))
    };
    let meant = match Url::parse(text) {
        Ok(url) if text.contains("://") => Origin::parse(&url.origin().ascii_serialization()),
        _ => Origin::parse(&format!("https://{text}")),
    };
    match meant {
        Some(meant) if !text.contains('@') => wrong(&format!(". Did you mean {:?}?", meant.as_str())),
        _ => wrong(": scheme, host, and a port if it is not the usual one; no path, no user"),
    }
}

/// A text as an error may quote it: not where it has a user, a password or a query, any of which may be a secret.
fn quoted(text: &str) -> String {
    if text.contains(['@', '?']) {
        return "one that has a user, a password or a query".to_owned();
    }
    format!("{text:?}")
}

const STARS: &str = "a star stands for the names below a domain, \"https://*.example.com\", or for the ports of localhost, \"http://localhost:*\"";
const DIALECT: &str = "it cannot be matched in linear time, or is too large. Write it without look-around, back references and \\Z: \
     an origin is matched whole in any case";
const ENDS: &str = "it must end in a whole domain of your own, with its dots escaped, such as \\.example\\.com; else \
     strangers can have a name that matches. For all names below a domain, write \"https://*.example.com\"";

#[cfg(test)]
mod tests {
    use super::*;

    fn of(listed: &[&str]) -> Result<Origins, ConfigError> {
        Origins::new(listed.iter().copied(), [])
    }

    fn matching(pattern: &str) -> Result<Origins, ConfigError> {
        Origins::new([], [pattern])
    }

    #[test]
    fn the_names_below_a_domain_are_meant_at_any_depth_and_nothing_else() -> Result<(), ConfigError> {
        let origins = of(&["https://*.example.com", "https://*.example.org:8443"])?;
        for sent in ["https://a.example.com", "https://a.b.example.com", "https://a.example.org:8443"] {
            assert!(origins.has(sent), "{sent}");
        }
        for sent in [
            "https://example.com",
            "http://a.example.com",
            "https://a.example.com:8443",
            "https://a.example.com:443",
            "https://a.example.org",
            "https://aexample.com",
            "https://a.example.com.evil.test",
            "https://.example.com",
            "https://a..example.com",
            "https://a.example.com.",
            "https://A.example.com",
            "https://a@b.example.com",
            "https://evil.test/.example.com",
            "https://evil.test#.example.com",
            "null",
            "",
        ] {
            assert!(!origins.has(sent), "{sent}");
        }
        Ok(())
    }

    #[test]
    fn a_name_below_that_is_a_strangers_is_not_meant() -> Result<(), ConfigError> {
        let origins = of(&["https://*.amazonaws.com"])?;
        assert!(origins.has("https://console.amazonaws.com"));
        assert!(!origins.has("https://evil.s3.amazonaws.com"));
        Ok(())
    }

    #[test]
    fn what_would_let_in_strangers_is_refused() {
        for text in [
            "https://*.com",
            "https://*.co.uk",
            "https://*.github.io",
            "https://*.internal",
            "https://*",
            "https://*.",
            "*://example.com",
            "https://example.*",
            "https://a*.example.com",
            "https://*example.com",
            "https://*.*.example.com",
            "https://*.127.0.0.1",
            "https://example.com:*",
            "https://*.example.com:*",
            "http://localhost:80*",
            "http://localhost:5:*",
            "app://*.example.com",
            "null",
            "NULL",
            "https://example.com/",
        ] {
            assert!(of(&[text]).is_err(), "{text}");
        }
    }

    #[test]
    fn any_port_is_for_this_machine_alone() -> Result<(), ConfigError> {
        let origins = of(&["http://localhost:*", "http://[::1]:*"])?;
        assert!(
            ["http://localhost", "http://localhost:5173", "http://[::1]:9"]
                .iter()
                .all(|sent| origins.has(sent))
        );
        for sent in
            ["https://localhost:1", "http://localhost:80", "http://localhost:x", "http://a.localhost:1"]
        {
            assert!(!origins.has(sent), "{sent}");
        }
        assert_eq!(origins.insecure(), None);
        Ok(())
    }

    #[test]
    fn a_regex_matches_whole_origins_of_its_own_domain() -> Result<(), ConfigError> {
        let origins = matching(r"https://pr-[0-9]+\.example\.com(:8443)?")?;
        assert!(origins.has("https://pr-12.example.com") && origins.has("https://pr-1.example.com:8443"));
        for sent in [
            "https://pr-1.example.com.evil.test",
            "xhttps://pr-1.example.com",
            "https://pr-.example.com",
            "https://pr-1.example.com\n",
        ] {
            assert!(!origins.has(sent), "{sent}");
        }
        let any = matching(r"https://.*\.amazonaws\.com")?;
        assert!(any.has("https://a.amazonaws.com"));
        assert!(!any.has("https://evil.s3.amazonaws.com") && !any.has("https://evil.test/.amazonaws.com"));
        assert_eq!(matching(r"https?://a\.example\.com")?.insecure(), Some(r"https?://a\.example\.com"));
        Ok(())
    }

    #[test]
    fn a_regex_that_strangers_can_match_is_refused() {
        for pattern in [
            ".*",
            "https://.*",
            r"https://.*example\.com",
            r"https://a.example.com",
            r"https://a\.example\.com.*",
            r"https://a\.example\.com|.*",
            r"https://(a\.example\.com|[a-z]+)",
            r".*\.example\.com",
            r"https://[a-z]+-team\.vercel\.app",
            r"https://.*\.github\.io",
            r"https://.*\.0\.1",
            r"https://[a-z]+\.com",
            r"https://(?!evil)a\.example\.com",
            r"https://a\.example\.com\Z",
            r"(https://a)\1",
            "",
        ] {
            assert!(matching(pattern).is_err(), "{pattern}");
        }
        assert!(matching(&"a".repeat(LONGEST_PATTERN + 1)).is_err());
    }

    #[test]
    fn an_error_quotes_no_user_no_password_and_no_query() {
        for text in [
            "https://ada:hunter2@app.example.com",
            "https://ada:hunter2@*.example.com",
            "*://ada:hunter2@example.com",
            "http://ada:hunter2@localhost:*",
            "ada:hunter2@example.com",
            "https://app.example.com/?token=hunter2",
            "https://*.example.com?hunter2",
        ] {
            let told = of(&[text]).map_or_else(|error| error.to_string(), |_| "taken".to_owned());
            assert!(told.starts_with("one that has a user, a password or a query"), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
        for pattern in [r"https://ada:hunter2@.*", r"https://ada:hunter2@(?!a)\.example\.com"] {
            let told = matching(pattern).map_or_else(|error| error.to_string(), |_| "taken".to_owned());
            assert!(told.starts_with("re.compile(...): ") && !told.contains("hunter2"), "{told}");
        }
    }

    #[test]
    fn plain_http_from_elsewhere_is_told() -> Result<(), ConfigError> {
        assert_eq!(of(&["https://a.example", "http://a.example"])?.insecure(), Some("http://a.example"));
        assert_eq!(of(&["http://*.example.com"])?.insecure(), Some("http://*.example.com"));
        assert_eq!(
            of(&["http://localhost:5000", "http://127.0.0.1", "http://app.localhost"])?.insecure(),
            None
        );
        Ok(())
    }
}

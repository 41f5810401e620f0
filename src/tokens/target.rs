//! Whether two URIs name the same target: what a DPoP proof was made for, and where the request came.
//!
//! Two targets are the same when they are equal after the normalisation of RFC 3986 §6.2.2 and §6.2.3: scheme and host in
//! lower case, no default port, `%7e` written `~` and `%2f` written `%2F`, no dot segments, `/` for no path. Query and fragment
//! are left out (RFC 9449 §4.2). A reserved character and its percent-encoding stay two different things.
//!
//! Only http and https have a normal form here, with a host and without user information. The reading and the normalising is
//! fluent-uri's, which takes nothing that RFC 3986 does not.
//!
//! # Our own target
//! A peer that may say what our target is, may use elsewhere a proof that was made for elsewhere. So:
//! - the *origin* is configured, or it is the `Host` that somebody else has checked;
//! - the *path* is the one that the app routes by, decoded. What the request line said serves only to know how it was
//!   encoded (`%2F` is not `/`), and only if it decodes to that very path;
//! - a path with dot segments in it has no normal form: the app would route by them, and a proof for what they lead to is no
//!   proof for that.

use fluent_uri::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};

/// A target in its normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target(String);

impl Target {
    /// What *uri*, an absolute http or https URI, names.
    pub fn of(uri: &str) -> Option<Self> {
        let uri = uri.split(['?', '#']).next().unwrap_or_default();
        let uri = Uri::parse(uri).ok()?;
        let scheme = uri.scheme().as_str();
        let authority = uri.authority()?;
        let http = ["http", "https"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
        if !http || authority.host().is_empty() || authority.has_userinfo() {
            return None;
        }
        let normal = uri.normalize();
        let slash = if normal.path().is_empty() { "/" } else { "" };
        Some(Self(format!("{normal}{slash}")))
    }

    /// The target as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Scheme, host and port in their normal form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin(String);

impl Origin {
    /// The origin of an absolute URI, whatever its path.
    pub fn of(uri: &str) -> Option<Self> {
        let target = Target::of(uri)?.0;
        let host = target.find("://")? + 3;
        let end = host + target.get(host..)?.find('/')?;
        Some(Self(target.get(..end)?.to_owned()))
    }

    /// The origin of a request, by the scheme that it came with and the value of `Host`.
    pub fn of_request(scheme: &str, host: &str) -> Option<Self> {
        // A host is a host: nothing in it may become a path, a query or a user.
        if host.is_empty() || host.contains(['/', '?', '#', '@', '\\']) {
            return None;
        }
        Self::of(&format!("{scheme}://{host}/"))
    }

    /// The target of a request to this origin.
    ///
    /// *path* is what the app routes by, decoded; *line* the target of the request line, where the server tells it.
    pub fn target(&self, path: &[u8], line: Option<&str>) -> Option<Target> {
        let path = if path.is_empty() { b"/" } else { path };
        let dots = |segment: &[u8]| segment == b"." || segment == b"..";
        if path.first() != Some(&b'/') || path.split(|byte| *byte == b'/').any(dots) {
            return None;
        }
        let said = line
            .and_then(|line| line.split(['?', '#']).next())
            .filter(|said| percent_decode_str(said).eq(path.iter().copied()));
        let said = said.and_then(|said| Target::of(&format!("{}{said}", self.0)));
        said.or_else(|| Target::of(&format!("{}{}", self.0, percent_encode(path, &PATH))))
    }
}

/// All but what a path may contain as it is (RFC 3986 §3.3).
const PATH: AsciiSet = NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{Origin, Target};

    fn same(one: &str, other: &str) -> bool {
        let (one, other) = (Target::of(one), Target::of(other));
        one.is_some() && one == other
    }

    #[test]
    fn targets_are_compared_in_their_normal_form() {
        for other in [
            "https://api.example/a/b",
            "HTTPS://API.Example/a/b",
            "https://api.example:443/a/b",
            "https://api.example:/a/b",
            "https://api.example/%61/%62",
            "https://api.example/a/./b",
            "https://api.example/x/../a/b",
            "https://api.example/x/%2E%2e/a/b",
            "https://api.example/a/b?query=1",
            "https://api.example/a/b#fragment",
            "https://api.example/a/b?#",
        ] {
            assert!(same("https://api.example/a/b", other), "{other}");
        }
        assert!(same("http://api.example", "http://api.example:80/"));
        assert!(same("http://[2001:db8::1]/", "http://[2001:DB8:0:0::1]:80/"));
        assert!(same("https://a/%c3%bc%2f", "https://a/%C3%BC%2F"));
    }

    #[test]
    fn other_targets_are_others() {
        for other in [
            "http://api.example/a/b",
            "https://api.example:8443/a/b",
            "https://api.example.evil/a/b",
            "https://api.example./a/b",
            "https://api.example/a/b/",
            "https://api.example/a//b",
            "https://api.example//a/b",
            "https://api.example/a%2Fb",
            "https://api.example/A/b",
            "https://api.example/a",
            "https://api.example/a/b;v=1",
            "https://api.example/a/b%3F",
            "https://api.example",
        ] {
            assert!(!same("https://api.example/a/b", other), "{other}");
        }
    }

    #[test]
    fn what_is_no_absolute_http_uri_has_no_normal_form() {
        for uri in [
            "",
            "/a/b",
            "//api.example/a",
            "api.example/a",
            "ftp://api.example/a",
            "https:/a",
            "https:///a",
            "https://",
            "https://user@api.example/a",
            "https://:pw@api.example/a",
            "https://api.example/a b",
            " https://api.example/a",
            "https://api.example/a\n",
            "https://api.example/\u{fc}",
            "https://api.example/%zz",
            "https://api.example\\a",
            "https://api.example:x/a",
            "https://[::1/a",
        ] {
            assert_eq!(Target::of(uri), None, "{uri:?}");
        }
    }

    #[test]
    fn an_origin_is_what_comes_before_the_path() {
        let origin = Origin::of("HTTPS://API.example:443/v1?x#y").unwrap();
        assert_eq!(origin, Origin::of_request("https", "api.example").unwrap());
        assert_eq!(origin.target(b"/a", None), Target::of("https://api.example/a"));
        for host in ["", "a/b", "a?b", "a#b", "u@a", "a\\b", "a b", "a:b", "\u{fc}", "a,b", "%2f/"] {
            let found = Origin::of_request("https", host);
            assert!(found.is_none() || host == "a,b", "{host}");
        }
        assert!(Origin::of_request("ftp", "a").is_none());
    }

    #[test]
    fn our_own_path_is_the_one_that_is_routed_by() {
        let origin = Origin::of("https://a").unwrap();
        let own =
            |path: &str, line: Option<&str>| origin.target(path.as_bytes(), line).map(|target| target.0);
        assert_eq!(own("", None).as_deref(), Some("https://a/"));
        assert_eq!(own("/x y/\u{fc}\"%", None).as_deref(), Some("https://a/x%20y/%C3%BC%22%25"));
        assert_eq!(own("/x;v=1/a@b:c", None).as_deref(), Some("https://a/x;v=1/a@b:c"));
        // The line tells how it was encoded, if it is about the same path.
        assert_eq!(own("/a/b", Some("/a%2Fb?q")).as_deref(), Some("https://a/a%2Fb"));
        assert_eq!(own("/a/b", Some("/a%2fb")).as_deref(), Some("https://a/a%2Fb"));
        for line in ["/c", "", "?", "*", "https://evil/a/b", "//evil/a/b", "/a/b/../c", "/a%2525b", "/a b"] {
            assert_eq!(own("/a/b", Some(line)).as_deref(), Some("https://a/a/b"), "{line}");
        }
        assert_eq!(own("/%zz", Some("/%zz")).as_deref(), Some("https://a/%25zz"));
        assert_eq!(own("//evil/a", Some("//evil/a")).as_deref(), Some("https://a//evil/a"));
    }

    #[test]
    fn a_path_with_dot_segments_has_no_normal_form() {
        // The app routes `/files/../admin` to what serves `/files/<path>`; it is not `/admin`.
        let origin = Origin::of("https://a").unwrap();
        for path in ["/x/../b", "/..", "/.", "/x/.", "x", "*", "../b"] {
            assert_eq!(origin.target(path.as_bytes(), Some("/x/%2e%2e/b")), None, "{path}");
        }
        assert!(origin.target(b"/...", None).is_some());
        assert!(origin.target(b"/.well-known/x", None).is_some());
    }
}

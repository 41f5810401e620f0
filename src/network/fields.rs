//! Which header fields forward, and which of several values counts.
//!
//! 1. A field that a proxy uses to say where a request came from says nothing if no proxy wrote it.
//! 2. A field of a list has one value for each proxy, the last one's on the right: the value that counts is the one which the
//!    farthest proxy that was believed wrote. One value alone counts whatever the number of proxies: they replaced it,
//!    or passed it on. Fewer values than proxies, but more than one: nobody knows whose they are, and none counts.
//! 3. A scheme, a host, a port and a prefix are read strictly.
//!
//! Fields that say a request's length or type once more, and `Proxy`, are `hygiene`'s.
//!
//! Names are those of WSGI without `HTTP_`: upper case, with underscores (PEP 3333).

use super::node;

/// What a header field is to an edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Says where a request came from, in a form that is read here or by many apps.
    Forwards,
    /// Begins like one, and says something else: for apps, if a proxy that is trusted wrote it.
    Passes,
    /// `Host`.
    Host,
    /// `Script_Name` or `Path_Info`: some servers take them for the request's own (gunicorn#2650).
    Path,
}

/// What the field of this name is; `None` of nearly all of them.
#[inline]
pub fn role(name: &str) -> Option<Role> {
    // Nearly every field of nearly every request goes by its first letter.
    match name.as_bytes().first()? {
        b'X' => match name {
            "X_FORWARDED_FOR"
            | "X_FORWARDED_PROTO"
            | "X_FORWARDED_HOST"
            | "X_FORWARDED_PORT"
            | "X_FORWARDED_PREFIX"
            | "X_FORWARDED_SSL"
            | "X_FORWARDED_SCHEME"
            | "X_FORWARDED_PROTOCOL"
            | "X_FORWARDED_SERVER"
            | "X_FORWARDED_BY"
            | "X_FORWARDED_PATH"
            | "X_FORWARDED_URI"
            | "X_FORWARDED"
            | "X_REAL_IP"
            | "X_REAL_PORT"
            | "X_CLIENT_IP"
            | "X_CLUSTER_CLIENT_IP"
            | "X_ORIGINAL_URL"
            | "X_ORIGINAL_HOST"
            | "X_ORIGINAL_FOR"
            | "X_ORIGINAL_PROTO"
            | "X_ORIGINAL_FORWARDED_FOR"
            | "X_REWRITE_URL"
            | "X_HOST"
            | "X_REMOTE_IP"
            | "X_REMOTE_ADDR"
            | "X_ORIGINATING_IP"
            | "X_PROXYUSER_IP"
            | "X_ARR_SSL"
            | "X_URL_SCHEME"
            | "X_SCHEME"
            | "X_APPENGINE_USER_IP"
            | "X_AZURE_CLIENTIP"
            | "X_AZURE_SOCKETIP"
            | "X_ENVOY_EXTERNAL_ADDRESS"
            | "X_TRUE_CLIENT_IP"
            | "X_FORWARD_FOR"
            | "X_FORWARD_PROTO"
            | "X_HTTP_HOST_OVERRIDE"
            | "X_ORIGINAL_PREFIX"
            | "X_ORIGINAL_REMOTE_ADDR"
            | "X_SCRIPT_NAME"
            | "X_MS_FORWARDED_CLIENT_IP"
            | "X_NF_CLIENT_CONNECTION_IP"
            | "X_SUCURI_CLIENTIP"
            | "X_VERCEL_FORWARDED_FOR" => Some(Role::Forwards),
            _ if name.starts_with("X_FORWARDED") => Some(Role::Passes),
            _ => None,
        },
        b'A' => (name == "ALI_CDN_REAL_IP").then_some(Role::Forwards),
        b'C' => match name {
            "CLIENT_IP"
            | "CF_CONNECTING_IP"
            | "CF_CONNECTING_IPV6"
            | "CF_PSEUDO_IPV4"
            | "CF_VISITOR"
            | "CDN_SRC_IP"
            | "CLOUDFRONT_FORWARDED_PROTO"
            | "CLOUDFRONT_VIEWER_ADDRESS" => Some(Role::Forwards),
            _ => None,
        },
        b'D' => (name == "DO_CONNECTING_IP").then_some(Role::Forwards),
        b'E' => matches!(name, "EO_CONNECTING_IP" | "EO_CLIENT_IP").then_some(Role::Forwards),
        b'F' => match name {
            "FORWARDED" | "FORWARDED_FOR" | "FORWARDED_FOR_IP" | "FORWARDED_PROTO" | "FRONT_END_HTTPS"
            | "FASTLY_CLIENT_IP" | "FLY_CLIENT_IP" => Some(Role::Forwards),
            _ => None,
        },
        b'H' => (name == "HOST").then_some(Role::Host),
        b'I' => (name == "INCAP_CLIENT_IP").then_some(Role::Forwards),
        b'P' => match name {
            "PATH_INFO" => Some(Role::Path),
            "PROXY_CLIENT_IP" => Some(Role::Forwards),
            _ => None,
        },
        b'S' => (name == "SCRIPT_NAME").then_some(Role::Path),
        b'R' => (name == "REMOTE_ADDR").then_some(Role::Forwards),
        b'T' => (name == "TRUE_CLIENT_IP").then_some(Role::Forwards),
        b'W' => matches!(name, "WL_PROXY_CLIENT_IP" | "WL_PROXY_SSL").then_some(Role::Forwards),
        _ => None,
    }
}

/// Of the values of a field, the one that counts after *depth* proxies. `Err` if that cannot be told.
pub fn pick(field: &str, depth: usize) -> Result<&str, Unclear> {
    if !field.contains(',') {
        return Ok(field.trim_matches([' ', '\t']));
    }
    let value = field.rsplit(',').nth(depth.max(1) - 1).ok_or(Unclear)?;
    Ok(value.trim_matches([' ', '\t']))
}

/// It cannot be told which value counts, or it is none that can be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclear;

/// A scheme, as WSGI writes it. Of a WebSocket's handshake, which is HTTP, some proxies say `wss`.
pub fn scheme(value: &str) -> Result<&'static str, Unclear> {
    let is = |name: &str| value.eq_ignore_ascii_case(name);
    if is("https") || is("wss") {
        Ok("https")
    } else if is("http") || is("ws") {
        Ok("http")
    } else {
        Err(Unclear)
    }
}

/// A host, and its port if it has one: a name, an IPv4 address, or an IPv6 address in brackets.
pub fn host(value: &str) -> Result<(&str, Option<&str>), Unclear> {
    let (name, port) = match value.strip_prefix('[') {
        Some(rest) => {
            let end = rest.find(']').ok_or(Unclear)? + 2;
            let (name, port) = value.split_at_checked(end).ok_or(Unclear)?;
            name.get(1..name.len() - 1)
                .and_then(|six| six.parse::<std::net::Ipv6Addr>().ok())
                .ok_or(Unclear)?;
            (name, if port.is_empty() { None } else { Some(port.strip_prefix(':').ok_or(Unclear)?) })
        }
        None => value.split_once(':').map_or((value, None), |(name, port)| (name, Some(port))),
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let is_name = name.starts_with('[') || (!name.is_empty() && name.bytes().all(plain));
    if !is_name || name.len() > 255 || port.is_some_and(|port| !node::is_port(port)) {
        return Err(Unclear);
    }
    Ok((name, port))
}

/// The path under which a proxy serves an app, without a slash at its end; empty for the root.
pub fn prefix(value: &str) -> Result<&str, Unclear> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/!$&'()*+=:@".contains(&byte);
    let segments = |text: &str| text.split('/').skip(1).all(|part| !matches!(part, "" | "." | ".."));
    let path = value.strip_suffix('/').unwrap_or(value);
    let good = value.starts_with('/') && value.len() <= 1024 && value.bytes().all(plain);
    if good && (path.is_empty() || segments(path)) { Ok(path) } else { Err(Unclear) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_that_counts_is_the_farthest_trusted_proxys() {
        for (field, depth, expected) in [
            ("https", 0, Ok("https")),
            ("https", 3, Ok("https")),
            // Flask-Talisman: `https, http` is read as neither. The client says https, the proxy http.
            ("https, http", 1, Ok("http")),
            ("https, http", 2, Ok("https")),
            ("https, http", 0, Ok("http")),
            ("https, http", 3, Err(Unclear)),
            ("http,", 1, Ok("")),
        ] {
            assert_eq!(pick(field, depth), expected, "{field} {depth}");
        }
    }

    #[test]
    fn schemes_hosts_and_prefixes_are_read_strictly() {
        for (text, expected) in [("HTTPS", "https"), ("wss", "https"), ("http", "http"), ("WS", "http")] {
            assert_eq!(scheme(text), Ok(expected), "{text}");
        }
        for text in ["", "wsss", "https:", "https http"] {
            assert_eq!(scheme(text), Err(Unclear), "{text}");
        }
        assert_eq!(host("api.example"), Ok(("api.example", None)));
        assert_eq!(host("api.example:8443"), Ok(("api.example", Some("8443"))));
        assert_eq!(host("[2001:db8::1]:8443"), Ok(("[2001:db8::1]", Some("8443"))));
        assert_eq!(host("[2001:db8::1]"), Ok(("[2001:db8::1]", None)));
        for text in [
            "", ":80", "a:", "a:0", "a:70000", "a b", "a/b", "a@b", "a,b", "a#", "[::1", "[x]", "[::1]80",
            "a:80:80", "\u{e4}",
        ] {
            assert_eq!(host(text), Err(Unclear), "{text}");
        }
        for (text, expected) in [("/v1", "/v1"), ("/v1/", "/v1"), ("/", ""), ("/a/b", "/a/b")] {
            assert_eq!(prefix(text), Ok(expected), "{text}");
        }
        for text in [
            "",
            "v1",
            "//evil.test",
            "/a//b",
            "/a/../b",
            "/.",
            "/a?b",
            "/a#b",
            "/a\\b",
            "/a%2fb",
            "/\u{e4}",
            "/a//",
        ] {
            assert_eq!(prefix(text), Err(Unclear), "{text}");
        }
    }

    #[test]
    fn usual_fields_have_no_role() {
        for name in
            ["", "ACCEPT", "COOKIE", "AUTHORIZATION", "X_REQUEST_ID", "X_CSRF_TOKEN", "CONNECTION", "FROM"]
        {
            assert_eq!(role(name), None, "{name}");
        }
        assert_eq!(role("X_FORWARDED_USER"), Some(Role::Passes));
        assert_eq!(role("X_FORWARDED_FOR"), Some(Role::Forwards));
    }
}

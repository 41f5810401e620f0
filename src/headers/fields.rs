//! Values of headers: what may be sent at all, and what of an override browsers would understand.

use super::{caching, permissions};
use crate::error::ConfigError;
use crate::suggest::nearest;

/// Whether a value may leave: no control character but the tab (RFC 9110 §5.5), and nothing beyond
/// Latin-1, which is all that PEP 3333 lets a header carry.
///
/// The second is not pedantry: a server that cuts characters to their low byte makes a line feed of
/// U+560A (the response splitting that Twitter had in 2015).
#[inline]
pub(super) fn may_leave(value: &[u8]) -> bool {
    // One pass without branches, so that the compiler works on many bytes at once.
    let bad = |b: u8| (b < 0x20 && b != b'\t') | (b == 0x7f) | (b >= 0xC4);
    !value.iter().fold(false, |any, &b| any | bad(b))
}

/// Whether a field may leave as it is: its name is a token (RFC 9110 §5.6.2), and its value can split nothing.
pub fn may_be_sent(name: &str, value: &str) -> bool {
    let token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !name.is_empty() && name.bytes().all(token) && may_leave(value.as_bytes())
}

/// Checks the value of an override; *lower* is the header's lower-cased name.
///
/// A header that browsers know must have a value that they know: `nosnif` would turn a protection
/// off without a word.
pub(super) fn check(name: &str, lower: &str, value: &str) -> Result<(), ConfigError> {
    let refuse = |why: String| Err(ConfigError::new(format!("overrides: {name}: {why}")));
    if value.trim().is_empty() {
        return refuse("is empty. Write None to send no such header".to_owned());
    }
    if value.trim() != value || !value.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return refuse("a value is printable ASCII on one line, with no space around it".to_owned());
    }
    let (allowed, lists): (&[&str], _) = match lower {
        "cache-control" => return caching::check(value).or_else(refuse),
        "permissions-policy" => return permissions::check(value).or_else(refuse),
        "strict-transport-security" => return strict_transport(value).or_else(refuse),
        "x-frame-options" if value.to_ascii_lowercase().starts_with("allow-from") => {
            return refuse(
                "browsers ignore ALLOW-FROM. Name the origin in frame-ancestors of the CSP".to_owned(),
            );
        }
        "x-frame-options" => (&["DENY", "SAMEORIGIN"], false),
        "x-content-type-options" => (&["nosniff"], false),
        "referrer-policy" => (&REFERRER, true),
        "cross-origin-resource-policy" => (&["same-origin", "same-site", "cross-origin"], false),
        "cross-origin-opener-policy" | "cross-origin-opener-policy-report-only" => {
            (&["same-origin", "same-origin-allow-popups", "noopener-allow-popups", "unsafe-none"], false)
        }
        "cross-origin-embedder-policy" | "cross-origin-embedder-policy-report-only" => {
            (&["require-corp", "credentialless", "unsafe-none"], false)
        }
        "x-dns-prefetch-control" => (&["off", "on"], false),
        "x-permitted-cross-domain-policies" => (
            &["none", "master-only", "by-content-type", "by-ftp-filename", "all", "none-this-response"],
            false,
        ),
        "origin-agent-cluster" => (&["?1", "?0"], false),
        _ => return Ok(()),
    };
    // The cross-origin policies may name an endpoint for reports: `same-origin; report-to="x"`.
    let items: Vec<&str> = if lists {
        value.split(',').map(str::trim).collect()
    } else if lower.starts_with("cross-origin-") {
        vec![value.split(';').next().unwrap_or_default().trim()]
    } else {
        vec![value]
    };
    for item in items {
        if !allowed.iter().any(|allowed| allowed.eq_ignore_ascii_case(item)) {
            return refuse(match nearest(item, allowed.iter().copied()) {
                Some(meant) => format!("{item:?} means nothing to browsers. Did you mean {meant:?}?"),
                None => format!("{item:?} means nothing to browsers; it is {}", allowed.join(", ")),
            });
        }
    }
    Ok(())
}

/// RFC 6797 §6.1, and the preload list's own conditions.
fn strict_transport(value: &str) -> Result<(), String> {
    let (mut age, mut subdomains, mut preload) = (None, false, false);
    for directive in value.split(';').map(str::trim) {
        let lower = directive.to_ascii_lowercase();
        let repeated = match lower.split_once('=') {
            Some(("max-age", seconds)) => {
                age.replace(seconds.trim_matches('"').parse::<u32>().ok()).is_some()
            }
            None if lower == "includesubdomains" => std::mem::replace(&mut subdomains, true),
            None if lower == "preload" => std::mem::replace(&mut preload, true),
            _ => {
                return Err(match nearest(&lower, ["includeSubDomains", "preload", "max-age="]) {
                    Some(meant) => format!("{directive:?} is not a directive. Did you mean {meant:?}?"),
                    None => format!(
                        "{directive:?} is not a directive; it has max-age=, includeSubDomains and preload"
                    ),
                });
            }
        };
        if repeated {
            return Err(format!("{directive:?} stands twice, and browsers then ignore the whole header"));
        }
    }
    match age.flatten() {
        None => Err("it needs max-age=SECONDS, a whole number".to_owned()),
        Some(seconds) if preload && (seconds < 31_536_000 || !subdomains) => {
            Err("preload needs includeSubDomains and a max-age of at least 31536000 (hstspreload.org)"
                .to_owned())
        }
        Some(_) => Ok(()),
    }
}

const REFERRER: [&str; 8] = [
    "no-referrer",
    "no-referrer-when-downgrade",
    "origin",
    "origin-when-cross-origin",
    "same-origin",
    "strict-origin",
    "strict-origin-when-cross-origin",
    "unsafe-url",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn refusal(name: &str, value: &str) -> String {
        check(name, &name.to_ascii_lowercase(), value).unwrap_err().to_string()
    }

    #[test]
    fn what_could_split_a_response_may_not_leave() {
        for good in ["", "text/html; charset=utf-8", "a\tb", "caf\u{e9}", "\u{80}\u{ff}"] {
            assert!(may_leave(good.as_bytes()), "{good:?}");
        }
        // U+560A and U+560D: their low bytes are a line feed and a carriage return.
        for bad in
            ["a\r\nSet-Cookie: x=1", "a\n", "\r", "a\0", "\u{1b}[2J", "\u{7f}", "\u{560a}\u{560d}", "\u{100}"]
        {
            assert!(!may_leave(bad.as_bytes()), "{bad:?}");
        }
        for position in 0..70 {
            let mut value = vec![b'x'; 70];
            value[position] = b'\n';
            assert!(!may_leave(&value), "{position}");
        }
    }

    #[test]
    fn a_field_is_sent_whose_name_is_a_token() {
        assert!(may_be_sent("X-Frame-Options", "DENY") && may_be_sent("!#$%&'*+-.^_`|~", ""));
        for name in ["", "X Y", "X:", "X\r\n", "caf\u{e9}", "X\0"] {
            assert!(!may_be_sent(name, "y"), "{name:?}");
        }
        assert!(!may_be_sent("Location", "/\r\nSet-Cookie: x=1") && !may_be_sent("Location", "/\u{560a}"));
    }

    #[test]
    fn an_override_that_browsers_would_not_understand_is_refused() {
        assert!(refusal("X-Content-Type-Options", "nosnif").contains("Did you mean \"nosniff\""));
        assert!(refusal("X-Frame-Options", "ALLOW-FROM https://a.example").contains("frame-ancestors"));
        assert!(refusal("Referrer-Policy", "no-referer").contains("no-referrer"));
        assert!(refusal("Cross-Origin-Opener-Policy", "same-orgin; report-to=\"x\"").contains("same-origin"));
        assert!(refusal("X-Anything", "a\r\nb").contains("one line"));
        assert!(refusal("X-Anything", "").contains("None"));
        for (name, value) in [
            ("referrer-policy", "no-referrer, strict-origin-when-cross-origin"),
            ("cross-origin-embedder-policy", "require-corp; report-to=\"x\""),
            ("x-frame-options", "sameorigin"),
            ("x-anything", "goes, if it = \"printable\""),
        ] {
            assert_eq!(check(name, name, value), Ok(()));
        }
    }

    #[test]
    fn strict_transport_security_is_read_as_browsers_read_it() {
        let name = "Strict-Transport-Security";
        for good in
            ["max-age=0", "max-age=63072000; includeSubDomains; preload", "includesubdomains;max-age=\"5\""]
        {
            assert_eq!(check(name, "strict-transport-security", good), Ok(()), "{good}");
        }
        assert!(refusal(name, "includeSubDomains").contains("max-age"));
        assert!(refusal(name, "max-age=1 year").contains("max-age"));
        assert!(refusal(name, "max-age=-1").contains("max-age"));
        assert!(refusal(name, "max-age=1; max-age=2").contains("twice"));
        assert!(refusal(name, "max-age=300; preload").contains("31536000"));
        assert!(refusal(name, "max-age=300; includeSubDomain").contains("includeSubDomains"));
    }
}

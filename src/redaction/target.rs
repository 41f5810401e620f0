//! Redacts a request's target: path and query, where anything may be percent-encoded.
//!
//! The query is taken pair by pair. A pair whose decoded name is secret loses its value. Every other piece
//! is searched as it stands, and again as it reads after decoding, up to three times over: a server
//! behind this one may decode once more. Only a piece in which that finds something is written anew.

use std::borrow::Cow;

use super::Redactor;
use super::text::{is_marker, percent};

/// *target* without its secrets.
pub(super) fn redact<'t>(redactor: &Redactor, target: &'t str) -> Cow<'t, str> {
    let bytes = target.as_bytes();
    if memchr::memchr2(b'%', b'+', bytes).is_none() {
        // Nothing is encoded. If it is clean as a whole, it is clean in pieces; they only tell more exactly
        // where a value ends.
        let shown = redactor.redact(target);
        let has_query = memchr::memchr(b'?', bytes).is_some();
        let clean = matches!(shown, Cow::Borrowed(_)) && memchr::memmem::find(bytes, b"code=").is_none();
        if !has_query || clean {
            return shown;
        }
    }
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let mut out = String::with_capacity(target.len() + 32);
    out.push_str(&piece(redactor, path));
    let mut sign = '?';
    for pair in query.into_iter().flat_map(|query| query.split('&')) {
        out.push(sign);
        sign = '&';
        match secret_pair(redactor, pair) {
            Some((name, entity)) => {
                out.push_str(name);
                out.push_str("=[REDACTED:");
                out.push_str(entity);
                out.push(']');
            }
            None => out.push_str(&piece(redactor, pair)),
        }
    }
    Cow::Owned(out)
}

/// The name of a pair, as it stands, and what its value is, if the name is secret.
fn secret_pair<'t>(redactor: &Redactor, pair: &'t str) -> Option<(&'t str, &'static str)> {
    let (name, value) = pair.split_once('=')?;
    if value.is_empty() || is_marker(value.as_bytes()) {
        return None;
    }
    let decoded = decoded(name.as_bytes());
    let plain = decoded.as_deref().unwrap_or(name.as_bytes());
    if plain == b"code" && value.len() >= AUTHORIZATION_CODE {
        return Some((name, "TOKEN"));
    }
    Some((name, redactor.name_entity(plain)?))
}

/// An authorization code (RFC 6749 §4.1.2) is a credential on its way through a URL; a country's code is not.
const AUTHORIZATION_CODE: usize = 10;

fn piece<'t>(redactor: &Redactor, text: &'t str) -> Cow<'t, str> {
    let shown = redactor.redact(text);
    let Some(decoded) = decoded(shown.as_bytes()) else { return shown };
    match redactor.redact_bytes(&decoded) {
        Cow::Borrowed(_) => shown,
        Cow::Owned(clean) => Cow::Owned(encoded(&clean)),
    }
}

/// *text* after up to three rounds of decoding, or none if there is nothing to decode.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr2(b'%', b'+', text)?;
    let mut result: Option<Vec<u8>> = None;
    for _ in 0..3 {
        let current = result.as_deref().unwrap_or(text);
        let escaped = |i: usize| current[i] == b'+' || percent(current, i).is_some();
        if !(0..current.len()).any(escaped) {
            break;
        }
        result = Some(decoded_once(current));
    }
    result
}

fn decoded_once(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        let escape = percent(text, at);
        out.push(escape.unwrap_or(if byte == b'+' { b' ' } else { byte }));
        at += if escape.is_some() { 3 } else { 1 };
    }
    out
}

fn encoded(text: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for &byte in text {
        if byte.is_ascii_alphanumeric() || b"-._~[]:@/,;=!*()'$".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn shown(target: &str) -> String {
        redact(&Redactor::new(&[]).unwrap(), target).into_owned()
    }

    #[test]
    fn a_secret_pair_loses_its_value_and_nothing_else() {
        assert_eq!(shown("/predict?token=abc&debug&x=1"), "/predict?token=[REDACTED:TOKEN]&debug&x=1");
        assert_eq!(shown("/p?a=1&p%61ss%77ord=x%26y"), "/p?a=1&p%61ss%77ord=[REDACTED:PASSWORD]");
        assert_eq!(shown("/p?user[password]=a;b"), "/p?user[password]=[REDACTED:PASSWORD]");
        assert_eq!(
            shown("/callback?code=SplxlOBeZQQYbYS6WxSbIA&state=x"),
            "/callback?code=[REDACTED:TOKEN]&state=x"
        );
    }

    #[test]
    fn harmless_targets_are_shown_as_they_are() {
        for target in
            ["/", "", "*", "/a/b?page=2&size=10", "/%E2%82%AC?q=a%20b+c", "/?code=DE&token=", "/%zz?%&="]
        {
            assert_eq!(shown(target), target);
        }
    }

    #[test]
    fn secrets_are_found_behind_several_rounds_of_encoding() {
        for target in [
            "/users/ann%40example.org",
            "/users/ann%2540example.org",
            "/users/ann%252540example.org",
            "/?q=ann%40example%2Eorg",
            "/login?next=%2Fx%3Fpassword%3Dann%40example.org%26a%3Db",
            "/login?next=%252Fx%253Fpassword%253Dann@example.org",
        ] {
            let shown = shown(target);
            assert!(shown.contains("[REDACTED:") && !shown.contains("ann"), "{target} -> {shown}");
        }
        let card = shown("/?card=4111%201111+1111%201111&note=4111%201111+1111%201111");
        assert!(!card.contains("4111"), "{card}");
    }
}

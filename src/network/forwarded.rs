//! Reads `Forwarded` (RFC 7239), element by element from the right.
//!
//! 1. Elements are parted by commas outside of quoted strings. Quotes are paired from the right, so that one which a client
//!    left open on the left swallows nothing that a proxy wrote after it.
//! 2. An element is pairs parted by semicolons, each a token, `=`, and a token or a quoted string; a name that stands twice
//!    makes the element malformed.
//! 3. What is malformed ends the reading: nothing left of it is looked at.
//!
//! It does not say what `for` names ([`super::node`]), nor whom to believe ([`super::walk`]).

use std::borrow::Cow;

/// What one proxy said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Element<'a> {
    /// Who was in front of it.
    pub r#for: Option<Cow<'a, str>>,
    /// By which scheme the request came to it.
    pub proto: Option<Cow<'a, str>>,
    /// Which host it was for.
    pub host: Option<Cow<'a, str>>,
}

/// The elements of a field, the last one first; `None` is one that is malformed, after which none follows.
pub fn from_right(field: &str) -> impl Iterator<Item = Option<Element<'_>>> {
    let mut left = Some(field);
    std::iter::from_fn(move || {
        let (rest, last) = split_last(left?);
        let element = last.and_then(element);
        left = if element.is_some() { rest } else { None };
        Some(element)
    })
}

/// What is left of the last comma outside of quotes, and what is right of it; the latter is `None` if its quotes have no
/// pairs.
fn split_last(text: &str) -> (Option<&str>, Option<&str>) {
    let bytes = text.as_bytes();
    let mut at = bytes.len();
    while at > 0 {
        at -= 1;
        match bytes[at] {
            b',' => return (text.get(..at), text.get(at + 1..)),
            b'"' => match opening(bytes, at) {
                Some(open) => at = open,
                None => return (None, None),
            },
            _ => {}
        }
    }
    (None, Some(text))
}

/// Where the quoted string begins that ends at *close*.
fn opening(bytes: &[u8], close: usize) -> Option<usize> {
    let mut at = close;
    loop {
        at = bytes.get(..at)?.iter().rposition(|byte| *byte == b'"')?;
        let slashes = bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
        if slashes % 2 == 0 {
            return Some(at);
        }
    }
}

fn element(text: &str) -> Option<Element<'_>> {
    let mut found = Element::default();
    let mut rest = trim(text);
    if rest.is_empty() {
        return None;
    }
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = trim(name);
        if !is_token(name) {
            return None;
        }
        let (value, after) = value(after)?;
        let place = match () {
            () if name.eq_ignore_ascii_case("for") => Some(&mut found.r#for),
            () if name.eq_ignore_ascii_case("proto") => Some(&mut found.proto),
            () if name.eq_ignore_ascii_case("host") => Some(&mut found.host),
            () => None,
        };
        if place.is_some_and(|place| place.replace(value).is_some()) {
            return None;
        }
        rest = trim(after);
        if rest.is_empty() {
            return Some(found);
        }
        rest = trim(rest.strip_prefix(';')?);
        if rest.is_empty() {
            return Some(found);
        }
    }
}

/// A token or a quoted string, and what follows it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([';', ' ', '\t']).unwrap_or(text.len());
        let (value, after) = text.split_at_checked(end)?;
        return is_token(value).then_some((Cow::Borrowed(value), after));
    };
    let bytes = quoted.as_bytes();
    let mut at = 0;
    let mut escaped = false;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                let (value, after) = (quoted.get(..at)?, quoted.get(at + 1..)?);
                let value = if escaped { Cow::Owned(unescaped(value)) } else { Cow::Borrowed(value) };
                return Some((value, after));
            }
            b'\\' => {
                escaped = true;
                at += 2;
            }
            _ => at += 1,
        }
    }
    None
}

fn unescaped(text: &str) -> String {
    let mut found = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        found.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    found
}

/// RFC 9110 §5.6.2
fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:".contains(&byte))
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(field: &str) -> Vec<Option<String>> {
        from_right(field)
            .map(|element| {
                element.map(|element| {
                    [element.r#for, element.proto, element.host]
                        .map(|value| value.map_or_else(|| "-".to_owned(), Cow::into_owned))
                        .join(" ")
                })
            })
            .collect()
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        // RFC 7239 §4, §7.1
        for (field, expected) in [
            ("for=\"_gazonk\"", vec!["_gazonk - -"]),
            ("For=\"[2001:db8:cafe::17]:4711\"", vec!["[2001:db8:cafe::17]:4711 - -"]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", vec!["192.0.2.60 http -"]),
            ("for=192.0.2.43, for=198.51.100.17", vec!["198.51.100.17 - -", "192.0.2.43 - -"]),
            (
                "for=192.0.2.43,for=\"[2001:db8:cafe::17]\",for=unknown",
                vec!["unknown - -", "[2001:db8:cafe::17] - -", "192.0.2.43 - -"],
            ),
            ("for=192.0.2.43;host=\"a, b;c\";proto=https;", vec!["192.0.2.43 https a, b;c"]),
            ("for=a;host=\"x\\\"y\\\\\"", vec!["a - x\"y\\"]),
            ("by=x", vec!["- - -"]),
        ] {
            let expected: Vec<_> = expected.into_iter().map(|text| Some(text.to_owned())).collect();
            assert_eq!(read(field), expected, "{field}");
        }
    }

    #[test]
    fn a_quote_that_a_client_left_open_hides_nothing_that_a_proxy_wrote() {
        for field in [
            "for=\"203.0.113.9, for=192.0.2.1",
            "for=\"203.0.113.9\\, for=192.0.2.1",
            "\", for=192.0.2.1",
            "x\\\",\\, for=192.0.2.1",
        ] {
            assert_eq!(
                from_right(field).next().flatten().and_then(|it| it.r#for).as_deref(),
                Some("192.0.2.1")
            );
        }
        // The proxy's own element has quotes.
        let field = "for=\"203.0.113.9, for=\"[2001:db8::1]:80\"";
        assert_eq!(
            from_right(field).next().flatten().and_then(|it| it.r#for).as_deref(),
            Some("[2001:db8::1]:80")
        );
    }

    #[test]
    fn what_is_malformed_ends_the_reading() {
        for field in [
            "",
            " ",
            "for=a,",
            "for",
            "for=",
            "=a",
            "for=a;for=b",
            "for=a;FOR=a",
            "for=a b",
            "for=[::1]",
            "for=\"a",
            "for=a\"",
            "for=\"a\"b",
            "f or=a",
            "for=a;;proto=b",
            "for=a;proto=http;PROTO=https",
            "for=\u{e4}",
            "for=a/b",
        ] {
            assert_eq!(read(field), vec![None], "{field}");
        }
        assert_eq!(read("for=a, for=b=c, for=d"), vec![Some("d - -".into()), None]);
    }

    #[test]
    fn long_fields_are_read_in_linear_time() {
        for hostile in [
            "\"\\".repeat(200_000),
            "\\".repeat(400_000) + "\"",
            "\",".repeat(200_000),
            "a=b;".repeat(100_000),
        ] {
            assert!(from_right(&hostile).take(3).count() >= 1);
        }
    }
}

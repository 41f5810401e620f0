//! Takes apart what is written as `name=value&name=value` (WHATWG URL, "application/x-www-form-urlencoded").
//!
//! Queries and forms are read by the same few lines, so that no two readers of a request differ.

use std::borrow::Cow;

/// The pairs of a query, decoded; none of one that is no UTF-8, or has a `%` without two digits behind it.
pub fn pairs(query: &[u8]) -> impl Iterator<Item = Option<(Cow<'_, str>, Cow<'_, str>)>> {
    query.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let at = pair.iter().position(|&byte| byte == b'=');
        let (name, value) = match at {
            Some(at) => (pair.get(..at)?, pair.get(at + 1..)?),
            None => (pair, &[][..]),
        };
        Some((decoded(name, true)?, decoded(value, true)?))
    })
}

/// Reads `%41`, and `+` as a blank if it `has_plus`.
pub fn decoded(text: &[u8], has_plus: bool) -> Option<Cow<'_, str>> {
    if !text.iter().any(|&byte| byte == b'%' || (byte == b'+' && has_plus)) {
        return std::str::from_utf8(text).ok().map(Cow::Borrowed);
    }
    let mut plain = Vec::with_capacity(text.len());
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let (high, low) = (digit(*bytes.next()?)?, digit(*bytes.next()?)?);
                high << 4 | low
            }
            b'+' if has_plus => b' ',
            other => other,
        });
    }
    String::from_utf8(plain).ok().map(Cow::Owned)
}

fn digit(byte: u8) -> Option<u8> {
    (byte as char).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

//! How a text writes the quotes, signs and brackets in it: as they are, or encoded.
//!
//! A JSON text in a query string has `%22` for each quote (RFC 3986), one that was logged by a careful program `\u0022` (RFC
//! 8259 §7) or `\x22`, one in a page `&quot;` or `&#34;`. Each is read as the character that it stands for. Percent-encoding
//! may be percent-encoded itself, up to three times.
//!
//! Nothing is decoded but single characters of ASCII, where one is asked for; no text is.

use super::ahead::{Known, Text};
use super::text::percent;

/// The way in which a name's quotes and its sign are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Coding {
    Plain,
    /// `%22`, `%2522`.
    Percent,
    /// `\u0022`, `\x22`, behind so many backslashes.
    Escape(u8),
    /// `&quot;`, `&#34;`, `&#x22;`.
    Html,
}

/// A character that is written in a coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coded {
    pub(super) byte: u8,
    pub(super) length: usize,
    pub(super) coding: Coding,
}

impl Coded {
    fn new(byte: u8, length: usize, coding: Coding) -> Option<Self> {
        Some(Self { byte, length, coding })
    }

    /// The backslashes before a closing quote of *outer*'s that are no part of it.
    pub(super) fn beyond(&self, outer: Coding) -> usize {
        match (self.coding, outer) {
            (Coding::Escape(slashes), Coding::Escape(level)) => usize::from(slashes.saturating_sub(level)),
            _ => 0,
        }
    }

    pub(super) fn is_quote(&self) -> bool {
        matches!(self.byte, b'"' | b'\'')
    }

    /// Whether a quote that is written so stands inside a text whose quotes are written as *outer*: one that is escaped, of
    /// JSON in JSON. Each level doubles the backslashes, and adds one.
    pub(super) fn is_inside(&self, outer: Coding) -> bool {
        match (self.coding, outer) {
            (Coding::Escape(slashes), Coding::Escape(level @ 1..)) => {
                slashes >= level && !usize::from(slashes - level).is_multiple_of(4 * usize::from(level))
            }
            _ => false,
        }
    }
}

/// Backslashes before an escape that are read. What stands behind more of them is none.
pub(super) const SLASHES: usize = 32;

/// Percent-encoding inside percent-encoding.
const ROUNDS: usize = 3;

/// The character that is written in some coding at *at*.
pub(super) fn at(text: Text<'_>, at: usize) -> Known<Option<Coded>> {
    match text.peek(at)? {
        Some(b'%') => percent_at(text, at),
        Some(b'\\') => escape_at(text, at),
        Some(b'&') => html_at(text, at),
        _ => Ok(None),
    }
}

/// The character at *at*, if it is written as *coding* says; of escapes, behind any number of backslashes.
pub(super) fn of(text: Text<'_>, at: usize, coding: Coding) -> Known<Option<Coded>> {
    match (coding, text.peek(at)?) {
        (Coding::Percent, Some(b'%')) => percent_at(text, at),
        (Coding::Escape(_), Some(b'\\')) => escape_at(text, at),
        (Coding::Html, Some(b'&')) => html_at(text, at),
        _ => Ok(None),
    }
}

fn percent_at(text: Text<'_>, at: usize) -> Known<Option<Coded>> {
    let Some(mut byte) = text.percent(at)? else { return Ok(None) };
    let mut length = 3;
    for _ in 1..ROUNDS {
        if byte != b'%' {
            break;
        }
        let Some(deeper) = hex_pair(text, at + length)? else { break };
        (byte, length) = (deeper, length + 2);
    }
    Ok(Coded::new(byte, length, Coding::Percent))
}

fn escape_at(text: Text<'_>, at: usize) -> Known<Option<Coded>> {
    let slashes = text.run(at, SLASHES, |b| b == b'\\')?;
    let place = at + slashes;
    let digits = match text.peek(place)? {
        Some(b'x') => place + 1,
        Some(b'u') if text.starts_with(place + 1, b"00")? => place + 3,
        _ => return Ok(None),
    };
    if slashes == 0 || slashes == SLASHES {
        return Ok(None);
    }
    let Some(byte) = hex_pair(text, digits)? else { return Ok(None) };
    Ok(Coded::new(byte, digits + 2 - at, Coding::Escape(slashes as u8)))
}

fn html_at(text: Text<'_>, at: usize) -> Known<Option<Coded>> {
    for (name, byte) in ENTITIES {
        if text.starts_with(at, name)? {
            return Ok(Coded::new(*byte, name.len(), Coding::Html));
        }
    }
    if text.peek(at + 1)? != Some(b'#') {
        return Ok(None);
    }
    let hexadecimal = matches!(text.peek(at + 2)?, Some(b'x' | b'X'));
    let start = at + 2 + usize::from(hexadecimal);
    let length = text.run(start, DIGITS, |b| b.is_ascii_hexdigit())?;
    if text.peek(start + length)? != Some(b';') {
        return Ok(None);
    }
    let digits = text.get(start..start + length).and_then(|digits| std::str::from_utf8(digits).ok());
    let radix = if hexadecimal { 16 } else { 10 };
    let byte = digits.and_then(|digits| u8::from_str_radix(digits, radix).ok());
    Ok(byte.filter(u8::is_ascii).and_then(|byte| Coded::new(byte, start + length + 1 - at, Coding::Html)))
}

/// The longest number of a character that is read, in digits.
const DIGITS: usize = 6;

/// HTML's names (WHATWG HTML §13.5) of what stands round names and values.
const ENTITIES: &[(&[u8], u8)] = &[
    (b"&quot;", b'"'),
    (b"&apos;", b'\''),
    (b"&nbsp;", b' '),
    (b"&lt;", b'<'),
    (b"&gt;", b'>'),
    (b"&amp;", b'&'),
];

/// The character that *before* ends with, if it is written in some coding.
#[inline]
pub(super) fn before(before: &[u8]) -> Option<Coded> {
    match before {
        [.., a, b] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit() => digits_before(before),
        [.., b';'] => {
            let start = before.len().saturating_sub(ENTITY);
            let place = start + memchr::memrchr(b'&', &before[start..])?;
            let found = html_at(Text::whole(before), place).ok()??;
            (place + found.length == before.len()).then_some(found)
        }
        _ => None,
    }
}

/// No entity is longer.
const ENTITY: usize = 10;

fn digits_before(before: &[u8]) -> Option<Coded> {
    let (head, digits) = before.split_at(before.len() - 2);
    let byte = hex_pair(Text::whole(digits), 0).ok()??;
    let mut sign = head;
    for _ in 1..ROUNDS {
        sign = sign.strip_suffix(b"25").unwrap_or(sign);
    }
    if sign.ends_with(b"%") || head.ends_with(b"%") {
        let sign = if head.ends_with(b"%") { head } else { sign };
        return Coded::new(byte, before.len() - sign.len() + 1, Coding::Percent);
    }
    let head = head.strip_suffix(b"x").or_else(|| head.strip_suffix(b"u00"))?;
    let slashes = head.iter().rev().take(SLASHES).take_while(|b| **b == b'\\').count();
    let length = before.len() - head.len() + slashes;
    if slashes == 0 || slashes == SLASHES {
        return None;
    }
    Coded::new(byte, length, Coding::Escape(slashes as u8))
}

/// The byte that two hexadecimal digits at *at* are.
fn hex_pair(text: Text<'_>, at: usize) -> Known<Option<u8>> {
    let mut byte = 0;
    for place in [at, at + 1] {
        let Some(digit) = text.peek(place)?.and_then(|b| char::from(b).to_digit(16)) else { return Ok(None) };
        byte = byte << 4 | digit as u8;
    }
    Ok(Some(byte))
}

/// How the first character between a name's end and its sign is written that is written in any coding.
pub(super) fn between(text: &[u8]) -> Coding {
    let found = (0..text.len()).find_map(|place| at(Text::whole(text), place).ok().flatten());
    found.map_or(Coding::Plain, |found| found.coding)
}

/// The length of the escape that a word after a backslash begins with, as far as it hides where the word starts: `u0022` in
/// `\u0022pin`.
pub(super) fn escape_in(word: &[u8]) -> usize {
    let hex = |digits: &[u8]| digits.len() >= 2 && digits[..2].iter().all(u8::is_ascii_hexdigit);
    match word {
        [b'u', b'0', b'0', digits @ ..] if hex(digits) => 5,
        [b'x', digits @ ..] if hex(digits) => 3,
        _ => 0,
    }
}

/// The byte that `%XX` in a name stands for, and its length; through several rounds.
pub(super) fn percent_in(name: &[u8], at: usize) -> Option<(u8, usize)> {
    percent(name, at)?;
    percent_at(Text::whole(name), at).ok()?.map(|found| (found.byte, found.length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_read_alike_in_both_directions_in_each_coding() {
        for (text, byte, coding) in [
            ("%22", b'"', Coding::Percent),
            ("%2522", b'"', Coding::Percent),
            ("%252522", b'"', Coding::Percent),
            ("\\u0022", b'"', Coding::Escape(1)),
            ("\\\\u0022", b'"', Coding::Escape(2)),
            ("\\x3d", b'=', Coding::Escape(1)),
            ("\\x3D", b'=', Coding::Escape(1)),
            ("&quot;", b'"', Coding::Html),
            ("&#34;", b'"', Coding::Html),
            ("&#x27;", b'\'', Coding::Html),
            ("&#X0027;", b'\'', Coding::Html),
        ] {
            let expected = Coded::new(byte, text.len(), coding);
            assert!(matches!(at(Text::whole(text.as_bytes()), 0), Ok(found) if found == expected), "{text}");
            assert_eq!(before(format!("x{text}").as_bytes()), expected, "{text}");
            for end in 1..text.len() {
                let begun = at(Text::begun(&text.as_bytes()[..end]), 0);
                assert!(begun.is_err() || (coding == Coding::Percent && end % 2 == 1), "{text} at {end}");
            }
        }
        for text in ["%2", "%zz", "\\u0122", "\\xg0", "x22", "&quot", "&#300;", "&#xyz;", "&quote;", "%"] {
            assert!(matches!(at(Text::whole(text.as_bytes()), 0), Ok(None)), "{text}");
        }
    }
}

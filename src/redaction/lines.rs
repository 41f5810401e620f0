//! Values that begin on another line than their name.
//!
//! A line break after a sign is the end of a record more often than a gap. So it is passed over only where the text itself
//! says that the value follows:
//! - the name stands in quotes, with nothing, `{` or `,` before them on its line, and the next line begins with a text, a list or
//!   an object, or a number that ends with its line, `,`, `}` or `]`: JSON and Python, printed;
//! - the name is the first of its line, its sign is a colon, and the next line is indented deeper and is one word, or a text in
//!   quotes; or the rest of the name's line is `|` or `>`, and what is indented deeper is the value: YAML (§6.1, §8.1).
//!
//! After `password=` or `password:` in the midst of a line, nothing on the next line is a value.

use super::ahead::{Known, Text};
use super::coding::{self, Coding};
use super::values::{Place, opening_at};

/// Where a name begins, and how far back may be read.
#[derive(Clone, Copy)]
pub(super) struct Key {
    pub(super) start: usize,
    pub(super) floor: usize,
}

/// A value on another line.
pub(super) enum Below {
    /// Here.
    At(usize),
    /// From here on, as far as lines are indented deeper than this.
    Block(usize, usize),
}

/// The value that begins on a line after *at*, where the line of its name ends but for blanks.
pub(super) fn below(text: Text<'_>, at: usize, place: &Place<'_>) -> Known<Option<Below>> {
    let Some(key) = place.key else { return Ok(None) };
    match text.peek(at)? {
        Some(b'\n' | b'\r') if place.quote.is_some() => {
            if !is_member(&text, key) {
                return Ok(None);
            }
            let Some((next, _)) = next_line(text, at)? else { return Ok(None) };
            let begins = matches!(text.peek(next)?, Some(b'[' | b'{'))
                || opening_at(text, next)?.is_some()
                || is_number(text, next)?;
            Ok(begins.then_some(Below::At(next)))
        }
        Some(b'\n' | b'\r') if place.header => {
            let Some((next, deeper)) = indented(text, at, key)? else { return Ok(None) };
            let is_value = deeper && (opening_at(text, next)?.is_some() || is_word(text, next)?);
            Ok(is_value.then_some(Below::At(next)))
        }
        Some(b'|' | b'>') if place.header && place.quote.is_none() => {
            let sign = at + 1 + text.run(at + 1, 3, |b| matches!(b, b'+' | b'-' | b'1'..=b'9'))?;
            let blanks = text.run(sign, BLANKS, |b| b == b' ')?;
            let end = sign + blanks;
            // A comment (§6.6).
            let comment = blanks > 0 && text.peek(end)? == Some(b'#');
            let end = if comment { end + text.run(end, WORD, |b| !matches!(b, b'\n' | b'\r'))? } else { end };
            if !matches!(text.peek(end)?, Some(b'\n' | b'\r')) {
                return Ok(None);
            }
            let Some(indent) = indent(&text, key) else { return Ok(None) };
            let Some((next, column)) = next_line(text, end)? else { return Ok(None) };
            Ok((column > indent).then_some(Below::Block(next, indent)))
        }
        _ => Ok(None),
    }
}

/// The value that begins behind line breaks and tabs that are written out, as JSON has them that was printed and then stands
/// in another: a text in quotes that are written as the name's are; behind a name in quotes, also a list, an object or a
/// number.
pub(super) fn escaped(text: Text<'_>, at: usize, place: &Place<'_>) -> Known<Option<usize>> {
    let quoted = place.quote.is_some() || matches!(place.coding, Coding::Escape(_));
    if !quoted || text.peek(at)? != Some(b'\\') {
        return Ok(None);
    }
    let mut next = at;
    while next - at < SPACES {
        next += match text.peek(next)? {
            Some(b' ') => 1,
            Some(b'\\') => {
                let slashes = text.run(next, coding::SLASHES, |b| b == b'\\')?;
                match text.peek(next + slashes)? {
                    Some(b'n' | b'r' | b't') => slashes + 1,
                    _ => break,
                }
            }
            _ => break,
        };
    }
    if next == at {
        return Ok(None);
    }
    let begins = match place.quote {
        Some(quote) => {
            let opening = opening_at(text, next)?.map(|(opening, _)| opening);
            opening.is_some_and(|o| o.quote == quote.byte && o.slashes == usize::from(quote.slashes))
                || matches!(text.peek(next)?, Some(b'[' | b'{'))
                || is_number(text, next)?
        }
        None => coding::of(text, next, place.coding)?.is_some_and(|found| found.is_quote()),
    };
    Ok(begins.then_some(next))
}

/// Whether the *key* in quotes is that of an object's member: nothing, `{` or `,` stands before it on its line.
fn is_member(text: &[u8], key: Key) -> bool {
    let from = key.floor.max(key.start.saturating_sub(INDENT));
    let before = text.get(from..key.start).unwrap_or_default();
    let mark = |b: &u8| matches!(b, b'"' | b'\'' | b'`' | b'\\');
    let marks = before.iter().rev().take_while(|b| mark(b)).count();
    // The `b` of Python's bytes.
    let before = &before[..before.len() - marks];
    let before = before.strip_suffix(b"b").unwrap_or(before);
    match before.iter().rfind(|b| !matches!(b, b' ' | b'\t')) {
        Some(byte) => matches!(byte, b'{' | b',' | b'\n' | b'\r'),
        None => from == 0,
    }
}

/// Whether a number stands at *at*, and nothing of a record after it.
fn is_number(text: Text<'_>, at: usize) -> Known<bool> {
    let digits = at + usize::from(text.peek(at)? == Some(b'-'));
    if !text.peek(digits)?.is_some_and(|b| b.is_ascii_digit()) {
        return Ok(false);
    }
    let end = digits + text.run(digits, WORD, |b| b.is_ascii_digit() || b".eE+".contains(&b))?;
    let end = end + text.run(end, BLANKS, |b| matches!(b, b' ' | b'\t'))?;
    Ok(text.peek(end)?.is_none_or(|b| b",}]\n\r\\".contains(&b)))
}

/// Where the next line that is not empty begins, and whether it is indented deeper than the *key*, if that is the first
/// of its own.
fn indented(text: Text<'_>, at: usize, key: Key) -> Known<Option<(usize, bool)>> {
    let Some(indent) = indent(&text, key) else { return Ok(None) };
    Ok(next_line(text, at)?.map(|(next, column)| (next, column > indent)))
}

/// Where the text of the next line begins, and by how many blanks it is indented.
fn next_line(text: Text<'_>, at: usize) -> Known<Option<(usize, usize)>> {
    let spaces = text.run(at, SPACES, |b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))?;
    if spaces == SPACES {
        return Ok(None);
    }
    let blanks = text[at..at + spaces].iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
    Ok(Some((at + spaces, blanks)))
}

/// Whether the *key* is the first of its line.
pub(super) fn is_first(text: &[u8], key: Key) -> bool {
    indent(text, key).is_some()
}

/// How far the *key* is indented, if nothing but blanks and the dash of a list stands before it on its line.
fn indent(text: &[u8], key: Key) -> Option<usize> {
    let from = key.floor.max(key.start.saturating_sub(INDENT));
    let before = text.get(from..key.start)?;
    let line = match before.iter().rposition(|b| matches!(b, b'\n' | b'\r')) {
        Some(place) => &before[place + 1..],
        None if from == 0 => before,
        None => return None,
    };
    line.iter().all(|b| matches!(b, b' ' | b'\t' | b'-')).then_some(line.len())
}

/// Whether all that stands on the line at *at* is one word, and neither a name of its own nor an item.
fn is_word(text: Text<'_>, at: usize) -> Known<bool> {
    let length = text.run(at, WORD, |b| b > b' ')?;
    let blanks = text.run(at + length, BLANKS, |b| matches!(b, b' ' | b'\t'))?;
    let ends = text.peek(at + length + blanks)?.is_none_or(|b| matches!(b, b'\n' | b'\r'));
    let word = &text[at..at + length];
    let first = word.first().copied().unwrap_or(b'-');
    Ok(ends
        && length < WORD
        && !b"-#<>|{}[]&*!%@".contains(&first)
        && memchr::memchr2(b':', b'=', word).is_none())
}

/// Line breaks and blanks that are looked past.
const SPACES: usize = 256;

/// The deepest indentation of a name, the longest word on a line of its own, and blanks at a line's end.
const INDENT: usize = 64;
const WORD: usize = 128;
const BLANKS: usize = 16;

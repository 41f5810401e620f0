//! A quote behind a sign that opens nothing: the text in which the name stands ends there.
//!
//! In `{"msg": "Enter password:", "level": "INFO"}` and `print('password:', x)` the quote behind the sign closes. It does if
//! the name has no quotes of its own, and what follows is
//! - what follows a closing quote in JSON, a repr or a list of arguments, if the line before the name does not show that no
//!   text has begun there; or
//! - a sign that puts texts together, another text behind a blank, or `name=` behind one, if it shows that one has.
//!
//! A text that stands behind a comma, a plus or blanks then is the value (`print('password:', 'hunter2')`), unless it is a
//! name or a label of its own.

use super::ahead::{Known, Text};
use super::coding::{self, Coded, Coding};
use super::lines::Key;
use super::tails::{delimiter_follows, name_follows};
use super::values::{Opening, opening_at, skip_blanks};

/// Blanks behind the quote, bytes of the name or label that may follow, and bytes before the name that are looked at.
const BLANKS: usize = 16;
const NAME: usize = 64;
const BEFORE: usize = 256;

/// Whether the quote at *start*, with its inside at *inside*, ends the text in which the name at *key* stands.
pub(super) fn ends(
    text: Text<'_>,
    start: usize,
    (opening, inside): (Opening, usize),
    key: Key,
) -> Known<bool> {
    // Not `b'…'`, nor an empty text or three quotes.
    if start + opening.slashes + 1 != inside || text.peek(inside)? == Some(opening.quote) {
        return Ok(false);
    }
    if delimiter_follows(text, inside)? {
        return Ok(opens_before(&text, key, opening) != Some(false));
    }
    let (next, _) = skip_blanks(text, inside, BLANKS)?;
    let blank = next > inside;
    let joins = match text.peek(next)? {
        Some(b'"' | b'\'' | b'`') => blank,
        // `print("password:", x)`, `["token:", {…}]`
        Some(b'+' | b',') => true,
        Some(b'.' | b'%') => blank && text.peek(next + 1)? == Some(b' '),
        Some(b'<') => blank && text.peek(next + 1)? == Some(b'<'),
        // Of a command, the next option or sign.
        Some(b'-' | b'|' | b'&' | b'>') => blank,
        Some(b';') => text.peek(next + 1)?.is_none_or(|b| b <= b' '),
        _ => blank && name_follows(text, next)?,
    };
    Ok(joins && opens_before(&text, key, opening) == Some(true))
}

/// The text that follows the one that ended before *after*, if it is a value: its opening quote.
pub(super) fn next_text(text: Text<'_>, after: usize) -> Known<Option<(Opening, usize)>> {
    let (mut at, _) = skip_blanks(text, after, BLANKS)?;
    if matches!(text.peek(at)?, Some(b',' | b'+')) {
        (at, _) = skip_blanks(text, at + 1, BLANKS)?;
    }
    let Some((opening, inside)) = opening_at(text, at)? else { return Ok(None) };
    let length = text.run(inside, NAME, |b| !matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'\n' | b'\r'))?;
    let end = inside + length;
    if let Some((closing, behind)) = opening_at(text, end)?
        && closing == opening
    {
        let (next, _) = skip_blanks(text, behind, BLANKS)?;
        let names = match text.peek(next)? {
            Some(b':') => true,
            Some(b'=') => text.peek(next + 1)? == Some(b'>'),
            _ => false,
        };
        let label = text[inside..end].trim_ascii_end().last().is_none_or(|b| matches!(b, b':' | b'='));
        return Ok((!names && !label).then_some((opening, inside)));
    }
    Ok(Some((opening, inside)))
}

/// Whether the last quote like *opening* before the name opened a text, by what stands before it. None, if what is read of the
/// line has none.
fn opens_before(text: &[u8], key: Key, opening: Opening) -> Option<bool> {
    let from = key.floor.max(key.start.saturating_sub(BEFORE));
    let before = text.get(from..key.start).unwrap_or_default();
    let line = before.iter().rposition(|b| matches!(b, b'\n' | b'\r')).map_or(0, |place| place + 1);
    let mut before = &before[line..];
    let begins = line > 0 || from == 0;
    while let Some(place) = before.iter().rposition(|b| *b == opening.quote) {
        before = &before[..place];
        let slashes = before.iter().rev().take(coding::SLASHES).take_while(|b| **b == b'\\').count();
        before = &before[..place - slashes];
        if slashes == opening.slashes {
            return Some(before.last().map_or(begins, |byte| b" \t=:([{,+>?;&|".contains(byte)));
        }
        // One that is escaped less deep ends what it stands in.
        if slashes < opening.slashes {
            return Some(false);
        }
    }
    if begins { Some(false) } else { None }
}

/// Whether an encoded quote, with its inside at *inside*, ends the text in which the name stands.
pub(super) fn coded_ends(text: Text<'_>, inside: usize, quote: Coded) -> Known<bool> {
    let read = |at: usize| -> Known<(Option<u8>, usize)> {
        Ok(match coding::of(text, at, quote.coding)? {
            Some(found) => (Some(found.byte), found.length),
            None => (text.peek(at)?, 1),
        })
    };
    let blanks = |mut at: usize| -> Known<usize> {
        for _ in 0..BLANKS {
            match read(at)? {
                (Some(b' '), length) => at += length,
                (Some(b'+'), length) if quote.coding == Coding::Percent => at += length,
                _ => break,
            }
        }
        Ok(at)
    };
    let at = blanks(inside)?;
    let (byte, length) = read(at)?;
    Ok(match byte {
        Some(b',') => {
            let next = coding::of(text, blanks(at + length)?, quote.coding)?;
            next.is_some_and(|found| found.is_quote())
        }
        Some(b'}' | b']' | b')') => !read(at + length)?.0.is_some_and(|b| b.is_ascii_alphanumeric()),
        _ => false,
    })
}

//! A quote behind a sign that opens nothing: the text in which the name stands ends there.
//!
//! In `{"msg": "Enter password:", "level": "INFO"}` and `print('password:', x)` the quote behind the sign closes. It does if
//! the name has no quotes of its own, and what follows is
//! - what follows a closing quote in JSON, a repr or a list of arguments, if the line before the name does not show that no
//!   text has begun there, or, of a long line, a text that closes does not begin; or
//! - a sign that puts texts together, another text behind a blank, or `name=` behind one, if it shows that one has.
//!
//! A text that stands behind a comma, a plus or blanks then is the value (`print('password:', 'hunter2')`), unless it is a
//! name or a label of its own.

use super::ahead::{Known, Text};
use super::coding::{self, Coded, Coding};
use super::lines::Key;
use super::tails::{delimiter_follows, name_follows};
use super::text::MARKER;
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
        return match opens_before(&text, key, opening) {
            Some(opens) => Ok(opens),
            None => Ok(!closes(text, inside, opening)?),
        };
    }
    let (next, _) = skip_blanks(text, inside, BLANKS)?;
    let blank = next > inside;
    let joins = match text.peek(next)? {
        Some(b'"' | b'\'' | b'`') => blank,
        // `print("password:", x)`, `["token:", {…}]`
        Some(sign @ (b'+' | b',')) => match text.peek(next + 1)? {
            Some(b' ' | b'"' | b'\'' | b'`') => true,
            Some(b'{' | b'[') => sign == b',',
            _ => false,
        },
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
        return Ok((!names && !is_label(&text[inside..end])).then_some((opening, inside)));
    }
    Ok(Some((opening, inside)))
}

/// Whether a text is empty, or words with a sign behind them: base64 may end in such a sign, too.
fn is_label(text: &[u8]) -> bool {
    match text.trim_ascii_end() {
        [] => true,
        [words @ .., b':' | b'='] => {
            words.iter().any(u8::is_ascii_alphabetic)
                && words.iter().all(|b| b.is_ascii_alphabetic() || b" _-".contains(b) || *b >= 0x80)
        }
        _ => false,
    }
}

/// Whether the next quote like *opening* behind *inside* closes a text: no more of one stands behind it.
fn closes(text: Text<'_>, inside: usize, opening: Opening) -> Known<bool> {
    let mut at = inside;
    while at - inside < VALUE {
        at += text.run(at, VALUE, |b| !matches!(b, b'"' | b'\'' | b'`' | b'\\' | b'\n' | b'\r'))?;
        match opening_at(text, at)? {
            Some((found, behind)) if found == opening => {
                return Ok(text.peek(behind)?.is_none_or(|b| b <= b' ' || b"&;|>#/".contains(&b))
                    || delimiter_follows(text, behind)?);
            }
            Some((_, behind)) => at = behind,
            None if text.peek(at)?.is_none_or(|b| b == b'\n' || b == b'\r') => return Ok(false),
            None => at += 1,
        }
    }
    Ok(true)
}

/// How far the end of a value is looked for.
const VALUE: usize = 256;

/// Whether a text is open before the name, in quotes like *opening*: the last of them opens it, by what stands before that,
/// and they are odd in number. None, if not so much of the line is read.
fn opens_before(text: &[u8], key: Key, opening: Opening) -> Option<bool> {
    let from = key.floor.max(key.start.saturating_sub(BEFORE));
    let before = text.get(from..key.start).unwrap_or_default();
    let line = before.iter().rposition(|b| matches!(b, b'\n' | b'\r')).map(|place| place + 1);
    // What was replaced is what a find is that ends before the name.
    let replaced = memchr::memmem::rfind(before, MARKER);
    let begins = replaced.is_none_or(|place| line > Some(place)) && (line.is_some() || from == 0);
    let mut before = &before[line.max(replaced).unwrap_or(0)..];
    let (mut opens, mut odd) = (None, false);
    while let Some(place) = before.iter().rposition(|b| *b == opening.quote) {
        let next = before.get(place + 1).copied();
        before = &before[..place];
        let slashes = before.iter().rev().take(coding::SLASHES).take_while(|b| **b == b'\\').count();
        before = &before[..place - slashes];
        // One that is escaped less deep is that of the text that all of this stands in.
        if slashes < opening.slashes {
            return Some(opens == Some(true) && odd);
        }
        if slashes > opening.slashes {
            continue;
        }
        let last = before.last().copied();
        if opens.is_none() {
            opens = Some(last.map_or(begins, |byte| b" \t=:([{,+>?;&|".contains(&byte)));
        }
        let letter = |byte: Option<u8>| byte.is_some_and(|b| b.is_ascii_alphanumeric() || b >= 0x80);
        odd ^= !(opening.quote == b'\'' && letter(last) && letter(next));
    }
    match opens {
        Some(false) => Some(false),
        _ if begins => Some(opens == Some(true) && odd),
        _ => None,
    }
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

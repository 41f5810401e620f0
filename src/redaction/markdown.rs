//! Names that are set off as models and pages write them: `**Password:** x`, `**API key**: x`, `<b>Password:</b> x`; and names of
//! two words with a blank between.

use super::ahead::{Known, Text};
use super::fields::name_start;
use super::names::{Entity, Names};

/// Emphasis is written with at most so many signs.
const SIGNS: usize = 3;

/// Bytes before a name in which its emphasis begins.
const BEFORE: usize = 64;

/// Elements that set off a word.
const ELEMENTS: &[&[u8]] = &[
    b"b", b"i", b"u", b"em", b"strong", b"code", b"kbd", b"tt", b"span", b"mark", b"th", b"td", b"dt", b"dd",
];

/// The length of the emphasis, or the tag, that closes before a sign, at the end of *before*.
pub(super) fn before(before: &[u8]) -> usize {
    let stars = before.iter().rev().take(SIGNS + 1).take_while(|b| **b == b'*').count();
    if stars > 0 {
        return if stars <= SIGNS { stars } else { 0 };
    }
    let Some(rest) = before.strip_suffix(b">") else { return 0 };
    let letters = rest.iter().rev().take(8).take_while(|b| b.is_ascii_alphabetic()).count();
    let (rest, name) = rest.split_at(rest.len() - letters);
    if rest.ends_with(b"</") && is_known(name) { letters + 3 } else { 0 }
}

/// The length of a blank that is not ASCII's, at the end of *before*: no-break, also the narrow one, as in French.
pub(super) fn blank_before(before: &[u8]) -> usize {
    if before.ends_with("\u{A0}".as_bytes()) {
        2
    } else if before.ends_with("\u{202F}".as_bytes()) {
        3
    } else {
        0
    }
}

/// Where the value of the name at *start* is looked for that has its sign before *from*: behind the emphasis or the tags that
/// follow, of which the first closes what began before the name.
pub(super) fn behind(text: Text<'_>, start: usize, from: usize, floor: usize) -> Known<usize> {
    match text.peek(from)? {
        Some(sign @ (b'*' | b'_')) => {
            let alphabet: fn(u8) -> bool = if sign == b'*' { |b| b == b'*' } else { |b| b == b'_' };
            let length = text.run(from, SIGNS + 1, alphabet)?;
            let window = &text[floor.max(start.saturating_sub(BEFORE))..from];
            let line = window.iter().rposition(|b| *b == b'\n').map_or(0, |place| place + 1);
            let opens = |at: usize| window[line..].get(at + length).is_some_and(|b| *b > b' ' && *b != sign);
            let opened = memchr::memmem::find_iter(&window[line..], &text[from..from + length]).any(opens);
            let closes = opened && length <= SIGNS && matches!(text.peek(from + length)?, Some(b' ' | b'\t'));
            Ok(if closes { from + length } else { from })
        }
        Some(b'<') => {
            let mut at = from;
            for count in 0..SIGNS {
                let length = tag(text, at, count == 0)?;
                if length == 0 {
                    break;
                }
                at += length;
            }
            Ok(at)
        }
        _ => Ok(from),
    }
}

/// The length of the tag at *at*, if it is one of those that set off words; of one that *closes*.
fn tag(text: Text<'_>, at: usize, closes: bool) -> Known<usize> {
    if text.peek(at)? != Some(b'<') {
        return Ok(0);
    }
    let slash = usize::from(text.peek(at + 1)? == Some(b'/'));
    let start = at + 1 + slash;
    let length = text.run(start, 8, |b| b.is_ascii_alphabetic())?;
    let known = text.peek(start + length)? == Some(b'>') && is_known(&text[start..start + length]);
    Ok(if known && (slash == 1 || !closes) { slash + length + 2 } else { 0 })
}

fn is_known(name: &[u8]) -> bool {
    ELEMENTS.iter().any(|element| element.eq_ignore_ascii_case(name))
}

/// A secret name of two words with a blank between them, of which the second is at *start*: `API key`, `One-time code`.
pub(super) fn two_words(
    text: &[u8],
    start: usize,
    end: usize,
    floor: usize,
    names: &Names,
) -> Option<(usize, Entity)> {
    let last = &text[start..end];
    let known = matches!(last.len(), 3..=5) && LAST.iter().any(|word| word.eq_ignore_ascii_case(last));
    if !known || start <= floor + 1 || text[start - 1] != b' ' {
        return None;
    }
    let first = name_start(text, start - 1, floor);
    if first == start - 1 {
        return None;
    }
    names.entity(&text[first..end]).map(|entity| (first, entity))
}

/// The last words of such names.
const LAST: &[&[u8]] = &[b"key", b"keys", b"code", b"codes"];

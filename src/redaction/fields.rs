//! Secrets that are known by the name before them: `password=…`, `"token": "…"`, `X-Api-Key: …`.
//!
//! The search starts at the sign between name and value. The name is read backwards over quotes and
//! brackets, at most [`names::REACH`] bytes; if it is secret, [`values`] finds where the value ends.
//!
//! Read are `name=value`, `name: value`, `name => value`, JSON members and Python reprs at any depth of
//! escaping, form fields such as `user[password][]=…`, `%3D` and `%3A` in place of the sign, header pairs
//! `('Cookie', '…')` and `<password type="x">…</password>`. Not read is a name whose value comes without a sign
//! (`--password hunter2`): in prose that would hide every word after "password".

use super::names::{self, Names};
use super::text::{alnum, colour_before, colour_digits, index_before, is_marker, percent};
use super::values::{self, Opening, Place};
use super::{Finding, Quote};

/// The secret value that the sign at *at* announces. Nothing before *floor* is read.
pub(super) fn find(text: &[u8], at: usize, floor: usize, names: &Names) -> Option<Finding> {
    let before = |n: usize| at.checked_sub(n).and_then(|i| text.get(i)).copied();
    let after = |n: usize| text.get(at + n).copied();
    match text[at] {
        // The first of several decides, so that a ruler of them costs one look each.
        b'=' if before(1) != Some(b'=') => {
            let signs = text[at..].iter().take_while(|b| **b == b'=').count();
            let arrow = usize::from(after(signs) == Some(b'>'));
            named(text, at, at + signs + arrow, floor, names, false)
        }
        b':' if before(1) != Some(b':') && after(1) != Some(b':') => {
            let walrus = usize::from(after(1) == Some(b'='));
            named(text, at, at + 1 + walrus, floor, names, false)
        }
        b'%' if matches!(percent(text, at), Some(b'=' | b':')) => named(text, at, at + 3, floor, names, true),
        b'(' => paired(text, at, names),
        b'>' => tagged(text, at, floor, names),
        _ => None,
    }
}

fn named(
    text: &[u8],
    sign: usize,
    from: usize,
    floor: usize,
    names: &Names,
    encoded: bool,
) -> Option<Finding> {
    let end = before_sign(text, sign, floor)?;
    if !names.may_end(&text[floor..end]) {
        return None;
    }
    let start = name_start(text, end, floor);
    let entity = names.entity(&text[start..end])?;
    if is_count(&text[start..end], &text[from..]) {
        return None;
    }
    let quote = closing_quote(text, end, sign);
    // A quote that closes before the sign is the name's alone.
    let enclosing = if quote.is_none() { opening_before(text, start, floor) } else { None };
    let place = Place { encoded, header: text[sign] == b':', enclosing, entity, quote };
    values::locate(text, from, &place)
}

/// `('Cookie', 'a=b')`, as lists of headers are printed.
fn paired(text: &[u8], paren: usize, names: &Names) -> Option<Finding> {
    let (opening, start) = values::opening_at(text, paren + 1)?;
    let end = start + text[start..].iter().take(names::REACH).take_while(|b| is_name_byte(**b)).count();
    let (closing, after) = values::opening_at(text, end)?;
    if closing != opening || text.get(after) != Some(&b',') {
        return None;
    }
    let entity = names.entity(&text[start..end])?;
    let quote = Some(Quote { byte: opening.quote, slashes: opening.slashes as u8 });
    let place = Place { encoded: false, header: false, enclosing: None, entity, quote };
    values::locate(text, after + 1, &place)
}

/// `tokens: 4096` says how many there are.
fn is_count(name: &[u8], value: &[u8]) -> bool {
    let plural = name.last_chunk::<6>().is_some_and(|end| end.eq_ignore_ascii_case(b"tokens"));
    let value = &value[value.iter().take(2).take_while(|b| **b == b' ').count()..];
    let digits = value.iter().take(8).take_while(|b| b.is_ascii_digit()).count();
    let ends = value.get(digits).is_none_or(|b| *b <= b' ' || b",;&)]}".contains(b));
    plural && (1..8).contains(&digits) && ends
}

/// `<password>…</password>`, also with attributes.
fn tagged(text: &[u8], close: usize, floor: usize, names: &Names) -> Option<Finding> {
    let (start, end) = tag_name(text, close, floor)?;
    let tag = &text[start..end];
    if tag.contains(&b'%') || start <= floor || !matches!(text[start - 1], b'<' | b':') {
        return None;
    }
    let entity = names.entity(tag).filter(|_| !is_marker(&text[close + 1..]))?;
    let end = memchr::memchr3(b'<', b'\n', b'\r', &text[close + 1..]).map_or(text.len(), |i| close + 1 + i);
    Finding::new(close + 1, end, entity)
}

/// Where the name of the tag starts and ends that `>` at *close* ends.
fn tag_name(text: &[u8], close: usize, floor: usize) -> Option<(usize, usize)> {
    let start = name_start(text, close, floor);
    if start > floor && start < close && matches!(text[start - 1], b'<' | b':') {
        return Some((start, close));
    }
    // Attributes end in a quote, or in a word.
    if close <= floor || !(matches!(text[close - 1], b'"' | b'\'' | b' ') || is_name_byte(text[close - 1])) {
        return None;
    }
    let window = floor.max(close.saturating_sub(ATTRIBUTES));
    let open = window + memchr::memrchr2(b'<', b'>', &text[window..close])?;
    let name = text[open + 1..close].iter().take(names::REACH);
    let end = open + 1 + name.take_while(|b| is_name_byte(**b) || **b == b':').count();
    let start = name_start(text, end, open + 1);
    (text[open] == b'<' && matches!(text[end], b' ' | b'\t')).then_some((start, end))
}

/// Bytes of a tag that are looked back over. It bounds the work at each `>`.
const ATTRIBUTES: usize = 256;

/// The end of the name before a sign: quotes, blanks, brackets and colours are passed over, also encoded.
#[inline]
fn before_sign(text: &[u8], sign: usize, floor: usize) -> Option<usize> {
    let mut end = sign;
    while end > floor && sign - end < 32 {
        match text[end - 1] {
            b'm' if colour_before(&text[floor..end]) > 0 => end -= colour_before(&text[floor..end]) - 1,
            b']' if index_before(&text[floor..end]) > 0 => end -= index_before(&text[floor..end]) - 1,
            b' ' | b'\t' | b'\\' | b']' | b'"' | b'\'' | b'`' => {}
            byte if is_name_byte(byte) => {
                let escape = end.checked_sub(3).filter(|start| *start >= floor);
                match escape.and_then(|start| percent(text, start)) {
                    Some(b' ' | b'"' | b'\'' | b']') => end -= 2,
                    _ => return Some(end),
                }
            }
            _ => return None,
        }
        end -= 1;
    }
    None
}

/// The quote between a name and its sign, unless a bracket stands there too, as in `form["password"] = `.
fn closing_quote(text: &[u8], end: usize, sign: usize) -> Option<Quote> {
    let between = &text[end..sign];
    let at = between.iter().position(|b| matches!(b, b'"' | b'\'' | b'`'))?;
    let bare = !between.contains(&b']') && between[..at].iter().all(|b| *b == b'\\');
    bare.then_some(Quote { byte: between[at], slashes: at as u8 })
}

fn name_start(text: &[u8], end: usize, floor: usize) -> usize {
    let longest = &text[floor.max(end.saturating_sub(names::REACH))..end];
    let start = end - longest.iter().rev().take_while(|b| is_name_byte(**b)).count();
    // The `36m` of a colour code before the name is no part of it.
    let code = start + colour_digits(&text[start..end]);
    if text[code..end].first() == Some(&b'm') && colour_before(&text[floor..code + 1]) > code - start {
        return code + 1;
    }
    start
}

fn is_name_byte(byte: u8) -> bool {
    alnum(byte) || matches!(byte, b'_' | b'-' | b'.' | b'$' | b'%' | 0x80..)
}

/// The quote that opens just before *start*: `'` in `curl -H 'Cookie: …'`.
fn opening_before(text: &[u8], start: usize, floor: usize) -> Option<Opening> {
    let before = &text[floor.min(start)..start];
    let (&quote, rest) = before.split_last().filter(|(b, _)| matches!(b, b'"' | b'\'' | b'`'))?;
    let slashes = rest.iter().rev().take(8).take_while(|b| **b == b'\\').count();
    Some(Opening { quote, slashes })
}

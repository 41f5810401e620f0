//! Secrets that are known by the name before them: `password=…`, `"token": "…"`, `X-Api-Key: …`.
//!
//! The search starts at the sign between name and value. The name is read backwards over quotes and
//! brackets, at most [`names::REACH`] bytes; if it is secret, [`values`] finds where the value begins.
//!
//! Read are `name=value`, `name: value`, `name => value`, JSON members and Python reprs at any depth of
//! escaping, form fields such as `user[password][]=…`, signs and quotes in any coding (`coding.rs`), full-width signs, and
//! `<password type="x">…</password>`. What has no sign is read in `pairs.rs`, what is called `value` in `labels.rs`.

use super::ahead::{Known, Text};
use super::coding::{self, Coding};
use super::lines::Key;
use super::names::{self, Entity, Names};
use super::text::{alnum, colour_before, colour_digits, index_before};
use super::values::{self, Opening, Place};
use super::{Find, Quote, elements, labels, markdown, pairs};

/// The secret value that the sign at *at* announces, if what it is is looked for. Nothing before *floor* is read.
pub(super) fn find(
    text: Text<'_>,
    at: usize,
    floor: usize,
    names: &Names,
    selects: &dyn Fn(&str) -> bool,
) -> Known<Option<Find>> {
    let before = |n: usize| at.checked_sub(n).and_then(|i| text.get(i)).copied();
    let sought = (names, selects);
    match text.get(at) {
        // The first of several decides, so that a ruler of them costs one look each.
        Some(b'=') if before(1) != Some(b'=') => {
            let Some(name) = name_before(&text, at, floor, names) else {
                return labels::find(text, at, floor, names, selects);
            };
            let signs = text.run(at, SIGNS, |b| b == b'=')?;
            let arrow = usize::from(text.peek(at + signs)? == Some(b'>'));
            named(text, at, at + signs + arrow, floor, &name, sought)
        }
        Some(b':') if before(1) != Some(b':') => {
            let Some(name) = name_before(&text, at, floor, names) else {
                return labels::find(text, at, floor, names, selects);
            };
            let walrus = match text.peek(at + 1)? {
                Some(b':') => return Ok(None),
                after => usize::from(after == Some(b'=')),
            };
            named(text, at, at + 1 + walrus, floor, &name, sought)
        }
        Some(b'%' | b'\\') => {
            let sign = coding::at(text, at)?.filter(|sign| matches!(sign.byte, b'=' | b':'));
            let Some(sign) = sign else { return Ok(None) };
            let Some(name) = name_before(&text, at, floor, names) else { return Ok(None) };
            named(text, at, at + sign.length, floor, &name, sought)
        }
        // The full-width signs of Chinese and Japanese texts.
        Some(0xEF) if text.starts_with(at, WIDE_COLON)? || text.starts_with(at, WIDE_EQUALS)? => {
            let Some(name) = name_before(&text, at, floor, names) else { return Ok(None) };
            named(text, at, at + WIDE_COLON.len(), floor, &name, sought)
        }
        Some(b'(' | b'[') => pairs::bracketed(text, at, floor, sought),
        Some(b'-') => pairs::argument(text, at, floor, sought),
        Some(b'>') => elements::find(text, at, floor, sought),
        _ => Ok(None),
    }
}

/// Signs that a name may have. What follows more of them begins with one.
const SIGNS: usize = 64;

/// Full-width signs.
const WIDE_COLON: &[u8] = "\u{FF1A}".as_bytes();
const WIDE_EQUALS: &[u8] = "\u{FF1D}".as_bytes();

/// A secret name before a sign.
struct Name {
    start: usize,
    end: usize,
    entity: Entity,
}

fn name_before(text: &[u8], sign: usize, floor: usize, names: &Names) -> Option<Name> {
    let end = before_sign(text, sign, floor)?;
    if !names.may_end(&text[floor..end]) {
        return None;
    }
    let start = name_start(text, end, floor);
    if let Some((start, entity)) = markdown::two_words(text, start, end, floor, names) {
        return Some(Name { start, end, entity });
    }
    let entity = names.entity(&text[start..end]).or_else(|| {
        // The letter of an escaped line break before the name is no part of it.
        let escaped = start > floor && text[start - 1] == b'\\' && matches!(text[start], b'n' | b'r' | b't');
        escaped.then(|| names.entity(&text[start + 1..end])).flatten()
    })?;
    Some(Name { start, end, entity })
}

fn named(
    text: Text<'_>,
    sign: usize,
    from: usize,
    floor: usize,
    name: &Name,
    (names, selects): (&Names, &dyn Fn(&str) -> bool),
) -> Known<Option<Find>> {
    let Name { start, end, entity } = *name;
    let called = &text[start..end];
    if is_count(text, called, from)? || pairs::is_usage(text, called, from, names)? {
        return Ok(None);
    }
    // `token => token.length` is a function.
    if text[sign..from].ends_with(b">") {
        let at = from + text.run(from, 8, |b| b == b' ')?;
        if text.starts_with(at, called)? && text.peek(at + called.len())? == Some(b'.') {
            return Ok(None);
        }
    }
    // `**Password:** x`
    let from =
        if quoted_between(&text[end..sign]) { from } else { markdown::behind(text, start, from, floor)? };
    let quote = closing_quote(&text, end, sign);
    // `Invalid value for '--password': too short` tells of an option.
    if quote.is_some() && text[start..end].starts_with(b"--") && is_told(text, from)? {
        return Ok(None);
    }
    // A quote that closes before the sign is the name's alone.
    let enclosing = if quote.is_none() { opening_before(&text, start, floor) } else { None };
    let header = text.get(sign) == Some(&b':') || text[sign..].starts_with(WIDE_COLON);
    // The sign's own coding, or that of the name's quotes: the value has the same.
    let coding = match coding::at(text, sign)? {
        Some(sign) => sign.coding,
        None => coding::between(&text[end..sign]),
    };
    let key = (coding == Coding::Plain).then_some(Key { start, floor });
    // Behind quotes of its own, nothing but the value's opens or closes; unless these are of a lower level.
    let alone = text[end..sign].iter().all(|b| matches!(b, b' ' | b'\t'));
    let escaped = quote.is_some_and(|quote| quote.slashes > 0);
    let within = (alone || escaped).then_some(Key { start, floor });
    let place = Place { coding, header, enclosing, entity, quote, key, within, names, selects };
    values::locate(text, from, &place)
}

/// Whether a quote stands between a name and its sign.
fn quoted_between(between: &[u8]) -> bool {
    between.iter().any(|b| matches!(b, b'"' | b'\'' | b'`'))
}

/// Whether two words stand behind a sign, as in a sentence. One may be the value.
fn is_told(text: Text<'_>, from: usize) -> Known<bool> {
    let at = from + text.run(from, 8, |b| b == b' ')?;
    let letters = text.run(at, 24, |b| b.is_ascii_alphabetic() || b == b'\'')?;
    let end = at + letters;
    let second = end + text.run(end, 8, |b| matches!(b, b',' | b' '))?;
    let words = letters > 0 && second > end && text.peek(second - 1)? == Some(b' ');
    Ok(at > from && words && text.peek(second)?.is_some_and(|b| b.is_ascii_alphabetic()))
}

/// `tokens: 4096` says how many there are.
fn is_count(text: Text<'_>, name: &[u8], from: usize) -> Known<bool> {
    if !name.last_chunk::<6>().is_some_and(|end| end.eq_ignore_ascii_case(b"tokens")) {
        return Ok(false);
    }
    let at = from + text.run(from, 2, |b| b == b' ')?;
    let mut digits = text.run(at, 8, |b| b.is_ascii_digit())?;
    let few = (1..8).contains(&digits);
    if few {
        // `12.5k`, `3M`
        if text.peek(at + digits)? == Some(b'.')
            && text.peek(at + digits + 1)?.is_some_and(|b| b.is_ascii_digit())
        {
            digits += 2;
        }
        digits += usize::from(matches!(text.peek(at + digits)?, Some(b'k' | b'K' | b'M')));
    }
    let ends = text.peek(at + digits)?.is_none_or(|b| b <= b' ' || b",;&)]}".contains(&b));
    Ok(few && ends)
}

/// What is passed over before a sign, in bytes: a quote with its backslashes, and what stands round it.
const BEFORE_SIGN: usize = 64;

/// The end of the name before a sign: quotes, blanks, brackets and colours are passed over, also encoded.
#[inline]
fn before_sign(text: &[u8], sign: usize, floor: usize) -> Option<usize> {
    let mut end = sign;
    while end > floor && sign - end < BEFORE_SIGN {
        match text[end - 1] {
            b'm' if colour_before(&text[floor..end]) > 0 => end -= colour_before(&text[floor..end]) - 1,
            b']' if index_before(&text[floor..end]) > 0 => end -= index_before(&text[floor..end]) - 1,
            b' ' | b'\t' | b'\\' | b']' | b'"' | b'\'' | b'`' => {}
            // Markdown's and HTML's emphasis before a colon; `*=` is a sign of its own.
            b'*' | b'>' if text[sign] != b'=' => match markdown::before(&text[floor..end]) {
                0 => return None,
                length => end -= length - 1,
            },
            0xA0 | 0xAF if markdown::blank_before(&text[floor..end]) > 0 => {
                end -= markdown::blank_before(&text[floor..end]) - 1;
            }
            byte if byte == b';' || is_name_byte(byte) => match coding::before(&text[floor..end]) {
                Some(found) if matches!(found.byte, b' ' | b'"' | b'\'' | b']') => end -= found.length - 1,
                _ if byte == b';' => return None,
                _ => return Some(end),
            },
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

pub(super) fn name_start(text: &[u8], end: usize, floor: usize) -> usize {
    let longest = &text[floor.max(end.saturating_sub(names::REACH))..end];
    let start = end - longest.iter().rev().take_while(|b| is_name_byte(**b)).count();
    // The `36m` of a colour code before the name is no part of it.
    let code = start + colour_digits(&text[start..end]);
    if text[code..end].first() == Some(&b'm') && colour_before(&text[floor..code + 1]) > code - start {
        return code + 1;
    }
    // Nor is the `u0022` of a quote.
    if start > floor && text[start - 1] == b'\\' {
        start + coding::escape_in(&text[start..end])
    } else {
        start
    }
}

/// Whether a byte may stand in the name of a form's field.
pub(super) fn is_form_byte(byte: u8) -> bool {
    is_name_byte(byte) || matches!(byte, b'[' | b']')
}

pub(super) fn is_name_byte(byte: u8) -> bool {
    alnum(byte) || matches!(byte, b'_' | b'-' | b'.' | b'$' | b'%' | 0x80..)
}

/// The quote that opens just before *start*: `'` in `curl -H 'Cookie: …'`.
fn opening_before(text: &[u8], start: usize, floor: usize) -> Option<Opening> {
    let before = &text[floor.min(start)..start];
    let (&quote, rest) = before.split_last().filter(|(b, _)| matches!(b, b'"' | b'\'' | b'`'))?;
    let slashes = rest.iter().rev().take(coding::SLASHES).take_while(|b| **b == b'\\').count();
    Some(Opening { quote, slashes })
}

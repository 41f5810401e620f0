//! Where a secret value ends.
//!
//! - A quoted value ends at its closing quote, at whatever depth of escaping it was opened, or with the line.
//! - A list, an object or a call ends at its closing bracket, over several lines if it was printed so.
//! - A cookie header ends with the line, or with the quote that the header itself stands in.
//! - Anything else ends at a blank, or at a delimiter that *is* one: `&` before another `name=`, a quote
//!   or bracket before more punctuation. A password may contain any of these, so in doubt the value goes on:
//!   hiding a word too many is better than showing the rest of a password.
//!
//! Every byte that is read here becomes part of the finding, so no byte is read twice and the work stays
//! linear. The one exception, looking past a delimiter for `name=`, is bounded by the length of a name.

use super::names::Entity;
use super::text::{alnum, colour, is_marker, marker_length, percent, run};
use super::{Finding, Quote};

/// How a value is announced.
pub(super) struct Place {
    /// The sign was `%3D` or `%3A`, so the value's delimiters are encoded as well.
    pub(super) encoded: bool,
    /// The sign was `:`, as in a header line.
    pub(super) header: bool,
    /// The quote that the name and the value stand in together.
    pub(super) enclosing: Option<Opening>,
    pub(super) entity: Entity,
    /// The quote of the name alone. A bare number is then replaced by a quoted text, so that JSON stays JSON.
    pub(super) quote: Option<Quote>,
}

/// An opening quote and the backslashes before it: none in JSON, one in JSON inside JSON, then three.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) quote: u8,
    pub(super) slashes: usize,
}

/// The value that starts at or after *from*, if there is one that is not yet replaced.
pub(super) fn locate(text: &[u8], from: usize, place: &Place) -> Option<Finding> {
    let start = skip_blanks(text, from);
    if opening_at(text, start).is_some() || encoded_quote(text, start).is_some() {
        return locate_quoted(text, start, place);
    }
    let (skipped, entity) = scheme(&text[start..], place.entity);
    let start = start + skipped;
    // `>` ends a tag whose content was replaced.
    let value = &text[start..];
    if is_marker(value.strip_prefix(b">").unwrap_or(value)) {
        return None;
    }
    let first = percent(text, start).filter(|_| place.encoded).or(text.get(start).copied())?;
    let to_line_end = place.header && (entity == "COOKIE" || has_parameters(&text[start..], entity));
    let end = if matches!(first, b'[' | b'{') || is_call(text, start) {
        let end = bracket_end(text, start, place);
        // A header that only starts with a bracket goes on after it.
        let header = to_line_end && place.quote.is_none();
        if header { end.max(header_end(text, start, place.enclosing)) } else { end }
    } else if to_line_end && !(place.quote.is_some() && is_literal(text, start)) {
        header_end(text, start, place.enclosing)
    } else {
        bare_end(text, start, place)
    };
    let value = &text[start..end];
    if NOT_SECRET.contains(&value) {
        return None;
    }
    let mut found = Finding::new(start, end, entity)?;
    found.quote = place.quote.filter(|_| skipped == 0);
    Some(found)
}

/// The same where only a quoted value counts.
pub(super) fn locate_quoted(text: &[u8], from: usize, place: &Place) -> Option<Finding> {
    let from = skip_blanks(text, from);
    let opening = opening_at(text, from);
    // Python's three quotes are an empty text and a third one.
    let inside = opening.map_or(from + 3, |(opening, inside)| {
        let tripled = text[inside..].starts_with(&[opening.quote; 2]);
        if tripled { inside + 2 } else { inside }
    });
    let (skipped, entity) = scheme(text.get(inside..)?, place.entity);
    let start = inside + skipped;
    if is_marker(&text[start..]) {
        return None;
    }
    let end = match opening {
        Some((opening, _)) => quote_end(text, start, opening, false),
        None => encoded_quote_end(text, start, encoded_quote(text, from)?),
    };
    Finding::new(start, end, entity)
}

/// Passes over blanks, and over the codes of a coloured log.
fn skip_blanks(text: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(byte) = text.get(at) {
        at += match byte {
            b' ' | b'\t' => 1,
            0x1b | b'\\' => match colour(text, at) {
                0 => break,
                length => length,
            },
            _ => break,
        };
    }
    at
}

/// The quote that opens at *at*, and where its inside starts. `b'…'` and `u'…'` are read as well.
pub(super) fn opening_at(text: &[u8], at: usize) -> Option<(Opening, usize)> {
    let prefix = text[at..].iter().take(2).take_while(|b| b"bBuUrR".contains(b)).count();
    let slashes = text[at + prefix..].iter().take(8).take_while(|b| **b == b'\\').count();
    let place = at + prefix + slashes;
    match text.get(place) {
        Some(&quote @ (b'"' | b'\'' | b'`')) => Some((Opening { quote, slashes }, place + 1)),
        _ => None,
    }
}

/// Where the text in *opening*'s quotes ends: there, or with the line. With *breaks*, also at an escaped line break.
///
/// Nothing beyond the end is read but the few bytes that say that it is one.
fn quote_end(text: &[u8], start: usize, opening: Opening, breaks: bool) -> usize {
    let stops = |b: &u8| *b == opening.quote || matches!(*b, b'\n' | b'\r') || (breaks && *b == b'\\');
    // After the last quote that ended nothing, and where the search goes on.
    let (mut at, mut next) = (start, start);
    while let Some(found) = text.get(next..).and_then(|rest| rest.iter().position(stops)) {
        let place = next + found;
        next = place + 1;
        if text[place] == b'\\' {
            if breaks_escaped(text, place) {
                return place;
            }
            continue;
        }
        if text[place] != opening.quote {
            return place;
        }
        let slashes = text[at..place].iter().rev().take_while(|b| **b == b'\\').count();
        // Each level of JSON doubles the backslashes and adds one before a quote, so a quote of our level
        // has `opening.slashes` of its own; what is left over escapes it if it is odd in number.
        match slashes.checked_sub(opening.slashes) {
            Some(rest) if rest / (opening.slashes + 1) % 2 == 1 => at = next,
            // Or a repr has doubled them all, and the quote is inside: then no more punctuation follows.
            Some(rest) if rest > 0 && !delimiter_follows(text, next) => at = next,
            Some(_) => return place - opening.slashes,
            None => return place - slashes,
        }
    }
    text.len()
}

/// Whether what follows a closing quote in JSON, a repr or a list of arguments stands at *at*.
fn delimiter_follows(text: &[u8], at: usize) -> bool {
    let at = skip_blanks(text, at);
    match text.get(at) {
        None | Some(b'\n' | b'\r') => true,
        Some(b'}' | b']' | b')' | b':') => !text.get(at + 1).is_some_and(u8::is_ascii_alphanumeric),
        Some(b',') => {
            let next = skip_blanks(text, at + 1);
            next == text.len() || opening_at(text, next).is_some() || name_follows(text, next)
        }
        // Text inside text, printed over several lines.
        Some(b'\\') => matches!(text.get(at + 1), Some(b'n' | b'r')),
        _ => false,
    }
}

fn encoded_quote(text: &[u8], at: usize) -> Option<u8> {
    percent(text, at).filter(|b| matches!(b, b'"' | b'\''))
}

fn encoded_quote_end(text: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start;
    while at < text.len() && text[at] > b' ' && percent(text, at) != Some(quote) {
        at += 1;
    }
    at
}

/// The length of an authentication scheme's name and the blanks after it, and what follows it then.
/// The scheme stays readable: `Authorization: Bearer [REDACTED:BEARER]`.
fn scheme(value: &[u8], entity: Entity) -> (usize, Entity) {
    let word = value.iter().take(16).take_while(|b| alnum(**b)).count();
    let entity = match &value[..word] {
        name if name.eq_ignore_ascii_case(b"bearer") => "BEARER",
        name if name.eq_ignore_ascii_case(b"basic") => "BASIC_AUTH",
        name if name.eq_ignore_ascii_case(b"token") && entity == "AUTHORIZATION" => "TOKEN",
        _ => return (0, entity),
    };
    let blanks = value[word..].iter().take_while(|b| matches!(b, b' ' | b'\t' | b'+')).count();
    let escapes = if percent(value, word) == Some(b' ') { 3 } else { 0 };
    match blanks + escapes {
        0 => (0, entity),
        gap => (word + gap, entity),
    }
}

/// Whether a value of `Authorization` goes on after blanks: `Digest username="…", response="…"`.
fn has_parameters(value: &[u8], entity: Entity) -> bool {
    let word = value.iter().take(24).take_while(|b| alnum(**b) || **b == b'-').count();
    entity == "AUTHORIZATION" && word > 0 && value.get(word) == Some(&b' ')
}

/// Whether the backslash at *at* starts an escaped line break, with which a header in an escaped text ends; or stands
/// before what was replaced.
fn breaks_escaped(text: &[u8], at: usize) -> bool {
    matches!(text.get(at + 1), Some(b'r' | b'n')) || text.get(at + 1..).is_some_and(is_marker)
}

fn header_end(text: &[u8], start: usize, enclosing: Option<Opening>) -> usize {
    match enclosing {
        // Never beyond the quote: a line of many such headers would be read to its end for each.
        Some(opening) => quote_end(text, start, opening, true),
        None => {
            let ends = |i: &usize| match text[*i] {
                b'\n' | b'\r' => true,
                b'\\' => breaks_escaped(text, *i),
                _ => false,
            };
            (start..text.len()).find(ends).unwrap_or(text.len())
        }
    }
}

/// Whether a value is printed as a call, such as `ImmutableMultiDict([…])` or `SecretStr('…')`.
fn is_call(text: &[u8], start: usize) -> bool {
    let name = text[start..].iter().take(64).take_while(|b| alnum(**b) || matches!(b, b'_' | b'.')).count();
    let inside = start + name + 1;
    name > 0
        && text.get(inside - 1) == Some(&b'(')
        && (matches!(text.get(inside), Some(b'[' | b'{' | b'(')) || opening_at(text, inside).is_some())
}

/// Whether a number or a constant stands at *start*, as JSON has them.
fn is_literal(text: &[u8], start: usize) -> bool {
    let word = text[start..].iter().take(32).take_while(|b| alnum(**b) || matches!(b, b'.' | b'-' | b'+'));
    let value = &text[start..start + word.count()];
    let after = text.get(start + value.len()).copied().unwrap_or(b' ');
    let known =
        NOT_SECRET.contains(&value) || value.iter().all(|b| b.is_ascii_digit() || b"+-.eE".contains(b));
    !value.is_empty() && known && (after <= b' ' || b",}])".contains(&after))
}

/// The end of a list, an object or a call. It goes on over a line break where printed JSON and Python have one:
/// after an opening bracket or a comma, or before a closing bracket or a text.
fn bracket_end(text: &[u8], start: usize, place: &Place) -> usize {
    // The texts inside are in quotes with as many backslashes before them as the name's quote has.
    let level = place.quote.map_or(0, |quote| usize::from(quote.slashes));
    let (mut depth, mut closed, mut quoted, mut slashes, mut at) = (0usize, false, None, 0usize, start);
    let mut last = 0;
    while let Some(&raw) = text.get(at) {
        let decoded = if place.encoded { percent(text, at) } else { None };
        let byte = decoded.unwrap_or(raw);
        match byte {
            0..=b' ' if place.encoded && decoded.is_none() => return at,
            b'\n' | b'\r' if decoded.is_none() => {
                let next = at + run(text, at, |b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
                let inside = quoted.is_none() && at - start < PRINTED;
                if !(inside && (b"[{(,:".contains(&last) || b"]})\"'".contains(text.get(next).unwrap_or(&0))))
                {
                    return at;
                }
                (at, slashes) = (next, 0);
                continue;
            }
            b'"' | b'\'' => match slashes.checked_sub(level) {
                // The text that the name stands in ends here. An apostrophe of a lower level is only an apostrophe.
                None if place.quote.is_some_and(|quote| quote.byte == byte) => return at - slashes,
                None => {}
                Some(rest) if rest / (level + 1) % 2 == 1 => {}
                Some(rest)
                    if quoted == Some(byte)
                        && (rest == 0 || place.encoded || delimiter_follows(text, at + 1)) =>
                {
                    quoted = None;
                }
                // Inside a text, nothing opens.
                Some(_) => quoted = quoted.or(Some(byte)),
            },
            b'[' | b'{' | b'(' if quoted.is_none() => depth += 1,
            b']' | b'}' | b')' if quoted.is_none() => {
                depth = depth.saturating_sub(1);
                closed = depth == 0;
            }
            _ => {}
        }
        last = if byte > b' ' { byte } else { last };
        slashes = if byte == b'\\' { slashes + 1 } else { 0 };
        at += if decoded.is_some() { 3 } else { 1 };
        if closed {
            return at;
        }
    }
    text.len()
}

/// Lists and objects that were printed over several lines are followed this far, to the line's end: one that
/// is never closed does not hide all that comes after it.
const PRINTED: usize = 64 * 1024;

fn bare_end(text: &[u8], start: usize, place: &Place) -> usize {
    let mut at = start;
    while at < text.len() && !ends_at(text, at, place) {
        // A replacement inside a value is passed over whole.
        at += if text[at] == b'[' { marker_length(&text[at..]).unwrap_or(1) } else { 1 };
    }
    at
}

fn ends_at(text: &[u8], at: usize, place: &Place) -> bool {
    let next = text.get(at + 1).copied().unwrap_or(b' ');
    match text[at] {
        0..=b' ' => true,
        b'&' | b';' | b',' => {
            next <= b' '
                || matches!(next, b')' | b']' | b'}')
                || quote_follows(text, at + 1)
                || name_follows(text, at + 1)
        }
        b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'>' => {
            next <= b' ' || b"\"'`)]}>,;&.:|<\\".contains(&next)
        }
        b'<' => matches!(next, b'/' | b'!') || next.is_ascii_alphabetic() || is_marker(&text[at + 1..]),
        // `\"` closes the text that the pair stands in.
        b'\\' => quote_follows(text, at) || colour(text, at) > 0,
        b'%' if place.encoded => {
            matches!(percent(text, at), Some(0..=b' ' | b'&' | b';' | b',' | b'"' | b'\'' | b'#' | b'}'))
        }
        _ => false,
    }
}

/// Whether a quote stands at *at*, at whatever depth of escaping.
fn quote_follows(text: &[u8], at: usize) -> bool {
    let slashes = text[at..].iter().take(8).take_while(|b| **b == b'\\').count();
    matches!(text.get(at + slashes), Some(b'"' | b'\'' | b'`'))
}

/// Whether `name=` or `name:` stands at *at*.
fn name_follows(text: &[u8], at: usize) -> bool {
    let name = text[at..].iter().take(64);
    let length = name.take_while(|b| alnum(**b) || matches!(b, b'_' | b'-' | b'.' | b'[' | b']')).count();
    let sign = text.get(at + length).copied().or_else(|| percent(text, at + length));
    let sign = if sign == Some(b'%') { percent(text, at + length) } else { sign };
    length > 0 && matches!(sign, Some(b'=' | b':'))
}

/// Bare words after a secret name that are no secret: JSON and Python constants, types, format fields.
const NOT_SECRET: &[&[u8]] = &[
    b"true",
    b"false",
    b"null",
    b"None",
    b"True",
    b"False",
    b"nil",
    b"undefined",
    b"str",
    b"bytes",
    b"string",
    b"%s",
    b"%r",
    b"%d",
    b"{}",
    b"[]",
];

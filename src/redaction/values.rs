//! Where a secret value begins that a name has announced.
//!
//! Between the name's sign and the value may stand blanks, the codes of a coloured log, a line break where the value is known
//! to follow it (`lines.rs`), a quote in any coding, and the name of an authentication scheme, which stays readable. What kind of value it is (quoted, a list, a header, a bare word) is known by
//! its beginning; where it ends, `tails.rs` finds out. What is already replaced, bare words that are no secret (`null`),
//! and references to where it is (`references.rs`) are no values.
//!
//! What is looked past is bounded: behind more than [`BLANKS`] blanks, all of the line is the value.

use super::ahead::{Known, More, Text};
use super::between::{self, Between};
use super::coding::{self, Coded, Coding};
use super::lines::{self, Below, Key};
use super::names::{Entity, Names};
use super::outer;
use super::references::{self, Ends};
use super::tails::{List, Tail, name_follows};
use super::text::alnum;
use super::{Find, Finding, Quote};

/// How a value is announced.
pub(super) struct Place<'a> {
    /// How the sign is written, or the name's quotes; so are the value's delimiters.
    pub(super) coding: Coding,
    /// The sign was `:`, as in a header line.
    pub(super) header: bool,
    /// The quote that the name and the value stand in together.
    pub(super) enclosing: Option<Opening>,
    pub(super) entity: Entity,
    /// The quote of the name alone. A bare number is then replaced by a quoted text, so that JSON stays JSON.
    pub(super) quote: Option<Quote>,
    /// Where the name is, if its value may begin on another line.
    pub(super) key: Option<Key>,
    /// Where the name is, if it may stand in a text that ends behind its sign.
    pub(super) within: Option<Key>,
    pub(super) names: &'a Names,
    /// What is looked for. What is not is not read either: its text would be read again for each name in it.
    pub(super) selects: &'a dyn Fn(&str) -> bool,
}

/// An opening quote and the backslashes before it: none in JSON, one in JSON inside JSON, then three.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Opening {
    pub(super) quote: u8,
    pub(super) slashes: usize,
}

/// The value that starts at or after *from*, if there is one that is not yet replaced.
pub(super) fn locate(text: Text<'_>, from: usize, place: &Place<'_>) -> Known<Option<Find>> {
    let (start, far) = blanks(text, from, place.coding)?;
    if far {
        return beginning(text, start, place.entity, None, Tail::header(start, None), place);
    }
    let start = lines::escaped(text, start, place)?.unwrap_or(start);
    let start = match between::pass(text, start, place)? {
        None => start,
        Some(Between::At(value)) => value,
        Some(Between::Nothing) => return Ok(None),
        Some(Between::Before(tail)) => return beginning(text, start, place.entity, None, tail, place),
    };
    let start = match lines::below(text, start, place)? {
        Some(Below::At(start)) => start,
        Some(Below::Block(start, _)) if text.marker(start)?.is_some() => return Ok(None),
        Some(Below::Block(start, indent)) => {
            return beginning(text, start, place.entity, None, Tail::block(start, indent), place);
        }
        None => start,
    };
    if let Some((opening, inside)) = opening_at(text, start)? {
        let lower = place.quote.is_none_or(|quote| opening.slashes < usize::from(quote.slashes));
        if lower
            && let Some(key) = place.within
            && outer::ends(text, start, (opening, inside), key)?
        {
            return match outer::next_text(text, inside)? {
                Some(next) if place.quote.is_none() => quoted(text, next, place),
                _ => Ok(None),
            };
        }
        return quoted(text, (opening, inside), place);
    }
    if let Some(opening) = coding::at(text, start)?.filter(Coded::is_quote) {
        if place.quote.is_none()
            && place.within.is_some()
            && outer::coded_ends(text, start + opening.length, opening)?
        {
            return Ok(None);
        }
        return coded_quoted(text, start + opening.length, opening, place);
    }
    let (skipped, entity) = scheme(text, start, place.entity)?;
    let start = start + skipped;
    if skipped >= BLANKS {
        return beginning(text, start, entity, None, Tail::header(start, None), place);
    }
    let Some(byte) = text.peek(start)? else { return Ok(None) };
    // `>` ends a tag whose content was replaced.
    if text.marker(start + usize::from(byte == b'>'))?.is_some() {
        return Ok(None);
    }
    let first = coding::of(text, start, place.coding)?.map_or(byte, |found| found.byte);
    let to_line_end = place.header && (entity == "COOKIE" || has_parameters(text, start, entity)?);
    let ends = if to_line_end { Ends::Line } else { Ends::Bare(place.coding) };
    if references::is_all(text, start, place.names, ends)? {
        return Ok(None);
    }
    let tail = if matches!(first, b'[' | b'{') || is_call(text, start)? || is_grouped(text, start, first)? {
        let bracket = Tail::bracket(start, place.coding, place.quote);
        // A header that only starts with a bracket goes on after it.
        let header = to_line_end && place.quote.is_none();
        if header { Tail::both(bracket, Tail::header(start, place.enclosing)) } else { bracket }
    } else if to_line_end && !(place.quote.is_some() && is_literal(text, start)?) {
        Tail::header(start, place.enclosing)
    } else if place.coding == Coding::Plain && place.quote.is_none() {
        words(text, start, entity)?
    } else {
        Tail::bare(start, place.coding)
    };
    beginning(text, start, entity, place.quote.filter(|_| skipped == 0), tail, place)
}

/// Blanks that are looked past, in bytes.
const BLANKS: usize = 256;

fn quoted(text: Text<'_>, (opening, inside): (Opening, usize), place: &Place<'_>) -> Known<Option<Find>> {
    // Python's three quotes are an empty text and a third one. Two are CSV's one.
    let tripled = text.starts_with(inside, &[opening.quote; 2])?;
    let doubled = !tripled
        && text.peek(inside)? == Some(opening.quote)
        && text.peek(inside + 1)?.is_some_and(|b| b.is_ascii_alphanumeric());
    let inside = inside + 2 * usize::from(tripled) + usize::from(doubled);
    let (skipped, entity) = scheme(text, inside, place.entity)?;
    let start = inside + skipped;
    if tripled && let Some((start, end)) = lines_in_three(text, start, opening)? {
        let hides = text.marker(start)?.is_none() && (place.selects)(entity);
        return if hides { begun(text, start, entity, Tail::ended(end), &[]) } else { Ok(None) };
    }
    if text.marker(start)?.is_some()
        || !(place.selects)(entity)
        || references::is_all(text, start, place.names, Ends::Quote(opening))?
    {
        return Ok(None);
    }
    let tail = if tripled || doubled { Tail::quoted(start, opening) } else { Tail::text(start, opening) };
    begun(text, start, entity, tail, &[])
}

/// Where a text in three quotes begins and ends that has several lines, and is closed within [`LINES`] bytes.
fn lines_in_three(text: Text<'_>, from: usize, opening: Opening) -> Known<Option<(usize, usize)>> {
    let slash =
        usize::from(text.peek(from)? == Some(b'\\') && matches!(text.peek(from + 1)?, Some(b'\n' | b'\r')));
    let first = text.peek(from + slash)?;
    if opening.slashes > 0 || !matches!(first, Some(b'\n' | b'\r')) {
        return Ok(None);
    }
    let start =
        from + slash + text.run(from + slash, BLANKS, |b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))?;
    let there = &text[start.min(text.len())..text.len().min(start + LINES)];
    match memchr::memmem::find(there, &[opening.quote; 3]) {
        Some(length) => Ok(Some((start, start + length))),
        None if text.is_whole() || text.len() >= start + LINES => Ok(None),
        // Any quote may be the last of the three.
        None => Err(More::until(start + LINES, |b| !matches!(b, b'"' | b'\'' | b'`'))),
    }
}

/// How far the end of a text in three quotes is looked for.
const LINES: usize = 1024;

fn coded_quoted(text: Text<'_>, inside: usize, opening: Coded, place: &Place<'_>) -> Known<Option<Find>> {
    let (skipped, entity) = scheme(text, inside, place.entity)?;
    let start = inside + skipped;
    if text.marker(start)?.is_some() || !(place.selects)(entity) {
        return Ok(None);
    }
    begun(text, start, entity, Tail::coded(start, opening.byte, opening.coding), &[])
}

fn beginning(
    text: Text<'_>,
    start: usize,
    entity: Entity,
    quote: Option<Quote>,
    tail: Tail,
    place: &Place<'_>,
) -> Known<Option<Find>> {
    if !(place.selects)(entity) {
        return Ok(None);
    }
    let find = begun(text, start, entity, tail, NOT_SECRET)?;
    Ok(find.map(|find| Find { finding: Finding { quote, ..find.finding }, ..find }))
}

/// The find that starts at *start* and has this tail, as far as it has to be read to be sure that it is one: that it is
/// not empty, and none of *words*.
pub(super) fn begun(
    text: Text<'_>,
    start: usize,
    entity: Entity,
    mut tail: Tail,
    words: &[&[u8]],
) -> Known<Option<Find>> {
    let end = match tail.run(text) {
        Ok(end) if words.contains(&text.get(start..end).unwrap_or_default()) => return Ok(None),
        Ok(end) => end,
        Err(more) => {
            let read = text.get(start..tail.least()).unwrap_or_default();
            if read.is_empty() || words.iter().any(|word| word.starts_with(read)) {
                return Err(more);
            }
            tail.least()
        }
    };
    Ok(Finding::new(start, end, entity).map(|finding| Find::new(finding, tail)))
}

/// Passes over blanks between a sign and its value, also as *coding* has them.
fn blanks(text: Text<'_>, from: usize, coding: Coding) -> Known<(usize, bool)> {
    let (mut at, far) = skip_blanks(text, from, BLANKS)?;
    if far || coding == Coding::Plain {
        return Ok((at, far));
    }
    while at - from < BLANKS {
        match coding::of(text, at, coding)? {
            Some(found) if matches!(found.byte, b' ' | b'\t') => at += found.length,
            _ => break,
        }
    }
    // `+` is a blank only if a text or a list follows, as in a form; else it may be the password's.
    let signs = if coding == Coding::Percent { signs(text, at)? } else { 0 };
    let after = if signs > 0 { coding::of(text, at + signs, coding)? } else { None };
    let begins = after.is_some_and(|found| matches!(found.byte, b'"' | b'\'' | b'[' | b'{'));
    Ok((at + if begins { signs } else { 0 }, at - from >= BLANKS))
}

/// The length of the `+` at *at*; also coded, as in a form that stands in a form.
fn signs(text: Text<'_>, at: usize) -> Known<usize> {
    let mut length = 0;
    for _ in 0..MOST_PLUS {
        length += match text.peek(at + length)? {
            Some(b'+') => 1,
            _ => match coding::of(text, at + length, Coding::Percent)? {
                Some(found) if found.byte == b'+' => found.length,
                _ => break,
            },
        };
    }
    Ok(length)
}

/// Blanks of a form that are looked past.
const MOST_PLUS: usize = 8;

/// Passes over blanks, and over the codes of a coloured log: where they end, and whether there were *most* of them.
pub(super) fn skip_blanks(text: Text<'_>, from: usize, most: usize) -> Known<(usize, bool)> {
    let mut at = from;
    while at - from < most {
        at += match text.peek(at)? {
            Some(b' ' | b'\t') => 1,
            Some(0x1b | b'\\') => match text.colour(at)? {
                0 => return Ok((at, false)),
                length => length,
            },
            _ => return Ok((at, false)),
        };
    }
    Ok((at, true))
}

/// The quote that opens at *at*, and where its inside starts. `b'…'` and `u'…'` are read as well.
pub(super) fn opening_at(text: Text<'_>, at: usize) -> Known<Option<(Opening, usize)>> {
    let prefix = text.run(at, 2, |b| b"bBuUrR".contains(&b))?;
    let slashes = text.run(at + prefix, coding::SLASHES, |b| b == b'\\')?;
    let place = at + prefix + slashes;
    Ok(match text.peek(place)? {
        _ if slashes == coding::SLASHES => None,
        Some(quote @ (b'"' | b'\'' | b'`')) => Some((Opening { quote, slashes }, place + 1)),
        _ => None,
    })
}

/// The length of an authentication scheme's name and the blanks after it, and what follows it then.
/// The scheme stays readable: `Authorization: Bearer [REDACTED:BEARER]`.
fn scheme(text: Text<'_>, at: usize, entity: Entity) -> Known<(usize, Entity)> {
    let word = text.run(at, 7, alnum)?;
    let entity = match text.get(at..at + word).unwrap_or_default() {
        name if name.eq_ignore_ascii_case(b"bearer") => "BEARER",
        name if name.eq_ignore_ascii_case(b"basic") => "BASIC_AUTH",
        name if name.eq_ignore_ascii_case(b"token") && entity == "AUTHORIZATION" => "TOKEN",
        _ => return Ok((0, entity)),
    };
    let blanks = text.run(at + word, BLANKS, |b| matches!(b, b' ' | b'\t' | b'+'))?;
    let escapes = if text.percent(at + word)? == Some(b' ') { 3 } else { 0 };
    Ok(match blanks + escapes {
        0 => (0, entity),
        gap => (word + gap, entity),
    })
}

/// The tail of a value of several words behind `=`: cookies, a scheme with its token, or one with parameters.
fn words(text: Text<'_>, start: usize, entity: Entity) -> Known<Tail> {
    if entity == "COOKIE" && name_follows(text, start)? {
        return Ok(Tail::list(start, List::Cookies));
    }
    if !has_parameters(text, start, entity)? {
        return Ok(Tail::bare(start, Coding::Plain));
    }
    let word = text.run(start, SCHEME, |b| alnum(b) || b == b'-')?;
    let second = start + word + text.run(start + word, BLANKS, |b| b == b' ')?;
    if PARAMETERS.iter().any(|scheme| scheme.eq_ignore_ascii_case(&text[start..start + word])) {
        return Ok(Tail::list(second, List::Parameters));
    }
    // What follows may be another name: `authorization=ok user=ann`.
    let named = NOT_SECRET.contains(&&text[start..start + word]) || name_follows(text, second)?;
    let blank = text.peek(second)?.is_none_or(|b| b <= b' ');
    Ok(Tail::bare(if named || blank { start } else { second }, Coding::Plain))
}

/// Schemes that have parameters and no token (RFC 7616, 5849, 7804; AWS, Hawk, HTTP signatures).
const PARAMETERS: &[&[u8]] = &[
    b"digest",
    b"oauth",
    b"hawk",
    b"mac",
    b"signature",
    b"mutual",
    b"aws4-hmac-sha256",
    b"scram-sha-1",
    b"scram-sha-256",
];

/// The longest name of a scheme, in bytes.
const SCHEME: usize = 24;

/// Whether a value of `Authorization` goes on after blanks: `Digest username="…", response="…"`.
fn has_parameters(text: Text<'_>, at: usize, entity: Entity) -> Known<bool> {
    if entity != "AUTHORIZATION" {
        return Ok(false);
    }
    let word = text.run(at, SCHEME, |b| alnum(b) || b == b'-')?;
    Ok(word > 0 && text.peek(at + word)? == Some(b' '))
}

/// Whether a text in brackets stands at *start*, maybe on the next line: `password = (\n    'x'\n)`.
fn is_grouped(text: Text<'_>, start: usize, first: u8) -> Known<bool> {
    if first != b'(' {
        return Ok(false);
    }
    let inside = start + 1 + text.run(start + 1, SPACES, |b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))?;
    Ok(inside > start + 1 && opening_at(text, inside)?.is_some())
}

/// Blanks and line breaks behind a bracket.
const SPACES: usize = 64;

/// Whether a value is printed as a call, such as `ImmutableMultiDict([…])` or `SecretStr('…')`.
fn is_call(text: Text<'_>, start: usize) -> Known<bool> {
    let name = text.run(start, 64, |b| alnum(b) || matches!(b, b'_' | b'.'))?;
    if name == 0 || text.peek(start + name)? != Some(b'(') {
        return Ok(false);
    }
    let inside = start + name + 1;
    let inside = inside + text.run(inside, SPACES, |b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))?;
    Ok(matches!(text.peek(inside)?, Some(b'[' | b'{' | b'(')) || opening_at(text, inside)?.is_some())
}

/// Whether a number or a constant stands at *start*, as JSON has them.
fn is_literal(text: Text<'_>, start: usize) -> Known<bool> {
    let length = text.run(start, 32, |b| alnum(b) || matches!(b, b'.' | b'-' | b'+'))?;
    let value = text.get(start..start + length).unwrap_or_default();
    let after = text.peek(start + length)?.unwrap_or(b' ');
    let known =
        NOT_SECRET.contains(&value) || value.iter().all(|b| b.is_ascii_digit() || b"+-.eE".contains(b));
    Ok(length > 0 && known && (after <= b' ' || b",}])".contains(&after)))
}

/// Bare words after a secret name that are no secret: JSON and Python constants, types, format fields, the sign of a
/// comment.
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
    b"#",
];

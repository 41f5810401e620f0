//! What stands between a sign and its value that is neither.
//!
//! - a backslash at the line's end, with which shells and Python join lines;
//! - a type: `password: str = 'x'`, `password: Optional[str] = 'x'`, `let password: &str = "x"`, and PHP's `string(12) "x"`;
//! - a tag or an anchor of YAML (1.2.2 §6.9): `password: !secret x`, `&anchor x`, `!!str x`.
//!
//! Of types and tags that are not known, it is not known either whether they are the value: they are hidden with it.

use super::ahead::{Known, Text};
use super::coding::Coding;
use super::lines;
use super::pairs::joined_line;
use super::tails::Tail;
use super::text::alnum;
use super::values::{Place, opening_at, skip_blanks};

/// Where the value is.
pub(super) enum Between {
    /// It begins here.
    At(usize),
    /// It begins before, and ends as this says.
    Before(Tail),
    /// There is only a type.
    Nothing,
}

/// Blanks, line breaks, and bytes of a type or a tag that are read.
const BLANKS: usize = 16;
const SPACES: usize = 64;
const WORD: usize = 64;

/// What stands at *at* before the value.
pub(super) fn pass(text: Text<'_>, at: usize, place: &Place<'_>) -> Known<Option<Between>> {
    let Some(first) = text.peek(at)? else { return Ok(None) };
    if place.coding != Coding::Plain {
        return Ok(None);
    }
    match first {
        b'\\' => Ok(joined_line(text, at)?.map(Between::At)),
        b's' if !place.header && text.starts_with(at, b"string(")? => php(text, at),
        b' ' | b'\n' | b'\r' if !place.header => {
            // Only behind PHP's arrow a value may stand on the next line.
            let next = at + text.run(at, SPACES, |b| matches!(b, b' ' | b'\n' | b'\r'))?;
            if text.starts_with(next, b"string(")? { php(text, next) } else { Ok(None) }
        }
        b'!' | b'&' if is_yaml(text, place) && text.peek(at + 1)? != Some(b'\'') => {
            let tagged = yaml(text, at)?;
            if tagged.is_none() { typed(text, at, place) } else { Ok(tagged) }
        }
        b'&' | b'a'..=b'z' | b'A'..=b'Z' => typed(text, at, place),
        _ => Ok(None),
    }
}

fn is_yaml(text: Text<'_>, place: &Place<'_>) -> bool {
    place.header && place.quote.is_none() && place.key.is_some_and(|key| lines::is_first(&text, key))
}

/// `string(12) "x"`, as `var_dump` prints it.
fn php(text: Text<'_>, at: usize) -> Known<Option<Between>> {
    let start = at + b"string(".len();
    let digits = text.run(start, 8, |b| b.is_ascii_digit())?;
    let quote = start + digits + 2;
    let is_one = digits > 0 && text.starts_with(start + digits, b") \"")?;
    Ok(is_one.then_some(Between::At(quote)))
}

/// A tag or an anchor, and what it stands before.
fn yaml(text: Text<'_>, at: usize) -> Known<Option<Between>> {
    let length = text.run(at, WORD, |b| b > b' ')?;
    let blanks = text.run(at + length, BLANKS, |b| b == b' ')?;
    let next = at + length + blanks;
    let word = &text[at..at + length];
    let Some(byte) = text.peek(next)? else { return Ok(None) };
    if blanks == 0 || length == WORD || word.len() < 2 || matches!(byte, b'=' | b'#' | b'\n' | b'\r') {
        return Ok(None);
    }
    let plain = word[1..].iter().all(|b| b.is_ascii_alphabetic() || matches!(b, b'!' | b'-' | b'_' | b'.'));
    if matches!(byte, b'|' | b'>') {
        return Ok(plain.then_some(Between::At(next)));
    }
    if plain && (word.starts_with(b"!!") || TAGS.contains(&word)) {
        return Ok(Some(Between::At(next)));
    }
    Ok(Some(Between::Before(match opening_at(text, next)? {
        Some((opening, inside)) => Tail::quoted(inside, opening),
        None => Tail::bare(next, Coding::Plain),
    })))
}

/// Tags that are known: of Home Assistant, Ansible and others.
const TAGS: &[&[u8]] = &[b"!secret", b"!vault", b"!env", b"!ENV", b"!encrypted", b"!sops"];

/// A type, and the text in quotes behind its `=`.
fn typed(text: Text<'_>, at: usize, place: &Place<'_>) -> Known<Option<Between>> {
    if !place.header || place.quote.is_some() {
        return Ok(None);
    }
    let lifetime = if text.starts_with(at, b"&'static ")? { 9 } else { 0 };
    let in_type: fn(u8) -> bool = |b| alnum(b) || b"_.[]<>&|?*".contains(&b);
    let mut end = at + lifetime + text.run(at + lifetime, WORD, in_type)?;
    let single = end;
    // `str | None`
    for _ in 0..3 {
        if !text.starts_with(end, b" | ")? {
            break;
        }
        end += 3 + text.run(end + 3, WORD, in_type)?;
    }
    if end - at >= WORD {
        return Ok(None);
    }
    let word = &text[at + lifetime..end];
    let known = is_known(word);
    let compound = known && !word.iter().all(u8::is_ascii_alphabetic);
    let (sign, _) = skip_blanks(text, end, BLANKS)?;
    if text.peek(sign)? != Some(b'=') || matches!(text.peek(sign + 1)?, Some(b'=' | b'>' | b'~')) {
        let over = compound && text.peek(end)?.is_none_or(|b| b <= b' ' || matches!(b, b',' | b')' | b';'));
        return Ok(over.then_some(Between::Nothing));
    }
    let (value, _) = skip_blanks(text, sign + 1, BLANKS)?;
    let opening = opening_at(text, value)?;
    Ok(match opening {
        Some(_) if known => Some(Between::At(value)),
        None if compound => Some(Between::At(value)),
        Some((opening, inside))
            if end == single
                && sign > end
                && value > sign + 1
                && !text.starts_with(inside, &[opening.quote; 2])? =>
        {
            Some(Between::Before(Tail::quoted(inside, opening)))
        }
        _ => None,
    })
}

/// Whether a type has only names of texts in it, and of what may be none.
fn is_known(word: &[u8]) -> bool {
    let mut names = word.split(|b| !alnum(*b)).filter(|name| !name.is_empty());
    let first = names.next();
    first.into_iter().chain(names).all(|name| TYPES.contains(&name)) && first.is_some()
}

const TYPES: &[&[u8]] = &[
    b"str",
    b"string",
    b"String",
    b"bytes",
    b"Bytes",
    b"char",
    b"AnyStr",
    b"SecretStr",
    b"Optional",
    b"Option",
    b"Union",
    b"Final",
    b"ClassVar",
    b"None",
    b"null",
    b"undefined",
    b"any",
    b"Any",
];

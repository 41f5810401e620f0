//! Values that are no secrets although their names are: a reference to where the secret is, or a mask over it.
//!
//! The list is closed, and a value counts only if it is nothing but one of these, to its end:
//! - `****`: any number of asterisks, below [`MOST`];
//! - `${NAME}`; `$NAME` only if it is in capitals and itself the name of a secret, so that `$ecret1` and `$ECRET1` stay hidden;
//! - what a statement or a format has for a value: `?`, `$1` to `$99`, `:password` if that is the name of a secret, `%s`;
//! - `{{ name.of.it }}` and `${{ name.of.it }}`, as templates and workflows have them;
//! - `os.environ["NAME"]`, `os.environ.get("NAME")`, `os.getenv("NAME")`, `process.env.NAME`, `process.env["NAME"]`.
//!
//! What has a default, a filter, or anything before or after it (`${NAME:-hunter2}`, `${x}y`) may be a secret, and is hidden.
//! A password that is spelt exactly like a reference is not.

use super::ahead::{Known, Text};
use super::coding::Coding;
use super::names::Names;
use super::tails::ends_at;
use super::text::alnum;
use super::values::Opening;

/// Where a value has to be over.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    /// At a delimiter, in the coding of the sign before it.
    Bare(Coding),
    /// With the line.
    Line,
    /// At the quote that it opened with.
    Quote(Opening),
}

/// A longer mask, or name, is hidden.
const MOST: usize = 128;

/// Whether the value at *start* is nothing but a reference or a mask.
pub(super) fn is_all(text: Text<'_>, start: usize, names: &Names, ends: Ends) -> Known<bool> {
    let Some(end) = end(text, start, names)? else { return Ok(false) };
    let Some(byte) = text.peek(end)? else { return Ok(true) };
    match ends {
        // What stands for a value of `printf` may have a line break behind it that is written out.
        Ends::Bare(_) if byte == b'\\' && text.get(start) == Some(&b'%') => Ok(true),
        Ends::Bare(coding) => ends_at(text, end, byte, coding),
        Ends::Line => Ok(matches!(byte, b'\n' | b'\r')),
        Ends::Quote(opening) => {
            let slashes = text.run(end, opening.slashes + 1, |b| b == b'\\')?;
            Ok(slashes == opening.slashes && text.peek(end + slashes)? == Some(opening.quote))
        }
    }
}

/// Where the reference or mask at *start* ends, if one stands there.
fn end(text: Text<'_>, start: usize, names: &Names) -> Known<Option<usize>> {
    match text.peek(start)? {
        Some(b'*') => {
            let length = text.run(start, MOST, |b| b == b'*')?;
            Ok((length < MOST).then_some(start + length))
        }
        Some(b'$') if text.starts_with(start + 1, b"{{")? => template(text, start + 1),
        Some(b'$') if text.peek(start + 1)? == Some(b'{') => closed(text, name(text, start + 2)?, b'}'),
        Some(b'?') => Ok(Some(start + 1)),
        Some(b'%') => {
            Ok(matches!(text.peek(start + 1)?, Some(b'd' | b'i' | b'q' | b'r' | b's' | b'u' | b'v'))
                .then_some(start + 2))
        }
        Some(b':') => {
            let end = name(text, start + 1)?;
            Ok(end.filter(|end| names.entity(&text[start + 1..*end]).is_some()))
        }
        Some(b'$') if text.peek(start + 1)?.is_some_and(|b| b.is_ascii_digit()) => {
            let length = text.run(start + 1, 3, |b| b.is_ascii_digit())?;
            Ok((length < 3).then_some(start + 1 + length))
        }
        Some(b'$') => {
            let end = name(text, start + 1)?;
            let secret = end
                .and_then(|end| text.get(start + 1..end))
                .is_some_and(|name| !name.iter().any(u8::is_ascii_lowercase) && names.entity(name).is_some());
            Ok(end.filter(|_| secret))
        }
        Some(b'{') => template(text, start),
        Some(b'o' | b'p') => environment(text, start),
        _ => Ok(None),
    }
}

/// After `{{ name.of.it }}`.
fn template(text: Text<'_>, start: usize) -> Known<Option<usize>> {
    if !text.starts_with(start, b"{{")? {
        return Ok(None);
    }
    let at = start + 2 + text.run(start + 2, BLANKS, |b| b == b' ')?;
    let length = text.run(at, MOST, |b| alnum(b) || matches!(b, b'_' | b'.'))?;
    let end = at + length + text.run(at + length, BLANKS, |b| b == b' ')?;
    let named = text.get(at..at + length).is_some_and(|name| name.iter().any(u8::is_ascii_alphabetic));
    Ok((named && text.starts_with(end, b"}}")?).then_some(end + 2))
}

/// Blanks inside the braces.
const BLANKS: usize = 8;

/// After a look into the environment.
fn environment(text: Text<'_>, start: usize) -> Known<Option<usize>> {
    for (head, close) in [
        (b"os.environ[".as_slice(), b']'),
        (b"os.environ.get(", b')'),
        (b"os.getenv(", b')'),
        (b"process.env[", b']'),
    ] {
        if text.starts_with(start, head)? {
            let at = start + head.len();
            let quote = text.peek(at)?.filter(|b| matches!(b, b'"' | b'\''));
            let Some(quote) = quote else { return Ok(None) };
            let end = closed(text, name(text, at + 1)?, quote)?;
            return closed(text, end, close);
        }
    }
    const NODE: &[u8] = b"process.env.";
    if text.starts_with(start, NODE)? { name(text, start + NODE.len()) } else { Ok(None) }
}

/// After the name of a variable.
fn name(text: Text<'_>, at: usize) -> Known<Option<usize>> {
    let length = text.run(at, MOST, |b| alnum(b) || b == b'_')?;
    let begins = text.get(at).is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_');
    Ok((begins && length < MOST).then_some(at + length))
}

fn closed(text: Text<'_>, end: Option<usize>, close: u8) -> Known<Option<usize>> {
    let Some(end) = end else { return Ok(None) };
    Ok((text.peek(end)? == Some(close)).then_some(end + 1))
}

//! Values that are the content of an element: `<password type="x">…</password>`, `<property name="password">…</property>`.
//!
//! An element that is closed by its own tag within [`CLOSED`] bytes has all that stands before that, over lines as well; one
//! with CDATA, what these have (XML 1.0 §2.7). Without, `<password>` may only stand for a value: what follows is one if it
//! begins with a letter, a digit or a sign that nothing else begins with, or with any sign and is long where the tag is the
//! first of a line or a text, or behind another, so that `login <user> <password>`, `/reset/<token>/x` and `List<Token> t` stay;
//! and it ends at the latest with the text that it stands in, or with the line.

use super::ahead::{Known, Text};
use super::fields::{is_name_byte, name_start};
use super::names::{self, Entity, Names};
use super::tails::{Markup, Tail};
use super::{Find, values};

/// Bytes of content behind which its closing tag is looked for. No `<` is passed over, so each byte is read once.
const CLOSED: usize = 4096;

/// What begins with a sign is a value if so much follows that no blank and no quote ends.
const VALUE: usize = 8;

/// Bytes of a tag that are looked back over. It bounds the work at each `>`.
const ATTRIBUTES: usize = 256;

/// Blanks and line breaks before a value.
const BLANKS: usize = 64;

/// The value behind the tag that ends at *close*.
pub(super) fn find(
    text: Text<'_>,
    close: usize,
    floor: usize,
    (names, selects): (&Names, &dyn Fn(&str) -> bool),
) -> Known<Option<Find>> {
    let Some(tag) = tag_before(&text, close, floor) else { return Ok(None) };
    let name = &text[tag.start..tag.end];
    if name.contains(&b'%') || tag.start <= floor || !matches!(text[tag.start - 1], b'<' | b':') {
        return Ok(None);
    }
    let entity = names.entity(name);
    let entity =
        entity.or_else(|| named(&text[tag.end..close], name, names)).filter(|entity| selects(entity));
    let Some(entity) = entity else { return Ok(None) };
    let begin = close + 1 + text.run(close + 1, BLANKS, |b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))?;
    if text.starts_with(begin, CDATA)? {
        let start = begin + CDATA.len();
        let tail = Tail::content(start, Markup::Data);
        return if text.marker(start)?.is_some() {
            Ok(None)
        } else {
            values::begun(text, start, entity, tail, &[])
        };
    }
    if text.marker(begin)?.is_some() {
        return Ok(None);
    }
    if is_closed(text, begin, name)? {
        return values::begun(text, begin, entity, Tail::content(begin, Markup::Closed), &[]);
    }
    let begins = text
        .peek(close + 1)?
        .is_some_and(|b| b.is_ascii_alphanumeric() || b >= 0x80 || b"$!#%^~+_-{".contains(&b));
    let begins = begins || (stands_apart(&text, tag.start, floor) && is_long(text, close + 1)?);
    if !begins || names.entity(name).is_none() {
        return Ok(None);
    }
    values::begun(text, close + 1, entity, Tail::content(close + 1, Markup::Open), &[])
}

/// Whether a tag, with its name at *start*, is the first of its line or of a text in quotes, or stands behind another.
fn stands_apart(text: &[u8], start: usize, floor: usize) -> bool {
    let before = &text[floor.min(start)..start];
    let Some(open) = before.iter().rposition(|b| *b == b'<') else { return false };
    let blanks = before[..open].iter().rev().take(VALUE).take_while(|b| matches!(b, b' ' | b'\t')).count();
    match before[..open - blanks] {
        [] => floor == 0,
        [.., b'\n' | b'\r' | b'>'] => true,
        // Not one that stands behind what was replaced.
        [.., byte, b'"' | b'\''] => blanks == 0 && byte != b']',
        [b'"' | b'\''] => blanks == 0 && floor == 0,
        _ => false,
    }
}

/// Whether a word that begins with a sign, and is no short one, stands at *at*.
fn is_long(text: Text<'_>, at: usize) -> Known<bool> {
    let begins = text.peek(at)?.is_some_and(|b| b"@(./=*?[\"&".contains(&b));
    let word: fn(u8) -> bool = |b| b > b' ' && !matches!(b, b'"' | b'\'' | b'`' | b'<' | b'>');
    Ok(begins && text.run(at + 1, VALUE, word)? == VALUE)
}

/// How CDATA begin.
const CDATA: &[u8] = b"<![CDATA[";

/// Whether the tag that closes the element *name* is the next behind *at*.
fn is_closed(text: Text<'_>, at: usize, name: &[u8]) -> Known<bool> {
    let open = at + text.run(at, CLOSED, |b| b != b'<')?;
    if !text.starts_with(open, b"</")? {
        return Ok(false);
    }
    let length = text.run(open + 2, 2 * names::REACH, |b| is_name_byte(b) || b == b':')?;
    let closing = &text[open + 2..open + 2 + length];
    Ok(closing.len() >= name.len() && closing[closing.len() - name.len()..].eq_ignore_ascii_case(name))
}

/// Where the name of a tag starts and ends.
struct Tag {
    start: usize,
    end: usize,
}

/// The tag that `>` at *close* ends.
fn tag_before(text: &[u8], close: usize, floor: usize) -> Option<Tag> {
    let start = name_start(text, close, floor);
    if start > floor && start < close && matches!(text[start - 1], b'<' | b':') {
        // With a prefix, of a tag that opens: `<ns:password>`.
        let prefix = if text[start - 1] == b':' { name_start(text, start - 1, floor) } else { start };
        let opens = prefix > floor && text[prefix - 1] == b'<';
        return opens.then_some(Tag { start, end: close });
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
    (text[open] == b'<' && matches!(text[end], b' ' | b'\t' | b'\n' | b'\r')).then_some(Tag { start, end })
}

/// What the attributes of an element called *element* say that its content is.
fn named(attributes: &[u8], element: &[u8], names: &Names) -> Option<Entity> {
    if !ELEMENTS.iter().any(|known| known.eq_ignore_ascii_case(element)) {
        return None;
    }
    let told = memchr::memchr_iter(b'=', attributes).find(|at| {
        let before = &attributes[..*at];
        [b" name".as_slice(), b" key", b" id"].iter().any(|word| before.ends_with(word))
    })?;
    let (quote, rest) = attributes[told + 1..].split_first().filter(|(b, _)| matches!(b, b'"' | b'\''))?;
    let name = &rest[..memchr::memchr(*quote, rest)?];
    names.entity(name).filter(|_| name.iter().all(|b| is_name_byte(*b)))
}

/// Elements that say by an attribute what they hold: of Spring, Android, .NET, Maven and HTML.
const ELEMENTS: &[&[u8]] = &[
    b"property",
    b"string",
    b"entry",
    b"param",
    b"parameter",
    b"setting",
    b"item",
    b"env",
    b"variable",
    b"value",
    b"textarea",
    b"field",
    b"attribute",
    b"arg",
    b"constructor-arg",
    b"init-param",
];

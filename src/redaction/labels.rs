//! Values that are called `value`, and have their name beside them.
//!
//! - `{"name": "password", "value": "hunter2"}`, in either order; also `key`, as reprs have it: `Cookie(name='sid', value='x')`, and
//!   without quotes round the labels, as JavaScript prints them: `{ name: 'password', value: 'x' }`;
//! - `- name: DB_PASSWORD`, and `value: x` in a line below of the same item: YAML, as Kubernetes has it (`beside_lines.rs`);
//! - `<input name="password" value="hunter2">`, in either order, also by `id` or `type`; `<meta name="csrf-token" content="…">`;
//! - `Content-Disposition: form-data; name="password"`, a blank line, and the part of a multipart body (RFC 7578).
//!
//! The name is looked for in the same braces, brackets or tag: [`BEFORE`] bytes before the value, and, if there is none,
//! [`AFTER`] bytes from its beginning on. Both bound the work at each `value`, and what a stream holds back for one.

use super::ahead::{Known, Text};
use super::coding::{self, Coding};
use super::names::{self, Entity, Names};
use super::tails::{Tail, line_break};
use super::values::{self, Opening, Place, opening_at, skip_blanks};
use super::{Find, Quote, beside_lines, fields};

/// Bytes before a value in which its name is looked for.
const BEFORE: usize = 256;

/// Bytes from a value's beginning on in which its name is looked for.
const AFTER: usize = 512;

/// A word before a sign, as a label of what follows.
struct Label<'t> {
    word: &'t [u8],
    /// Where it begins, its quote included.
    start: usize,
    /// The quote that it stands in alone.
    opening: Option<Opening>,
    /// Its sign: a colon, or `=`.
    sign: u8,
}

/// The value that the label before the sign at *sign* announces, by the name beside it. Nothing before *floor* is read,
/// but for that name.
pub(super) fn find(
    text: Text<'_>,
    sign: usize,
    floor: usize,
    names: &Names,
    selects: &dyn Fn(&str) -> bool,
) -> Known<Option<Find>> {
    let Some(label) = label_before(&text, sign, floor) else { return Ok(None) };
    let is = |word: &[u8]| label.word.eq_ignore_ascii_case(word);
    if label.sign == b':' && label.opening.is_none() {
        if !is(b"value") {
            return Ok(None);
        }
        return match beside_lines::entity(text, sign, label.start, names)? {
            Some(entity) => {
                let place = Place { header: true, ..place(entity, &label, names, selects) };
                values::locate(text, sign + 1, &place)
            }
            None => beside(text, sign, &label, names, selects),
        };
    }
    if is(b"value") || (is(b"content") && label.opening.is_none()) {
        return beside(text, sign, &label, names, selects);
    }
    if is(b"name") && label.opening.is_none() {
        return part(text, sign, &label, floor, names, selects);
    }
    if label.word == b"e_value" { invalid(text, sign, names, selects) } else { Ok(None) }
}

/// Whether the `=` at *at* may stand after such a label.
pub(super) fn may_be(text: &[u8], at: usize) -> bool {
    let quoted = matches!(text.get(at + 1), None | Some(b'"' | b'\'' | b'\\'));
    let before = &text[..at];
    let ends = |word: &[u8]| {
        before.len() >= word.len() && before[before.len() - word.len()..].eq_ignore_ascii_case(word)
    };
    if quoted {
        [b"value".as_slice(), b"name", b"content"].iter().any(|word| ends(word))
    } else {
        ends(b"; name")
    }
}

/// The label before *sign*: a word in quotes before a colon, one without before `=`.
fn label_before(text: &[u8], sign: usize, floor: usize) -> Option<Label<'_>> {
    let before = text.get(floor..sign)?;
    if text.get(sign) == Some(&b'=') {
        let length = before.iter().rev().take(8).take_while(|b| b.is_ascii_alphabetic()).count();
        let (rest, word) = before.split_at(before.len() - length);
        let alone = rest.last().is_none_or(|b| *b <= b' ' || b"(,;".contains(b));
        // Pydantic's.
        if !alone && before.ends_with(b" input_value") {
            return Some(Label { word: b"e_value", start: sign - length, opening: None, sign: b'=' });
        }
        return alone.then_some(Label { word, start: sign - length, opening: None, sign: b'=' });
    }
    if before.last().is_some_and(u8::is_ascii_alphabetic) {
        let length = before.iter().rev().take(8).take_while(|b| b.is_ascii_alphabetic()).count();
        let (rest, word) = before.split_at(before.len() - length);
        let alone = rest.last().is_none_or(|b| *b <= b' ' || b"{,".contains(b));
        return alone.then_some(Label { word, start: sign - length, opening: None, sign: b':' });
    }
    let blanks = before.iter().rev().take(2).take_while(|b| **b == b' ').count();
    let before = &before[..before.len() - blanks];
    let (quote, rest) = before.split_last().filter(|(b, _)| matches!(b, b'"' | b'\''))?;
    let slashes = rest.iter().rev().take(coding::SLASHES).take_while(|b| **b == b'\\').count();
    let rest = &rest[..rest.len() - slashes];
    let length = rest.iter().rev().take(8).take_while(|b| b.is_ascii_alphabetic()).count();
    let (rest, word) = rest.split_at(rest.len() - length);
    let (opening, rest) = rest.split_last()?;
    let opened = rest.iter().rev().take(coding::SLASHES).take_while(|b| **b == b'\\').count();
    let same = opening == quote && opened == slashes && length > 0;
    let start = floor + rest.len() - slashes.min(rest.len());
    same.then_some(Label { word, start, opening: Some(Opening { quote: *quote, slashes }), sign: b':' })
}

/// What the names beside a value say.
enum Said {
    Secret(Entity),
    /// It has a name, of no secret.
    Other,
    Nothing,
}

fn beside(
    text: Text<'_>,
    sign: usize,
    label: &Label<'_>,
    names: &Names,
    selects: &dyn Fn(&str) -> bool,
) -> Known<Option<Find>> {
    let (start, far) = skip_blanks(text, sign + 1, BLANKS)?;
    let opening = opening_at(text, start)?;
    let is_member = label.sign == b':';
    let number = is_member && text.peek(start)?.is_some_and(|b| b.is_ascii_digit() || b == b'[' || b == b'{');
    if far || (opening.is_none() && !number) {
        return Ok(None);
    }
    // Also before *floor*, where the last find ended: nothing is found there, only its name is read.
    let before = &text[label.start.saturating_sub(BEFORE)..label.start];
    let open = before.iter().rposition(|b| is_bracket(*b));
    let is_tag = open.is_some_and(|place| before[place] == b'<');
    // Without quotes, a label is one in braces.
    if is_member && label.opening.is_none() && open.is_none_or(|place| before[place] != b'{') {
        return Ok(None);
    }
    let before = &before[open.map_or(0, |place| place + 1)..];
    // Attributes and members are printed over lines; arguments and pairs of a log are not.
    let lines = is_tag || is_member;
    let line = if lines { 0 } else { before.iter().rposition(|b| *b == b'\n').map_or(0, |place| place + 1) };
    let said = match said(&before[line..], label, is_tag, names) {
        Said::Nothing => {
            let within: fn(u8) -> bool =
                if lines { |b| !ends_object(b) } else { |b| !ends_object(b) && b != b'\n' };
            let rest = text.get(sign + 1..).unwrap_or_default();
            let rest = &rest[..rest.len().min(AFTER)];
            let braces = memchr::memchr3(b'{', b'}', b'<', rest);
            let others = if lines { memchr::memchr(b'>', rest) } else { memchr::memchr2(b'>', b'\n', rest) };
            let length = braces.into_iter().chain(others).min().unwrap_or(rest.len());
            if length == rest.len() && length < AFTER {
                text.need(sign + 1 + AFTER, within)?;
            }
            let region = Text::whole(&text[sign + 1..sign + 1 + length]);
            let end = match opening {
                Some((opening, inside)) => {
                    Tail::quoted((inside - sign - 1).min(length), opening).run(region).unwrap_or(length)
                }
                None => start - sign - 1,
            };
            let after = region.get(end..).unwrap_or_default();
            let stop = after.iter().position(|b| is_bracket(*b)).unwrap_or(after.len());
            said(&after[..stop], label, is_tag, names)
        }
        said => said,
    };
    let Said::Secret(entity) = said else { return Ok(None) };
    values::locate(text, sign + 1, &place(entity, label, names, selects))
}

fn place<'a>(
    entity: Entity,
    label: &Label<'_>,
    names: &'a Names,
    selects: &'a dyn Fn(&str) -> bool,
) -> Place<'a> {
    let quote = label.opening.map(|opening| Quote { byte: opening.quote, slashes: opening.slashes as u8 });
    let coding = Coding::Plain;
    Place { coding, header: false, enclosing: None, entity, quote, key: None, within: None, names, selects }
}

/// Blanks between a label's sign and its value.
const BLANKS: usize = 16;

fn is_bracket(byte: u8) -> bool {
    ends_object(byte) || matches!(byte, b'(' | b')')
}

fn ends_object(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'<' | b'>')
}

/// What the labels in *text* say that are written as *like* is.
fn said(text: &[u8], like: &Label<'_>, is_tag: bool, names: &Names) -> Said {
    let mut said = Said::Nothing;
    for at in memchr::memchr_iter(like.sign, text) {
        // Cheap, since it is asked at each of many labels: whether what stands before may end one of them.
        let before = &text[..at];
        let word = match before {
            [rest @ .., b'"' | b'\''] if rest.last() != Some(&b'\\') => rest,
            [.., last] if last.is_ascii_alphabetic() => before,
            _ => {
                let marks =
                    before.iter().rev().take(coding::SLASHES).take_while(|b| b"\"'\\ ".contains(b)).count();
                &before[..at - marks]
            }
        };
        let Some([one, other]) = word.last_chunk() else { continue };
        // `name`, `key`, `label`; of a tag, also `id` and `type`.
        match [one | 0x20, other | 0x20] {
            [b'm', b'e'] | [b'e', b'y'] | [b'e', b'l'] => {}
            [b'i', b'd'] | [b'p', b'e'] if is_tag => {}
            _ => continue,
        }
        let Some(label) = label_before(text, at, 0).filter(|label| label.opening == like.opening) else {
            continue;
        };
        let is = |words: &[&[u8]]| words.iter().any(|word| label.word.eq_ignore_ascii_case(word));
        let named = is(&[b"name", b"key", b"label"]);
        let tells = named || (is_tag && is(&[b"id", b"type"]));
        if !tells {
            continue;
        }
        match quoted_name(text, at + 1) {
            Some(name) => match names.entity(name) {
                Some(entity) => return Said::Secret(entity),
                None if named => said = Said::Other,
                None => {}
            },
            None => continue,
        }
    }
    said
}

/// The name in quotes after a sign.
fn quoted_name(text: &[u8], from: usize) -> Option<&[u8]> {
    let text = Text::whole(text);
    let (start, _) = skip_blanks(text, from, BLANKS).ok()?;
    let (opening, inside) = opening_at(text, start).ok()??;
    let length = text.run(inside, names::REACH, fields::is_name_byte).ok()?;
    // A label ends in a sign: `"Password: "`.
    let sign = text.run(inside + length, 2, |b| matches!(b, b':' | b' ')).ok()?;
    let (closing, _) = opening_at(text, inside + length + sign).ok()??;
    (closing == opening && length > 0).then(|| &text.bytes()[inside..inside + length])
}

/// The part of a multipart body that `name="…"` in its head names.
fn part(
    text: Text<'_>,
    sign: usize,
    label: &Label<'_>,
    floor: usize,
    names: &Names,
    selects: &dyn Fn(&str) -> bool,
) -> Known<Option<Find>> {
    let before = &text[floor.max(label.start.saturating_sub(KIND))..label.start];
    if !before.windows(FORM.len()).any(|window| window.eq_ignore_ascii_case(FORM)) {
        return Ok(None);
    }
    let opening = opening_at(text, sign + 1)?;
    let inside = opening.map_or(sign + 1, |(_, inside)| inside);
    let length = text.run(inside, names::REACH, fields::is_form_byte)?;
    let closing = if opening.is_some() { opening_at(text, inside + length)? } else { None };
    let after = closing.map_or(inside + length, |(_, after)| after);
    let same = opening.map(|(opening, _)| opening) == closing.map(|(closing, _)| closing);
    let mut name = &text[inside..inside + length];
    while let index @ 1.. = super::text::index_before(name) {
        name = &name[..name.len() - index];
    }
    let name = name.strip_suffix(b"]").unwrap_or(name);
    let Some(entity) = names.entity(name).filter(|entity| same && selects(entity)) else {
        return Ok(None);
    };
    let mut at = after;
    for _ in 0..LINES {
        let Some((length, slashes)) = line_break(text, at)? else { return Ok(None) };
        at += length;
        if let Some((length, _)) = line_break(text, at)? {
            at += length;
            if text.marker(at)?.is_some() {
                return Ok(None);
            }
            return values::begun(text, at, entity, Tail::part(at, slashes), &[]);
        }
        // Another line of its head. What is passed over is looked at by nobody, so it is one that holds no secret.
        let length = text.run(at, HEAD, |b| b > 0x1f && b != b'\\')?;
        if !is_head(&text[at..at + length]) {
            return Ok(None);
        }
        at += length;
    }
    Ok(None)
}

/// What a part of a form is.
const FORM: &[u8] = b"form-data";

/// The value of a field in an error of Pydantic's: `password`, and on the next line `… [type=…, input_value='x', …]`.
fn invalid(
    text: Text<'_>,
    sign: usize,
    names: &Names,
    selects: &dyn Fn(&str) -> bool,
) -> Known<Option<Find>> {
    let window = &text[sign.saturating_sub(BEFORE)..sign];
    let Some(line) = window.iter().rposition(|b| *b == b'\n').filter(|at| window.get(at + 1) == Some(&b' '))
    else {
        return Ok(None);
    };
    let before = window[..line].trim_ascii_end();
    let field = before.iter().rev().take(names::REACH).take_while(|b| fields::is_name_byte(**b)).count();
    let (rest, field) = before.split_at(before.len() - field);
    let alone = rest.last().map_or(window.len() == sign, |b| *b == b'\n');
    let Some(entity) = names.entity(field).filter(|_| alone) else { return Ok(None) };
    let label = Label { word: b"", start: sign, opening: None, sign: b'=' };
    values::locate(text, sign + 1, &place(entity, &label, names, selects))
}

/// Whether *line* is one of a part's head, of words that are known (RFC 7578 §4.4, §4.7): `Content-Type: text/plain`.
fn is_head(line: &[u8]) -> bool {
    let split = |text: &[u8], at: u8| {
        let place = memchr::memchr(at, text)?;
        Some((
            text[..place].trim_ascii().to_ascii_lowercase(),
            text[place + 1..].trim_ascii().to_ascii_lowercase(),
        ))
    };
    let Some((name, value)) = split(line, b':') else { return false };
    match name.as_slice() {
        b"content-type" => {
            let (kind, charset) = match split(&value, b';') {
                Some((kind, rest)) => {
                    (kind, rest.strip_prefix(b"charset=").map(|set| set.trim_ascii().to_vec()))
                }
                None => (value, Some(b"utf-8".to_vec())),
            };
            let charset = charset.unwrap_or_default();
            let charset =
                charset.strip_prefix(b"\"").and_then(|set| set.strip_suffix(b"\"")).unwrap_or(&charset);
            TYPES.contains(&kind.as_slice()) && CHARSETS.contains(&charset)
        }
        b"content-transfer-encoding" => ENCODINGS.contains(&value.as_slice()),
        b"content-length" => (1..=5).contains(&value.len()) && value.iter().all(u8::is_ascii_digit),
        _ => false,
    }
}

/// What the head of a part with a text says.
const TYPES: &[&[u8]] = &[
    b"text/plain",
    b"text/html",
    b"text/xml",
    b"application/json",
    b"application/xml",
    b"application/octet-stream",
    b"application/x-www-form-urlencoded",
];
const CHARSETS: &[&[u8]] = &[
    b"utf-8",
    b"utf8",
    b"utf-16",
    b"us-ascii",
    b"ascii",
    b"iso-8859-1",
    b"iso-8859-15",
    b"windows-1252",
    b"shift_jis",
];
const ENCODINGS: &[&[u8]] = &[b"7bit", b"8bit", b"binary", b"quoted-printable", b"base64"];

/// Bytes before a part's name in which what it is is said, lines of its head, and bytes of one.
const KIND: usize = 64;
const LINES: usize = 4;
const HEAD: usize = 96;

//! Names and values without a sign between them: pairs in brackets, and arguments of a command.

use super::ahead::{Known, Text};
use super::coding::Coding;
use super::fields::is_name_byte;
use super::lines::Key;
use super::names::{self, Entity, Names};
use super::tails::Tail;
use super::text::alnum;
use super::values::{self, Opening, Place, opening_at, skip_blanks};
use super::{Find, Quote};

/// What is looked for: names, and which entities.
type Sought<'a> = (&'a Names, &'a dyn Fn(&str) -> bool);

/// `('Cookie', 'a=b')`, as lists of headers are printed; `["Cookie", "a=b"]`, if it is a list of two texts. Blanks may stand
/// inside the bracket, as Node's `inspect` has them.
pub(super) fn bracketed(
    text: Text<'_>,
    bracket: usize,
    floor: usize,
    sought: Sought<'_>,
) -> Known<Option<Find>> {
    let inside = bracket + 1 + text.run(bracket + 1, BLANKS, |b| b == b' ')?;
    let Some((opening, start)) = opening_at(text, inside)? else { return Ok(None) };
    let end = start + text.run(start, names::REACH, is_name_byte)?;
    let Some((closing, after)) = opening_at(text, end)? else { return Ok(None) };
    if closing != opening || text.peek(after)? != Some(b',') {
        return Ok(None);
    }
    let Some(entity) = sought.0.entity(&text[start..end]) else { return Ok(None) };
    // An option of a command has its own rule.
    if text[start..end].starts_with(b"--") {
        return Ok(None);
    }
    if text.get(bracket) == Some(&b'[') && !is_second_of_two(text, after + 1)? {
        return Ok(None);
    }
    if lists_names(&text, bracket, floor) && is_identifier(text, after + 1)? {
        return Ok(None);
    }
    values::locate(text, after + 1, &place(entity, Some(opening), sought))
}

/// Whether the bracket opens what is known to be a list of names: `"required": [`, `__slots__ = (`, `for name in (`.
fn lists_names(text: &[u8], bracket: usize, floor: usize) -> bool {
    let before = text.get(floor.max(bracket.saturating_sub(LISTED))..bracket).unwrap_or_default();
    let before = before.trim_ascii_end();
    let (word, is_member) = match before.split_last() {
        Some((b':' | b'=', rest)) => (rest, true),
        _ => (before, false),
    };
    let word = word.trim_ascii_end();
    let marks = word.iter().rev().take_while(|b| matches!(b, b'"' | b'\'' | b'\\')).count();
    let word = &word[..word.len() - marks];
    let length = word.iter().rev().take_while(|b| b.is_ascii_alphabetic() || **b == b'_').count();
    let (rest, word) = word.split_at(word.len() - length);
    if is_member { NAMES.contains(&word) } else { marks == 0 && word == b"in" && rest.ends_with(b" ") }
}

/// Bytes before a bracket in which what it lists is said.
const LISTED: usize = 64;

/// What lists names: in JSON Schema, in errors of validation and OAuth, in Python and in databases.
const NAMES: &[&[u8]] = &[
    b"required",
    b"loc",
    b"fields",
    b"enum",
    b"scopes",
    b"columns",
    b"exclude",
    b"include",
    b"names",
    b"missing",
    b"__slots__",
    b"__all__",
    b"_fields",
    b"update_fields",
];

/// Whether the text at *from* is a name: small letters and underscores.
fn is_identifier(text: Text<'_>, from: usize) -> Known<bool> {
    let (start, _) = skip_blanks(text, from, BLANKS)?;
    let Some((opening, inside)) = opening_at(text, start)? else { return Ok(false) };
    let length = text.run(inside, LONGEST + 1, |b| b.is_ascii_lowercase() || b == b'_')?;
    let closing = opening_at(text, inside + length)?;
    Ok((1..=LONGEST).contains(&length) && closing.is_some_and(|(closing, _)| closing == opening))
}

/// Whether the text at *from* is the last in a list. One that is longer than [`SECOND`] is no name, and counts as such.
fn is_second_of_two(text: Text<'_>, from: usize) -> Known<bool> {
    let (start, _) = skip_blanks(text, from, BLANKS)?;
    let Some((opening, inside)) = opening_at(text, start)? else { return Ok(false) };
    let limit = inside + SECOND;
    let known = text.is_whole() || text.len() >= limit;
    let region = &text.bytes()[..text.len().min(limit)];
    let region = if known { Text::whole(region) } else { Text::begun(region) };
    let last = Tail::quoted(inside, opening).run(region).and_then(|end| {
        let closing = end + opening.slashes;
        // Python's three quotes are two texts in a row.
        let after = closing + region.run(closing, 3, |b| matches!(b, b'"' | b'\'' | b'`'))?;
        let after = after + region.run(after, BLANKS, |b| b == b' ')?;
        // A text that is broken off ends with its line.
        Ok(region.peek(after)?.map_or(after >= limit, |b| matches!(b, b']' | b'\n' | b'\r')))
    });
    match last {
        Ok(last) => Ok(last),
        Err(_) => {
            text.need(limit, |b| !matches!(b, b'"' | b'\'' | b'`' | b']' | b' ' | b'\n' | b'\r'))?;
            Ok(true)
        }
    }
}

/// How long a text may be for which the end of its list is waited for, in bytes.
const SECOND: usize = 512;

/// Blanks between the parts of a pair.
const BLANKS: usize = 16;

/// `--password hunter2`, of which the second dash is at *dash*; `'--password', 'hunter2'`.
///
/// In a sentence the next word is no value: an option is followed by one of [`WORDS`], by a sign of the shell, by
/// another option, or by what stands for a value.
pub(super) fn argument(text: Text<'_>, dash: usize, floor: usize, sought: Sought<'_>) -> Known<Option<Find>> {
    let start = dash + 1;
    let before =
        |n: usize| dash.checked_sub(n).filter(|place| *place >= floor).and_then(|i| text.get(i)).copied();
    if before(1) != Some(b'-')
        || before(2).is_some_and(|b| alnum(b) || matches!(b, b'-' | b'_' | b'.' | b'/'))
    {
        return Ok(None);
    }
    let end = start + text.run(start, names::REACH, |b| alnum(b) || matches!(b, b'-' | b'_'))?;
    let name = &text[start..end];
    let Some(entity) = sought.0.entity(name).filter(|_| !name.starts_with(b"no-")) else { return Ok(None) };
    if let Some((closing, after)) = opening_at(text, end)? {
        let quote = Some(closing).filter(|closing| before(2) == Some(closing.quote));
        return match text.peek(after)? {
            Some(b',') if quote.is_some() => {
                let (start, _) = skip_blanks(text, after + 1, BLANKS)?;
                match opening_at(text, start)? {
                    Some((_, inside)) if text.peek(inside)? != Some(b'-') => {
                        values::locate(text, start, &place(entity, quote, sought))
                    }
                    _ => Ok(None),
                }
            }
            _ => Ok(None),
        };
    }
    let blanks = text.run(end, BLANKS, |b| matches!(b, b' ' | b'\t'))?;
    let at = end + blanks;
    if blanks == 0 {
        return Ok(None);
    }
    // The shell joins lines.
    let joined = joined_line(text, at)?;
    let at = joined.unwrap_or(at);
    if !begins_value(text, at)? {
        return Ok(None);
    }
    let word = text.run(at, LONGEST + 1, |b| alnum(b) || b == b'_')?;
    let ends = text.peek(at + word)?.is_none_or(|b| b <= b' ' || b",.;:)]|".contains(&b));
    let word = &text[at..at + word];
    if ends && (stands(word, sought.0) || WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))) {
        return Ok(None);
    }
    if joined.is_none() && is_help(text, (dash, at, blanks), word, floor)? {
        return Ok(None);
    }
    // A tag would end it.
    if text.peek(at)? == Some(b'<') {
        let tail = Tail::bare(at + 1, Coding::Plain);
        return if sought.1(entity) { values::begun(text, at, entity, tail, &[]) } else { Ok(None) };
    }
    let within = Some(Key { start: dash.saturating_sub(1), floor });
    values::locate(text, at, &Place { within, ..place(entity, None, sought) })
}

/// Where the next line begins behind a backslash at *at*, with which the shell joins lines.
pub(super) fn joined_line(text: Text<'_>, at: usize) -> Known<Option<usize>> {
    if text.peek(at)? != Some(b'\\') {
        return Ok(None);
    }
    let line = match (text.peek(at + 1)?, text.peek(at + 2)?) {
        (Some(b'\n'), _) => at + 2,
        (Some(b'\r'), Some(b'\n')) => at + 3,
        _ => return Ok(None),
    };
    Ok(Some(line + text.run(line, INDENT, |b| matches!(b, b' ' | b'\t'))?))
}

/// Blanks before what goes on in the next line.
const INDENT: usize = 64;

/// Whether a value may begin at *at*: neither an option, nor a sign of the shell or of a sentence, nor `<password>`.
fn begins_value(text: Text<'_>, at: usize) -> Known<bool> {
    let Some(first) = text.peek(at)? else { return Ok(false) };
    Ok(match first {
        0..=b' ' | b'-' | b'>' | b'[' | b']' | b')' | b'|' | b';' | b'=' | b':' => false,
        // Alone, or several of it: `--password && x`, `--token ...`.
        b'.' | b',' | b'&' | b'#' => {
            let mut end = at + 1;
            while end - at < 4 && text.peek(end)? == Some(first) {
                end += 1;
            }
            text.peek(end)?.is_some_and(|b| b > b' ')
        }
        b'<' => {
            let length = text.run(at, names::REACH, |b| b > b' ')?;
            length > 1 && !text[at..at + length].contains(&b'>')
        }
        _ => true,
    })
}

/// Whether *word* stands for a value, as `usage` has it: `--api-key API_KEY`, `--password TEXT`.
fn stands(word: &[u8], names: &Names) -> bool {
    !word.is_empty()
        && word.iter().all(|b| b.is_ascii_uppercase() || *b == b'_')
        && (names.entity(word).is_some() || STANDS.contains(&word))
}

/// Whether the option called *name* is only told of: `--secret-key=KEY`.
pub(super) fn is_usage(text: Text<'_>, name: &[u8], from: usize, names: &Names) -> Known<bool> {
    if !name.starts_with(b"--") {
        return Ok(false);
    }
    let length = text.run(from, LONGEST + 1, |b| b.is_ascii_uppercase() || b == b'_')?;
    let ends = text.peek(from + length)?.is_none_or(|b| b <= b' ' || b",.;)]|".contains(&b));
    Ok(ends && stands(&text[from..from + length], names))
}

/// Whether what stands at *at*, behind so many *blanks*, is a column of help: three words of letters alone; or, if the option is
/// the first of its line and indented, two words, or one behind which another column begins.
fn is_help(
    text: Text<'_>,
    (dash, at, blanks): (usize, usize, usize),
    word: &[u8],
    floor: usize,
) -> Known<bool> {
    let option = dash.saturating_sub(1);
    let before = text.get(floor.max(option.saturating_sub(INDENT))..option).unwrap_or_default();
    let line = before.iter().rposition(|b| *b == b'\n').map_or(0, |place| place + 1);
    let before = &before[line..];
    let first = !before.is_empty() && before.iter().all(|b| *b == b' ');
    if first && !word.is_empty() && word.iter().all(u8::is_ascii_lowercase) {
        let gap = text.run(at + word.len(), 4, |b| b == b' ')?;
        if gap >= 2 && text.peek(at + word.len() + gap)?.is_some_and(|b| b.is_ascii_alphabetic() || b == b' ')
        {
            return Ok(true);
        }
    }
    let least = if first && blanks > 2 { 2 } else { 3 };
    if blanks < 2 {
        return Ok(false);
    }
    let mut at = at;
    for count in 1..=least {
        let letters = text.run(at, LONGEST + 1, |b| b.is_ascii_alphabetic())?;
        let after = text.peek(at + letters)?;
        if letters == 0 || letters > LONGEST || (count < least && after != Some(b' ')) {
            return Ok(false);
        }
        at += letters + 1;
        if count == least {
            return Ok(after.is_none_or(|b| b <= b' ' || b",.;:)]".contains(&b)));
        }
    }
    Ok(false)
}

/// The longest of [`WORDS`] and of what stands for a value, in bytes.
const LONGEST: usize = 32;

/// What stands for a value where a command's use is told.
const STANDS: &[&[u8]] = &[b"TEXT", b"VALUE", b"STRING", b"STR", b"PATH", b"FILE", b"FILENAME", b"KEY"];

/// What follows an option in a sentence.
const WORDS: &[&[u8]] = &[
    b"after",
    b"and",
    b"are",
    b"argument",
    b"arguments",
    b"as",
    b"at",
    b"before",
    b"but",
    b"by",
    b"can",
    b"cannot",
    b"darf",
    b"das",
    b"den",
    b"der",
    b"die",
    b"does",
    b"expects",
    b"fehlt",
    b"flag",
    b"flags",
    b"for",
    b"from",
    b"gives",
    b"has",
    b"if",
    b"in",
    b"instead",
    b"into",
    b"is",
    b"ist",
    b"may",
    b"muss",
    b"must",
    b"needs",
    b"not",
    b"oder",
    b"on",
    b"only",
    b"option",
    b"options",
    b"or",
    b"parameter",
    b"requires",
    b"should",
    b"so",
    b"switch",
    b"takes",
    b"that",
    b"the",
    b"then",
    b"to",
    b"und",
    b"was",
    b"were",
    b"when",
    b"which",
    b"will",
    b"wird",
    b"with",
    b"without",
    b"wurde",
    b"you",
    b"your",
];

fn place<'a>(entity: Entity, opening: Option<Opening>, sought: Sought<'a>) -> Place<'a> {
    let quote = opening.map(|opening| Quote { byte: opening.quote, slashes: opening.slashes as u8 });
    let (names, selects) = sought;
    let coding = Coding::Plain;
    Place { coding, header: false, enclosing: None, entity, quote, key: None, within: None, names, selects }
}

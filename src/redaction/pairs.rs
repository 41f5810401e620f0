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

/// `('Cookie', 'a=b')`, as lists of headers are printed; `["Cookie", "a=b"]`, if it is a list of two texts.
pub(super) fn bracketed(text: Text<'_>, bracket: usize, sought: Sought<'_>) -> Known<Option<Find>> {
    let Some((opening, start)) = opening_at(text, bracket + 1)? else { return Ok(None) };
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
    values::locate(text, after + 1, &place(entity, Some(opening), sought))
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
    let begins = !matches!(
        text.peek(at)?,
        None | Some(
            0..=b' '
                | b'-'
                | b'<'
                | b'>'
                | b'['
                | b']'
                | b')'
                | b'|'
                | b'&'
                | b';'
                | b','
                | b'.'
                | b'='
                | b':'
                | b'#'
        )
    );
    if blanks == 0 || !begins {
        return Ok(None);
    }
    let word = text.run(at, LONGEST + 1, |b| alnum(b) || b == b'_')?;
    let ends = text.peek(at + word)?.is_none_or(|b| b <= b' ' || b",.;:)]|".contains(&b));
    let word = &text[at..at + word];
    // As `usage` has it: `--api-key API_KEY`, `--password TEXT`.
    let stands = word.iter().all(|b| b.is_ascii_uppercase() || *b == b'_')
        && (sought.0.entity(word).is_some() || STANDS.contains(&word));
    if ends && (stands || WORDS.iter().any(|known| known.eq_ignore_ascii_case(word))) {
        return Ok(None);
    }
    if blanks > 1 && is_help(text, at)? {
        return Ok(None);
    }
    let within = Some(Key { start: dash.saturating_sub(1), floor });
    values::locate(text, at, &Place { within, ..place(entity, None, sought) })
}

/// Whether three words stand at *at*, of letters alone: what a column of help says, behind blanks.
fn is_help(text: Text<'_>, at: usize) -> Known<bool> {
    let mut at = at;
    for count in 0..3 {
        let letters = text.run(at, LONGEST + 1, |b| b.is_ascii_alphabetic())?;
        let after = text.peek(at + letters)?;
        if letters == 0 || letters > LONGEST || (count < 2 && after != Some(b' ')) {
            return Ok(false);
        }
        at += letters + 1;
        if count == 2 {
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

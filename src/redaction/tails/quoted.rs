//! Where a text in quotes ends, at whatever depth of escaping it was opened; and a line.

use super::super::ahead::{Known, Text};
use super::super::values::{Opening, opening_at, skip_blanks};
use super::bare::name_follows;

/// A text in quotes.
#[derive(Clone, Copy)]
pub(super) struct Quoted {
    /// Backslashes directly before.
    slashes: usize,
    opening: Opening,
    /// Whether an escaped line break ends it as well.
    breaks: bool,
    /// Whether a quote may stand in it as SQL, YAML and shells have it.
    pub(super) joins: Joins,
}

/// What a quote inside a text may look like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Joins {
    Never,
    /// Nothing was read yet: a second quote closes an empty text.
    Empty,
    /// `'it''s'` (SQL, YAML, CSV), `'a'\\''b'` and `'a'"'"'b'` (shells).
    May,
    /// One was there, doubled.
    Doubled,
}

impl Quoted {
    pub(super) fn new(opening: Opening, breaks: bool) -> Self {
        Self { slashes: 0, opening, breaks, joins: Joins::Never }
    }

    pub(super) fn text(opening: Opening) -> Self {
        let joins = if opening.slashes == 0 && opening.quote != b'`' { Joins::Empty } else { Joins::Never };
        Self { slashes: 0, opening, breaks: false, joins }
    }

    /// The backslashes directly before that may be the closing quote's.
    pub(super) fn closing(&self) -> usize {
        self.slashes.min(self.opening.slashes)
    }

    /// To the closing quote, or with the line.
    pub(super) fn run(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        let Opening { quote, slashes: level } = self.opening;
        let breaks = self.breaks;
        let stops = |b: &u8| *b == quote || matches!(*b, b'\n' | b'\r') || (breaks && *b == b'\\');
        loop {
            let rest = text.get(*at..).unwrap_or_default();
            let passed = rest.iter().position(stops).unwrap_or(rest.len());
            let slashes = rest[..passed].iter().rev().take_while(|b| **b == b'\\').count();
            self.slashes = if slashes == passed { self.slashes + slashes } else { slashes };
            *at += passed;
            if passed > 0 && self.joins == Joins::Empty {
                self.joins = Joins::May;
            }
            let Some(byte) = text.peek(*at)? else { return Ok(*at) };
            if byte == b'\\' {
                if breaks_escaped(text, *at)? {
                    return Ok(*at);
                }
                self.slashes += 1;
                *at += 1;
                continue;
            }
            if byte != quote {
                return Ok(*at);
            }
            // Each level of JSON doubles the backslashes and adds one before a quote, so a quote of our level
            // has `level` of its own; what is left over escapes it if it is odd in number.
            match self.slashes.checked_sub(level) {
                Some(rest) if rest / (level + 1) % 2 == 1 => {}
                // Or a repr has doubled them all, and the quote is inside: then no more punctuation follows.
                Some(rest) if rest > 0 && !delimiter_follows(text, *at + 1)? => {}
                Some(_) => match self.joined(*at, text)? {
                    0 => return Ok(*at - level),
                    length => *at += length - 1,
                },
                None => return Ok(*at - self.slashes),
            }
            self.slashes = 0;
            *at += 1;
        }
    }
}

impl Quoted {
    /// The length of the quotes at *at* that stand for one in the text; none, if it ends there.
    fn joined(&mut self, at: usize, text: Text<'_>) -> Known<usize> {
        let quote = self.opening.quote;
        if matches!(self.joins, Joins::Never | Joins::Empty) {
            return Ok(0);
        }
        match text.peek(at + 1)? {
            Some(next) if next == quote => {
                // Behind a text that ends in quotes of its own, a blank or a sign follows.
                let goes_on = text.peek(at + 2)?.is_some_and(|b| b.is_ascii_alphanumeric() || b >= 0x80);
                if self.joins == Joins::Doubled || goes_on {
                    self.joins = Joins::Doubled;
                    return Ok(2);
                }
                Ok(0)
            }
            Some(b'\\') if quote == b'\'' && text.starts_with(at + 1, b"\\''")? => Ok(4),
            Some(other @ (b'"' | b'\'')) if text.starts_with(at + 1, &[other, quote, other, quote])? => Ok(5),
            _ => Ok(0),
        }
    }
}

/// Whether what follows a closing quote in JSON, a repr or a list of arguments stands at *at*.
pub(in super::super) fn delimiter_follows(text: Text<'_>, at: usize) -> Known<bool> {
    let (at, _) = skip_blanks(text, at, BLANKS)?;
    Ok(match text.peek(at)? {
        None | Some(b'\n' | b'\r') => true,
        Some(b'}' | b']' | b')' | b':') => !text.peek(at + 1)?.is_some_and(|b| b.is_ascii_alphanumeric()),
        Some(b',') => {
            let (next, _) = skip_blanks(text, at + 1, BLANKS)?;
            text.peek(next)?.is_none() || opening_at(text, next)?.is_some() || name_follows(text, next)?
        }
        // Text inside text, printed over several lines.
        Some(b'\\') => matches!(text.peek(at + 1)?, Some(b'n' | b'r')),
        _ => false,
    })
}

/// Blanks that are looked past for a delimiter.
const BLANKS: usize = 128;

/// Whether the backslash at *at* starts an escaped line break, with which a header in an escaped text ends; or stands
/// before what was replaced.
fn breaks_escaped(text: Text<'_>, at: usize) -> Known<bool> {
    Ok(matches!(text.peek(at + 1)?, Some(b'r' | b'n')) || text.marker(at + 1)?.is_some())
}

pub(super) fn line_end(at: &mut usize, text: Text<'_>) -> Known<usize> {
    loop {
        let rest = text.get(*at..).unwrap_or_default();
        *at += memchr::memchr3(b'\n', b'\r', b'\\', rest).unwrap_or(rest.len());
        match text.peek(*at)? {
            Some(b'\\') if !breaks_escaped(text, *at)? => *at += 1,
            _ => return Ok(*at),
        }
    }
}

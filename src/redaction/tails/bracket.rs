//! Where a list, an object or a call ends.

use super::super::Quote;
use super::super::ahead::{Known, Text};
use super::super::coding::{self, Coding};
use super::quoted::delimiter_follows;

/// A list, an object or a call.
#[derive(Clone, Copy)]
pub(super) struct Bracket {
    coding: Coding,
    /// The quote that the name before it stands in.
    quote: Option<Quote>,
    depth: usize,
    closed: bool,
    quoted: Option<u8>,
    slashes: usize,
    /// The last byte that is no blank.
    last: u8,
    /// Whether only blanks and line breaks stand between here and a line break that ended nothing.
    broken: bool,
    /// How many bytes there were.
    read: usize,
}

impl Bracket {
    /// In which the name stands in *quote*.
    pub(super) fn new(coding: Coding, quote: Option<Quote>) -> Self {
        Self {
            coding,
            quote,
            depth: 0,
            closed: false,
            quoted: None,
            slashes: 0,
            last: 0,
            broken: false,
            read: 0,
        }
    }

    /// The backslashes directly before that may be the closing quote's.
    pub(super) fn closing(&self) -> usize {
        self.slashes.min(self.level())
    }

    /// The texts inside are in quotes with as many backslashes before them as the name's quote has.
    fn level(&self) -> usize {
        self.quote.map_or(0, |quote| usize::from(quote.slashes))
    }

    /// To the closing bracket. It goes on over a line break where printed JSON and Python have one:
    /// after an opening bracket or a comma, or before a closing bracket or a text.
    pub(super) fn run(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        let (level, coding) = (self.level(), self.coding);
        while let Some(raw) = text.peek(*at)? {
            if self.broken && is_space(raw) {
                *at += 1;
                self.read += 1;
                continue;
            }
            self.broken = false;
            let decoded = if coding == Coding::Plain { None } else { coding::of(text, *at, coding)? };
            let byte = decoded.map_or(raw, |found| found.byte);
            match byte {
                0..=b' ' if coding == Coding::Percent && decoded.is_none() => return Ok(*at),
                b'\n' | b'\r' if decoded.is_none() => {
                    if !(self.quoted.is_none() && self.read < PRINTED && self.goes_on(*at, text)?) {
                        return Ok(*at);
                    }
                    (self.broken, self.slashes) = (true, 0);
                    continue;
                }
                // A quote as it is ends what the escaped text stands in; a tag, what is escaped for a page.
                b'"' if matches!(coding, Coding::Escape(_)) && decoded.is_none() && self.slashes == 0 => {
                    return Ok(*at);
                }
                b'<' if coding == Coding::Html && decoded.is_none() => return Ok(*at),
                b'"' | b'\'' if decoded.is_some_and(|found| found.is_inside(coding)) => {}
                b'"' | b'\'' => match self.slashes.checked_sub(level) {
                    // The text that the name stands in ends here. An apostrophe of a lower level is only an apostrophe.
                    None if self.quote.is_some_and(|quote| quote.byte == byte) => {
                        return Ok(*at - self.slashes);
                    }
                    None => {}
                    Some(rest) if rest / (level + 1) % 2 == 1 => {}
                    Some(rest)
                        if self.quoted == Some(byte)
                            && (rest == 0
                                || coding != Coding::Plain
                                || delimiter_follows(text, *at + 1)?) =>
                    {
                        self.quoted = None;
                    }
                    // Inside a text, nothing opens.
                    Some(_) => self.quoted = self.quoted.or(Some(byte)),
                },
                b'[' | b'{' | b'(' if self.quoted.is_none() => self.depth += 1,
                b']' | b'}' | b')' if self.quoted.is_none() => {
                    self.depth = self.depth.saturating_sub(1);
                    self.closed = self.depth == 0;
                }
                _ => {}
            }
            self.last = if byte > b' ' { byte } else { self.last };
            self.slashes = if byte == b'\\' { self.slashes + 1 } else { 0 };
            let step = decoded.map_or(1, |found| found.length);
            *at += step;
            self.read += step;
            if self.closed {
                break;
            }
        }
        Ok(*at)
    }

    /// Whether it goes on after the line break at *at*.
    fn goes_on(&self, at: usize, text: Text<'_>) -> Known<bool> {
        if b"[{(,:".contains(&self.last) {
            return Ok(true);
        }
        let spaces = text.run(at, SPACES, is_space)?;
        Ok(spaces == SPACES || text.peek(at + spaces)?.is_some_and(|b| b"]})\"'".contains(&b)))
    }
}

fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Line breaks and blanks that are looked past for what goes on with a list; behind more of them it goes on.
const SPACES: usize = 256;

/// Lists and objects that were printed over several lines are followed this far, to the line's end: one that
/// is never closed does not hide all that comes after it.
const PRINTED: usize = 64 * 1024;

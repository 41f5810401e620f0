//! Where a value ends that has lines: a part of a multipart body, and a block of YAML.

use super::super::ahead::{Known, Text};
use super::super::coding::SLASHES;
use super::quoted::delimiter_follows;

/// A part of a multipart body.
#[derive(Clone, Copy)]
pub(super) struct Part {
    /// Backslashes before the `r` and `n` of its line breaks; none, if these are not escaped.
    slashes: usize,
    /// How many bytes there were.
    read: usize,
    /// Whether a boundary was seen.
    closed: Option<bool>,
}

/// A part without a boundary behind it ends with a line after so many bytes: it may have been cut off, and a log goes on. So does a
/// block.
const PART: usize = 4096;

impl Part {
    pub(super) fn new(slashes: usize) -> Self {
        Self { slashes, read: 0, closed: None }
    }

    /// To a line that begins with two dashes, as boundaries do (RFC 2046 §5.1.1); if they are cut off and the line breaks are
    /// escaped, to the quote that ends the text.
    pub(super) fn run(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        loop {
            let rest = text.get(*at..).unwrap_or_default();
            let quotes = self.slashes > 0 && self.closed != Some(true);
            let stops = |b: &u8| matches!(b, b'\n' | b'\r' | b'\\') || (quotes && is_quote(*b));
            let passed = rest.iter().position(stops).unwrap_or(rest.len());
            *at += passed;
            self.read += passed;
            let Some(byte) = text.peek(*at)? else { return Ok(*at) };
            let step = match line_break(text, *at)? {
                // Of what is escaped, the line ends the whole.
                Some((_, 0)) if self.slashes > 0 => return Ok(*at),
                Some((length, slashes)) if slashes == self.slashes => {
                    if self.read >= PART || text.starts_with(*at + length, b"--")? {
                        return Ok(*at);
                    }
                    length
                }
                _ if byte == b'\\' || is_quote(byte) => {
                    let slashes = text.run(*at, SLASHES, |b| b == b'\\')?;
                    let quote = text.peek(*at + slashes)?.is_some_and(is_quote);
                    if quote
                        && slashes < self.slashes
                        && delimiter_follows(text, *at + slashes + 1)?
                        && !self.goes_on(*at, text)?
                    {
                        return Ok(*at);
                    }
                    slashes + usize::from(quote)
                }
                _ => 1,
            };
            *at += step;
            self.read += step;
        }
    }

    /// Whether a boundary stands behind a quote at *at* that may end the text.
    fn goes_on(&mut self, at: usize, text: Text<'_>) -> Known<bool> {
        if let Some(closed) = self.closed {
            return Ok(closed);
        }
        let there = text.get(at..text.len().min(at + PART)).unwrap_or_default();
        let closed = memchr::memmem::find(there, b"\\n--").is_some();
        if !closed {
            text.need(at + PART, |b| b != b'-')?;
        }
        self.closed = Some(closed);
        Ok(closed)
    }
}

fn is_quote(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'`')
}

/// The length of the line break at *at*, and how many backslashes escape it.
pub(in super::super) fn line_break(text: Text<'_>, at: usize) -> Known<Option<(usize, usize)>> {
    let slashes = text.run(at, SLASHES, |b| b == b'\\')?;
    let place = at + slashes;
    let letters = if slashes == 0 { [b'\r', b'\n'] } else { [b'r', b'n'] };
    match text.peek(place)? {
        Some(byte) if byte == letters[1] => Ok(Some((slashes + 1, slashes))),
        Some(byte) if byte == letters[0] => {
            let next = text.run(place + 1, SLASHES, |b| b == b'\\')?;
            let whole = next == slashes && text.peek(place + 1 + next)? == Some(letters[1]);
            Ok(Some((if whole { 2 * slashes + 2 } else { slashes + 1 }, slashes)))
        }
        _ => Ok(None),
    }
}

/// A block of YAML.
#[derive(Clone, Copy)]
pub(super) struct Block {
    /// How far its name is indented.
    indent: usize,
    /// How many bytes there were.
    read: usize,
}

impl Block {
    pub(super) fn new(indent: usize) -> Self {
        Self { indent, read: 0 }
    }

    /// To the first line that is indented no deeper; after [`PART`] bytes, to the line's end.
    pub(super) fn run(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        loop {
            let rest = text.get(*at..).unwrap_or_default();
            let passed = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
            *at += passed;
            self.read += passed;
            if text.peek(*at)?.is_none() || self.read >= PART {
                return Ok(*at);
            }
            let spaces = text.run(*at, SPACES, |b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))?;
            let blanks =
                text[*at..*at + spaces].iter().rev().take_while(|b| matches!(b, b' ' | b'\t')).count();
            if spaces == SPACES || blanks <= self.indent || text.peek(*at + spaces)?.is_none() {
                return Ok(*at);
            }
            *at += spaces;
            self.read += spaces;
        }
    }
}

/// Line breaks and blanks between two lines of a block.
const SPACES: usize = 256;

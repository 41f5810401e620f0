//! Where the content of an element ends.

use super::super::ahead::{Known, Text};
use super::super::coding::SLASHES;
use super::quoted::delimiter_follows;

/// The content of an element that nobody closes ends with a line after so many bytes: it may have been cut off, and a log goes
/// on.
const LONG: usize = 4096;

/// How the content of an element is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Markup {
    /// It is closed: to the next tag.
    Closed,
    /// It may be what stands for a value in a text: to the next tag, the line's end, or the quote that ends the text.
    Open,
    /// To `]]>` (XML 1.0 §2.7), or, if that is cut off, the quote that ends the text.
    Data,
}

#[derive(Clone, Copy)]
pub(super) struct Content {
    markup: Markup,
    /// How many bytes there were.
    read: usize,
    /// Whether the end was seen.
    closed: Option<bool>,
}

impl Content {
    pub(super) fn new(markup: Markup) -> Self {
        Self { markup, read: 0, closed: None }
    }

    pub(super) fn run(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        loop {
            let rest = text.get(*at..).unwrap_or_default();
            let (markup, read, closed) = (self.markup, self.read, self.closed);
            let stops = |(place, byte): (usize, &u8)| match (markup, byte) {
                (Markup::Closed, b'<')
                | (Markup::Open, b'<' | b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'\\') => true,
                (Markup::Data, b']') => true,
                (Markup::Data, b'"' | b'\'' | b'`' | b'\\') => closed != Some(true),
                (_, b'\n' | b'\r') => read + place >= LONG,
                _ => false,
            };
            let passed =
                rest.iter().enumerate().position(|(place, byte)| stops((place, byte))).unwrap_or(rest.len());
            *at += passed;
            self.read += passed;
            let Some(byte) = text.peek(*at)? else { return Ok(*at) };
            let step = match (markup, byte) {
                (Markup::Data, b']') if text.starts_with(*at, b"]]>")? => return Ok(*at),
                (Markup::Data, b']') => 1,
                (Markup::Open | Markup::Data, b'"' | b'\'' | b'`') => {
                    if delimiter_follows(text, *at + 1)? && !self.goes_on(*at, text)? {
                        return Ok(*at);
                    }
                    1
                }
                (Markup::Open | Markup::Data, b'\\') => {
                    let slashes = text.run(*at, SLASHES, |b| b == b'\\')?;
                    let quote = matches!(text.peek(*at + slashes)?, Some(b'"' | b'\'' | b'`'));
                    if quote && delimiter_follows(text, *at + slashes + 1)? && !self.goes_on(*at, text)? {
                        return Ok(*at);
                    }
                    slashes + usize::from(quote)
                }
                _ => return Ok(*at),
            };
            *at += step;
            self.read += step;
        }
    }
    /// Whether CDATA are closed behind a quote at *at* that may end the text.
    fn goes_on(&mut self, at: usize, text: Text<'_>) -> Known<bool> {
        if self.markup == Markup::Open || self.closed.is_some() {
            return Ok(self.closed == Some(true));
        }
        let there = text.get(at..text.len().min(at + LONG)).unwrap_or_default();
        let closed = memchr::memmem::find(there, b"]]>").is_some();
        if !closed {
            text.need(at + LONG, |b| b != b'>')?;
        }
        self.closed = Some(closed);
        Ok(closed)
    }
}

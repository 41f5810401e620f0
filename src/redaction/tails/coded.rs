//! Where a text in quotes ends whose quotes are encoded: `%22`, `\u0022`, `&quot;`.

use super::super::ahead::{Known, Text};
use super::super::coding::{self, Coding};

/// A text in encoded quotes.
#[derive(Clone, Copy)]
pub(super) struct Quoted {
    quote: u8,
    coding: Coding,
    /// Whether the character before is a backslash that escapes what follows.
    escaped: bool,
}

impl Quoted {
    pub(super) fn new(quote: u8, coding: Coding) -> Self {
        Self { quote, coding, escaped: false }
    }

    /// To the closing quote in the same coding, or with the line; with percent-encoding, to a blank.
    pub(super) fn run(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        let Self { quote, coding, .. } = *self;
        let stops = |b: &u8| match coding {
            Coding::Percent => *b <= b' ' || *b == b'%',
            // A quote as it is ends what the escaped text stands in; a tag, what is escaped for a page.
            Coding::Escape(_) => matches!(*b, b'\n' | b'\r' | b'\\') || *b == quote,
            _ => matches!(*b, b'\n' | b'\r' | b'\\' | b'&' | b'<'),
        };
        loop {
            let rest = text.get(*at..).unwrap_or_default();
            let passed = rest.iter().position(stops).unwrap_or(rest.len());
            self.escaped &= passed == 0;
            *at += passed;
            let Some(byte) = text.peek(*at)? else { return Ok(*at) };
            let found = coding::of(text, *at, coding)?;
            match found {
                Some(found) if found.byte == quote => {
                    if !self.escaped && !found.is_inside(coding) {
                        return Ok(*at + found.beyond(coding));
                    }
                    self.escaped = false;
                }
                Some(found) => self.escaped = found.byte == b'\\' && !self.escaped,
                None if coding == Coding::Html && byte == b'\\' => self.escaped = !self.escaped,
                None if matches!(byte, b'\\' | b'%' | b'&') => self.escaped = false,
                None => return Ok(*at),
            }
            *at += match found {
                Some(found) => found.length,
                None if matches!(coding, Coding::Escape(_)) => {
                    text.run(*at, coding::SLASHES, |b| b == b'\\')?.max(1)
                }
                None => 1,
            };
        }
    }
}

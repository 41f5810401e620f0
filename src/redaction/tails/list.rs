//! Where a value of several words ends: cookies behind `=`, and the parameters of an authentication scheme.

use super::super::ahead::{Known, Text};
use super::super::coding::Coding;
use super::super::text::alnum;
use super::bare::{bare_end, ends_at};

/// What a list has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum List {
    /// `sid=1; theme=dark` (RFC 6265 §4.2.1).
    Cookies,
    /// `username="ann", response="…"` (RFC 9110 §11.2).
    Parameters,
}

#[derive(Clone, Copy)]
pub(super) struct Words {
    list: List,
    /// In a parameter's text.
    quoted: bool,
}

/// Blanks between two words.
const BLANKS: usize = 16;

impl Words {
    pub(super) fn new(list: List) -> Self {
        Self { list, quoted: false }
    }

    /// To the first word that is followed by no other of its kind.
    pub(super) fn run(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        match self.list {
            List::Cookies => loop {
                let end = bare_end(at, Coding::Plain, text)?;
                match next(text, end, b';')? {
                    Some(next) => *at = next,
                    None => return Ok(end),
                }
            },
            List::Parameters => self.parameters(at, text),
        }
    }

    fn parameters(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        loop {
            if self.quoted {
                let rest = text.get(*at..).unwrap_or_default();
                *at += memchr::memchr3(b'"', b'\n', b'\r', rest).unwrap_or(rest.len());
                if text.peek(*at)? != Some(b'"') {
                    return Ok(*at);
                }
                *at += 1;
                self.quoted = false;
            }
            let Some(byte) = text.peek(*at)? else { return Ok(*at) };
            match byte {
                // What the line began before the cut is not there any more.
                b'"' if at.checked_sub(1).and_then(|i| text.get(i)) == Some(&b'=') => {
                    self.quoted = true;
                    *at += 1;
                }
                b',' => match next(text, *at, b',')? {
                    Some(next) => *at = next,
                    None => return Ok(*at),
                },
                byte if ends_at(text, *at, byte, Coding::Plain)? => return Ok(*at),
                _ => *at += 1,
            }
        }
    }
}

/// Where the next word begins that has a name and `=`, behind *sign* at *at* and blanks.
fn next(text: Text<'_>, at: usize, sign: u8) -> Known<Option<usize>> {
    if text.peek(at)? != Some(sign) {
        return Ok(None);
    }
    let start = at + 1 + text.run(at + 1, BLANKS, |b| b == b' ')?;
    let name = text.run(start, 64, |b| alnum(b) || matches!(b, b'_' | b'-' | b'.'))?;
    let follows = name > 0 && text.peek(start + name)? == Some(b'=');
    Ok((follows && text.peek(start + name + 1)?.is_some_and(|b| b > b' ')).then_some(start))
}

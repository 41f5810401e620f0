//! Where a key in PuTTY's format ends (appendix C of its manual).

use super::super::ahead::{Known, Text};

/// How far a key of PuTTY's was read: `Public-Lines: n`, `Private-Lines: n` and `Private-MAC:` come in this order, and
/// between them anything may stand. It goes on behind a code if one of them does, as after a comment that says all of it.
#[derive(Clone, Copy)]
pub(super) struct Putty {
    part: Part,
    /// What is no key is left alone from here on.
    until: usize,
}

#[derive(Clone, Copy)]
enum Part {
    Header,
    Public,
    Private,
    /// Behind the code that ended here.
    Code(usize),
}

#[derive(Clone, Copy)]
enum Mark {
    Head,
    Public,
    Private,
    Code,
}

impl Putty {
    /// Whose first line begins before *at*.
    pub(super) fn new(at: usize) -> Self {
        Self { part: Part::Header, until: at + HEADER }
    }

    /// The same after so many bytes were cut off in front.
    pub(super) fn shift(&mut self, cut: usize) {
        self.until = self.until.saturating_sub(cut);
        if let Part::Code(end) = &mut self.part {
            *end = end.saturating_sub(cut);
        }
    }

    /// Nothing of what was read up to *at* ends before here.
    pub(super) fn least(&self, at: usize) -> usize {
        if let Part::Code(end) = self.part { end } else { at }
    }

    /// After the code in the last line, or with the text if that is cut off.
    pub(super) fn run(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        loop {
            let stop = text.len().min(self.until);
            let rest = text.get(*at..stop).unwrap_or_default();
            let Some(place) = memchr::memchr(BEGIN, rest) else {
                *at = (*at).max(stop);
                text.need(self.until, |b| b != BEGIN)?;
                return match self.part {
                    Part::Code(end) => Ok(end),
                    _ => character_end(*at, text),
                };
            };
            *at += place;
            let Some((mark, after)) = mark_at(*at, text)? else {
                *at += 1;
                continue;
            };
            (self.part, self.until) = match (mark, self.part) {
                // Another one.
                (Mark::Head, Part::Code(end)) => return Ok(end),
                (Mark::Head, _) => (Part::Header, after + HEADER),
                (Mark::Public, _) => (Part::Public, after + PUBLIC),
                (Mark::Private | Mark::Code, Part::Header) | (Mark::Code, Part::Public) => {
                    (self.part, self.until)
                }
                (Mark::Private, _) => (Part::Private, usize::MAX),
                (Mark::Code, _) => {
                    let end = after + text.run(after, CODE, |b| b.is_ascii_hexdigit())?;
                    (Part::Code(end), end + BEHIND)
                }
            };
            *at = self.least(after);
        }
    }
}

/// The mark of a key of PuTTY's that stands at *at*, and where it ends. In a query or a form, signs and blanks are escaped.
fn mark_at(at: usize, text: Text<'_>) -> Known<Option<(Mark, usize)>> {
    for (word, mark) in MARKS {
        if !text.starts_with(at, word)? {
            continue;
        }
        let mut sign = at + word.len();
        if matches!(mark, Mark::Head) {
            if !text.peek(sign)?.is_some_and(|b| b.is_ascii_digit()) {
                return Ok(None);
            }
            sign += 1;
        }
        let after = match text.peek(sign)? {
            Some(b':') => sign + 1,
            Some(b'%') if text.percent(sign)? == Some(b':') => sign + 3,
            _ => return Ok(None),
        };
        let after = skip_few_blanks(after, text)?;
        let counts = matches!(mark, Mark::Public | Mark::Private);
        return Ok(
            (!counts || text.peek(after)?.is_some_and(|b| b.is_ascii_digit())).then_some((mark, after))
        );
    }
    Ok(None)
}

fn skip_few_blanks(mut at: usize, text: Text<'_>) -> Known<usize> {
    for _ in 0..4 {
        match text.peek(at)? {
            Some(b' ' | b'\t' | b'+') => at += 1,
            Some(b'%') if matches!(text.percent(at)?, Some(b' ' | b'\t')) => at += 3,
            _ => break,
        }
    }
    Ok(at)
}

/// Not in the middle of a character.
fn character_end(mut at: usize, text: Text<'_>) -> Known<usize> {
    for _ in 0..3 {
        if text.peek(at)?.is_some_and(|b| b & 0xC0 == 0x80) {
            at += 1;
        }
    }
    Ok(at)
}

const BEGIN: u8 = b'P';
const MARKS: [(&[u8], Mark); 4] = [
    (b"Private-Lines", Mark::Private),
    (b"Private-MAC", Mark::Code),
    (b"Public-Lines", Mark::Public),
    (b"PuTTY-User-Key-File-", Mark::Head),
];

/// Of a first line alone, so much is hidden; before the public lines stands a comment of any length.
const HEADER: usize = 4 * 1024;

/// Public lines, and what is said of the passphrase, are shorter: a key of 16,384 bits has 2,800 bytes of them.
const PUBLIC: usize = 16 * 1024;

/// So much is looked at behind a code. What stands there is held back in a stream.
const BEHIND: usize = 1024;

/// So many bytes of a code are read.
const CODE: usize = 128;

//! Where a key in PuTTY's format ends (appendix C of its manual).
//!
//! 1. `Public-Lines: n`, `Private-Lines: n` and `Private-MAC:` come in this order, and between them anything may stand;
//! 2. the comment, a line before them, may say all of it. How the first line ends (as it is, as `\n` in a string, as `%0A`)
//!    says how the comment does: it is passed over to there, however long it is;
//! 3. the key ends with its code, unless one of these words stands within 1 KB behind it: then it goes on.
//!
//! # What it does not do
//! Where lines end in another way, as those that were joined with blanks, nobody can tell a comment from what follows it. So
//! one that says all three, and then 1 KB of something else, ends such a key early; and so does one of over 4 KB. The same
//! holds of a comment with `\n` in it where line ends alone were escaped, and backslashes were not.

use super::super::ahead::{Known, Text, never};

/// How far a key was read.
#[derive(Clone, Copy)]
pub(super) struct Putty {
    part: Part,
    /// What is no key is left alone from here on.
    until: usize,
}

#[derive(Clone, Copy)]
enum Part {
    /// In the first line.
    First,
    /// Behind it; before the comment, if it is known how lines end.
    Header(Option<Break>),
    /// In the comment.
    Comment(Break),
    /// Behind it.
    Commented,
    Public,
    Private,
    /// Behind the code that ended here.
    Code(usize),
}

#[derive(Clone, Copy)]
enum Mark {
    Head,
    Comment,
    Public,
    Private,
    Code,
}

/// How lines end. A line of a text as it is ends in each of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Break {
    Plain,
    /// An `n` or `r` behind so many backslashes, a power of two: twice as many are one backslash of the comment's.
    Escaped(usize),
    /// `%0A` or `%0D`.
    Percent,
}

impl Putty {
    /// Of which the first line begins before *at*.
    pub(super) fn new(at: usize) -> Self {
        Self { part: Part::First, until: at + HEADER }
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
            match self.part {
                Part::First => self.part = Part::Header(Break::of_first_line(*at, text)?),
                Part::Comment(lines) => {
                    lines.pass_line(at, text)?;
                    (self.part, self.until) = (Part::Commented, *at + HEADER);
                }
                _ => {}
            }
            let Some((mark, after)) = self.next_mark(at, text)? else {
                return match self.part {
                    Part::Code(end) => Ok(end),
                    _ => character_end(*at, text),
                };
            };
            (self.part, self.until) = match (mark, self.part) {
                // Another one.
                (Mark::Head, Part::Code(end)) => return Ok(end),
                (Mark::Head, _) => (Part::First, after + HEADER),
                (Mark::Comment, Part::Header(Some(lines))) => (Part::Comment(lines), usize::MAX),
                (Mark::Public, _) => (Part::Public, after + PUBLIC),
                (Mark::Private, part) if !matches!(part, Part::Header(_)) => (Part::Private, usize::MAX),
                (Mark::Code, Part::Private | Part::Code(_)) => {
                    let end = after + text.run(after, CODE, |b| b.is_ascii_hexdigit())?;
                    (Part::Code(end), end + BEHIND)
                }
                _ => (self.part, self.until),
            };
            *at = self.least(after);
        }
    }

    /// The next mark before `until`, and where it ends.
    fn next_mark(&self, at: &mut usize, text: Text<'_>) -> Known<Option<(Mark, usize)>> {
        let has_comment = matches!(self.part, Part::Header(Some(_)));
        loop {
            let stop = text.len().min(self.until);
            let rest = text.get(*at..stop).unwrap_or_default();
            let place =
                if has_comment { memchr::memchr2(BEGIN, COMMENT, rest) } else { memchr::memchr(BEGIN, rest) };
            let Some(place) = place else {
                *at = (*at).max(stop);
                let quiet: fn(u8) -> bool =
                    if has_comment { |b| b != BEGIN && b != COMMENT } else { |b| b != BEGIN };
                return text.need(self.until, quiet).map(|()| None);
            };
            *at += place;
            if let Some(mark) = mark_at(*at, text)? {
                return Ok(Some(mark));
            }
            *at += 1;
        }
    }
}

impl Break {
    /// How the line ends of which the name of an algorithm at *at* is the rest.
    fn of_first_line(at: usize, text: Text<'_>) -> Known<Option<Self>> {
        let at = skip_few_blanks(at, text)?;
        let name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'@' | b'.');
        let at = at + text.run(at, ALGORITHM, name)?;
        Ok(match text.peek(at)? {
            Some(b'\n' | b'\r') => Some(Self::Plain),
            Some(b'%') if matches!(text.percent(at)?, Some(b'\n' | b'\r')) => Some(Self::Percent),
            Some(b'\\') => {
                let signs = text.run(at, BACKSLASHES, |b| b == b'\\')?;
                let is_one = signs.is_power_of_two() && signs < BACKSLASHES;
                (is_one && matches!(text.peek(at + signs)?, Some(b'n' | b'r')))
                    .then_some(Self::Escaped(signs))
            }
            _ => None,
        })
    }

    /// Goes on to the end of the line, or of the text.
    fn pass_line(self, at: &mut usize, text: Text<'_>) -> Known<()> {
        let sign = match self {
            Self::Plain => b'\n',
            Self::Escaped(_) => b'\\',
            Self::Percent => b'%',
        };
        loop {
            let rest = text.get(*at..).unwrap_or_default();
            let Some(place) = memchr::memchr3(b'\n', b'\r', sign, rest) else {
                *at = (*at).max(text.len());
                return text.need(usize::MAX, never);
            };
            *at += place;
            match (self, text.peek(*at)?) {
                (Self::Escaped(most), Some(b'\\')) => {
                    let signs = text.run(*at, BACKSLASHES, |b| b == b'\\')?;
                    let is_escape = signs % (2 * most) == most && signs < BACKSLASHES;
                    if is_escape && matches!(text.peek(*at + signs)?, Some(b'n' | b'r')) {
                        return Ok(());
                    }
                    // So many at once are backslashes of the comment's alone: those behind them are read anew.
                    *at += signs;
                }
                (Self::Percent, Some(b'%')) => {
                    if matches!(text.percent(*at)?, Some(b'\n' | b'\r')) {
                        return Ok(());
                    }
                    *at += 1;
                }
                _ => return Ok(()),
            }
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
        // Blanks behind it are the comment's, and it may be of nothing else.
        if matches!(mark, Mark::Comment) {
            return Ok(Some((mark, after)));
        }
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
const COMMENT: u8 = b'C';
const MARKS: [(&[u8], Mark); 5] = [
    (b"Private-Lines", Mark::Private),
    (b"Private-MAC", Mark::Code),
    (b"Public-Lines", Mark::Public),
    (b"PuTTY-User-Key-File-", Mark::Head),
    (b"Comment", Mark::Comment),
];

/// Of a first line alone, so much is hidden; so much is looked at on both sides of the comment.
const HEADER: usize = 4 * 1024;

/// Public lines, and what is said of the passphrase, are shorter: a key of 16,384 bits has 2,800 bytes of them.
const PUBLIC: usize = 16 * 1024;

/// So much is looked at behind a code. What stands there is held back in a stream.
const BEHIND: usize = 1024;

/// So many bytes of a code are read.
const CODE: usize = 128;

/// So many bytes of an algorithm's name are read: `ecdsa-sha2-nistp521` is the longest one.
const ALGORITHM: usize = 64;

/// So many backslashes are looked at together: strings in strings in strings, five deep.
const BACKSLASHES: usize = 64;

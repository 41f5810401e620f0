//! Where a find ends of which the beginning is known.
//!
//! A find begins where enough was read to be sure of it; how long it is may be known much later, or, in a stream, when no
//! byte of it is there any more. So its end is looked for by a [`Tail`]: a reader that goes on where it stopped, remembers a
//! few numbers, and looks some 350 bytes ahead at most. A text that is there as a whole is read by the same tails at once.
//!
//! - A quoted value ends at its closing quote, at whatever depth of escaping it was opened, or with the line.
//! - A list, an object or a call ends at its closing bracket, over several lines if it was printed so.
//! - A header ends with the line, or with the quote that the header itself stands in.
//! - Any other value ends at a blank, or at a delimiter that *is* one: `&` before another `name=`, a quote
//!   or bracket before more punctuation. A password may contain any of these, so in doubt the value goes on:
//!   hiding a word too many is better than showing the rest of a password.
//! - What begins in the value of a name and goes on after it is read to its own end (`beyond.rs`).
//! - A token ends with its alphabet; a JSON Web Token after up to five such parts; a private key with its END line, or the
//!   code at its end.
//!
//! Every byte that is read here becomes part of the find, so no byte is read twice and the work stays linear. The one
//! exception, looking past a delimiter, is bounded.

use super::Quote;
use super::ahead::{Known, Text, never};
use super::text::{alnum, base64url, run};
use super::values::{Opening, opening_at, skip_blanks};

/// The rest of a find.
#[derive(Clone)]
pub(super) struct Tail {
    /// What is before it is part of the find, but for the backslashes of a closing quote.
    at: usize,
    kind: Kind,
}

#[derive(Clone)]
enum Kind {
    /// It is over.
    Ended,
    /// On through an alphabet.
    Run(fn(u8) -> bool),
    /// The parts of a token, of which this is the nth.
    Jwt(u8),
    /// To the END line.
    Pem,
    /// To the end of the code in PuTTY's last line; and whether its private lines have begun.
    Putty(bool),
    Quoted(Quoted),
    /// To an encoded quote, or a blank.
    EncodedQuote(u8),
    /// To the end of the line, as it is or escaped.
    Line,
    /// To a delimiter; encoded, if the sign before it was.
    Bare(bool),
    Bracket(Box<Bracket>),
    /// To the farther end of two.
    Both(Box<(Tail, Tail)>),
}

/// A text in quotes.
#[derive(Clone, Copy)]
struct Quoted {
    /// Backslashes directly before.
    slashes: usize,
    opening: Opening,
    /// Whether an escaped line break ends it as well.
    breaks: bool,
}

/// A list, an object or a call.
#[derive(Clone, Copy)]
struct Bracket {
    encoded: bool,
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

impl Tail {
    fn new(at: usize, kind: Kind) -> Self {
        Self { at, kind }
    }

    /// None: the end is known.
    pub(super) fn ended(end: usize) -> Self {
        Self::new(end, Kind::Ended)
    }

    pub(super) fn run_of(at: usize, alphabet: fn(u8) -> bool) -> Self {
        Self::new(at, Kind::Run(alphabet))
    }

    /// Of a token in whose *part* it begins: 1 for the header.
    pub(super) fn jwt(at: usize, part: u8) -> Self {
        Self::new(at, Kind::Jwt(part))
    }

    pub(super) fn pem(at: usize) -> Self {
        Self::new(at, Kind::Pem)
    }

    pub(super) fn putty(at: usize) -> Self {
        Self::new(at, Kind::Putty(false))
    }

    pub(super) fn quoted(at: usize, opening: Opening) -> Self {
        Self::new(at, Kind::Quoted(Quoted { opening, breaks: false, slashes: 0 }))
    }

    pub(super) fn encoded_quote(at: usize, quote: u8) -> Self {
        Self::new(at, Kind::EncodedQuote(quote))
    }

    /// Of a header: to the line's end, or to the quote that it stands in.
    pub(super) fn header(at: usize, enclosing: Option<Opening>) -> Self {
        // Never beyond the quote: a line of many such headers would be read to its end for each.
        let quoted = |opening| Kind::Quoted(Quoted { opening, breaks: true, slashes: 0 });
        Self::new(at, enclosing.map_or(Kind::Line, quoted))
    }

    pub(super) fn bare(at: usize, encoded: bool) -> Self {
        Self::new(at, Kind::Bare(encoded))
    }

    /// Of a list, an object or a call in which the name stands in *quote*.
    pub(super) fn bracket(at: usize, encoded: bool, quote: Option<Quote>) -> Self {
        let bracket = Bracket {
            encoded,
            quote,
            depth: 0,
            closed: false,
            quoted: None,
            slashes: 0,
            last: 0,
            broken: false,
            read: 0,
        };
        Self::new(at, Kind::Bracket(Box::new(bracket)))
    }

    pub(super) fn both(one: Self, other: Self) -> Self {
        Self::new(one.at, Kind::Both(Box::new((one, other))))
    }

    /// The same after so many bytes were cut off in front.
    pub(super) fn shift(&mut self, cut: usize) {
        self.at = self.at.saturating_sub(cut);
        if let Kind::Both(both) = &mut self.kind {
            both.0.shift(cut);
            both.1.shift(cut);
        }
    }

    /// Passes over what comes before *floor*.
    pub(super) fn skip_to(&mut self, floor: usize) {
        self.at = self.at.max(floor);
    }

    /// Nothing of what was read yet ends before here.
    pub(super) fn least(&self) -> usize {
        match &self.kind {
            Kind::Quoted(quoted) => self.at.saturating_sub(quoted.slashes.min(quoted.opening.slashes)),
            Kind::Bracket(bracket) => self.at.saturating_sub(bracket.slashes.min(bracket.level())),
            Kind::Both(both) => both.0.least().max(both.1.least()),
            _ => self.at,
        }
    }

    /// Reads on, and says where the find ends.
    pub(super) fn run(&mut self, text: Text<'_>) -> Known<usize> {
        let at = &mut self.at;
        let end = match &mut self.kind {
            Kind::Ended => Ok(*at),
            Kind::Run(alphabet) => {
                let rest = text.get(*at..).unwrap_or_default();
                *at += rest.iter().position(|b| !alphabet(*b)).unwrap_or(rest.len());
                text.peek(*at).map(|_| *at)
            }
            Kind::Jwt(part) => jwt(at, part, text),
            Kind::Pem => pem(at, text),
            Kind::Putty(private) => putty(at, private, text),
            Kind::Quoted(quoted) => quoted.run(at, text),
            Kind::EncodedQuote(quote) => encoded_quote_end(at, *quote, text),
            Kind::Line => line_end(at, text),
            Kind::Bare(encoded) => bare_end(at, *encoded, text),
            Kind::Bracket(bracket) => bracket.run(at, text),
            Kind::Both(both) => {
                let (one, other) = (both.0.run(text), both.1.run(text));
                if let Ok(end) = one {
                    both.0 = Self::ended(end);
                }
                if let Ok(end) = other {
                    both.1 = Self::ended(end);
                }
                *at = both.0.at.max(both.1.at);
                one.and_then(|one| other.map(|other| one.max(other)))
            }
        }?;
        *self = Self::ended(end);
        Ok(end)
    }
}

/// Up to five parts with dots. A full stop after a token is the sentence's.
fn jwt(at: &mut usize, part: &mut u8, text: Text<'_>) -> Known<usize> {
    loop {
        let rest = text.get(*at..).unwrap_or_default();
        *at += rest.iter().position(|b| !base64url(*b)).unwrap_or(rest.len());
        if text.peek(*at)? != Some(b'.') || *part >= 5 {
            return Ok(*at);
        }
        if !text.peek(*at + 1)?.is_some_and(|b| base64url(b) || b == b'.') {
            return Ok(*at);
        }
        *at += 1;
        *part += 1;
    }
}

/// What the end of a PEM block is searched for.
pub(super) const PEM_END: &[u8] = b"-----END";

/// Where *mark* stands next; none if the text ends before.
fn next(at: &mut usize, mark: &[u8], text: Text<'_>) -> Known<Option<usize>> {
    let rest = text.get(*at..).unwrap_or_default();
    let Some(place) = memchr::memmem::find(rest, mark) else {
        *at = (*at).max(text.len().saturating_sub(if text.is_whole() { 0 } else { mark.len() - 1 }));
        return text.need(usize::MAX, never).map(|()| None);
    };
    *at += place;
    Ok(Some(*at))
}

/// What the private lines of a key of PuTTY's start with, and the last line; and so many bytes of its code are read.
const PUTTY_LINES: &[u8] = b"Private-Lines:";
const PUTTY_END: &[u8] = b"Private-MAC:";
const CODE: usize = 128;

/// After the code in the last line of a key, or with the text if that is cut off.
///
/// Its comment is free text, and may speak of such a code. Behind the number of the private lines, only base64 stands.
fn putty(at: &mut usize, private: &mut bool, text: Text<'_>) -> Known<usize> {
    while !*private {
        let Some(place) = next(at, PUTTY_LINES, text)? else { return Ok(text.len()) };
        let number = place + PUTTY_LINES.len();
        let number = number + text.run(number, 4, |b| b == b' ')?;
        *private = text.peek(number)?.is_some_and(|b| b.is_ascii_digit());
        *at = number;
    }
    let Some(place) = next(at, PUTTY_END, text)? else { return Ok(text.len()) };
    let code = place + PUTTY_END.len();
    let code = code + text.run(code, 4, |b| b == b' ')?;
    Ok(code + text.run(code, CODE, |b| b.is_ascii_hexdigit())?)
}

/// After the END line of a private key, or with the text if that is cut off.
fn pem(at: &mut usize, text: Text<'_>) -> Known<usize> {
    if next(at, PEM_END, text)?.is_none() {
        return Ok(text.len());
    }
    let label = *at + PEM_END.len();
    let window = &text[label..text.len().min(label + 64)];
    match memchr::memmem::find(window, b"-----") {
        Some(dashes) => Ok(label + dashes + 5),
        None => text.need(label + 64, |b| b != b'-').map(|()| label),
    }
}

impl Quoted {
    /// To the closing quote, or with the line.
    fn run(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        let Opening { quote, slashes: level } = self.opening;
        let breaks = self.breaks;
        let stops = |b: &u8| *b == quote || matches!(*b, b'\n' | b'\r') || (breaks && *b == b'\\');
        loop {
            let rest = text.get(*at..).unwrap_or_default();
            let passed = rest.iter().position(stops).unwrap_or(rest.len());
            let slashes = rest[..passed].iter().rev().take_while(|b| **b == b'\\').count();
            self.slashes = if slashes == passed { self.slashes + slashes } else { slashes };
            *at += passed;
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
                Some(_) => return Ok(*at - level),
                None => return Ok(*at - self.slashes),
            }
            self.slashes = 0;
            *at += 1;
        }
    }
}

/// Whether what follows a closing quote in JSON, a repr or a list of arguments stands at *at*.
fn delimiter_follows(text: Text<'_>, at: usize) -> Known<bool> {
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

fn encoded_quote_end(at: &mut usize, quote: u8, text: Text<'_>) -> Known<usize> {
    while let Some(byte) = text.peek(*at)? {
        if byte <= b' ' || text.percent(*at)? == Some(quote) {
            break;
        }
        *at += 1;
    }
    Ok(*at)
}

/// Whether the backslash at *at* starts an escaped line break, with which a header in an escaped text ends; or stands
/// before what was replaced.
fn breaks_escaped(text: Text<'_>, at: usize) -> Known<bool> {
    Ok(matches!(text.peek(at + 1)?, Some(b'r' | b'n')) || text.marker(at + 1)?.is_some())
}

fn line_end(at: &mut usize, text: Text<'_>) -> Known<usize> {
    loop {
        let rest = text.get(*at..).unwrap_or_default();
        *at += memchr::memchr3(b'\n', b'\r', b'\\', rest).unwrap_or(rest.len());
        match text.peek(*at)? {
            Some(b'\\') if !breaks_escaped(text, *at)? => *at += 1,
            _ => return Ok(*at),
        }
    }
}

impl Bracket {
    /// The texts inside are in quotes with as many backslashes before them as the name's quote has.
    fn level(&self) -> usize {
        self.quote.map_or(0, |quote| usize::from(quote.slashes))
    }

    /// To the closing bracket. It goes on over a line break where printed JSON and Python have one:
    /// after an opening bracket or a comma, or before a closing bracket or a text.
    fn run(&mut self, at: &mut usize, text: Text<'_>) -> Known<usize> {
        let level = self.level();
        while let Some(raw) = text.peek(*at)? {
            if self.broken && is_space(raw) {
                *at += 1;
                self.read += 1;
                continue;
            }
            self.broken = false;
            let decoded = if self.encoded { text.percent(*at)? } else { None };
            let byte = decoded.unwrap_or(raw);
            match byte {
                0..=b' ' if self.encoded && decoded.is_none() => return Ok(*at),
                b'\n' | b'\r' if decoded.is_none() => {
                    if !(self.quoted.is_none() && self.read < PRINTED && self.goes_on(*at, text)?) {
                        return Ok(*at);
                    }
                    (self.broken, self.slashes) = (true, 0);
                    continue;
                }
                b'"' | b'\'' => match self.slashes.checked_sub(level) {
                    // The text that the name stands in ends here. An apostrophe of a lower level is only an apostrophe.
                    None if self.quote.is_some_and(|quote| quote.byte == byte) => {
                        return Ok(*at - self.slashes);
                    }
                    None => {}
                    Some(rest) if rest / (level + 1) % 2 == 1 => {}
                    Some(rest)
                        if self.quoted == Some(byte)
                            && (rest == 0 || self.encoded || delimiter_follows(text, *at + 1)?) =>
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
            let step = if decoded.is_some() { 3 } else { 1 };
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

fn bare_end(at: &mut usize, encoded: bool, text: Text<'_>) -> Known<usize> {
    *at += run(&text, *at, alnum);
    while let Some(byte) = text.peek(*at)? {
        if ends_at(text, *at, byte, encoded)? {
            break;
        }
        // A replacement inside a value is passed over whole.
        *at += if byte == b'[' { text.marker(*at)?.unwrap_or(1) } else { 1 };
    }
    Ok(*at)
}

pub(super) fn ends_at(text: Text<'_>, at: usize, byte: u8, encoded: bool) -> Known<bool> {
    let next = || Ok(text.peek(at + 1)?.unwrap_or(b' '));
    Ok(match byte {
        0..=b' ' => true,
        b'&' | b';' | b',' => {
            let next = next()?;
            next <= b' '
                || matches!(next, b')' | b']' | b'}')
                || quote_follows(text, at + 1)?
                || name_follows(text, at + 1)?
        }
        b'"' | b'\'' | b'`' | b')' | b']' | b'}' | b'>' => {
            let next = next()?;
            next <= b' ' || b"\"'`)]}>,;&.:|<\\".contains(&next)
        }
        b'<' => {
            let next = next()?;
            matches!(next, b'/' | b'!') || next.is_ascii_alphabetic() || text.marker(at + 1)?.is_some()
        }
        // `\"` closes the text that the pair stands in.
        b'\\' => quote_follows(text, at)? || text.colour(at)? > 0,
        b'%' if encoded => {
            matches!(text.percent(at)?, Some(0..=b' ' | b'&' | b';' | b',' | b'"' | b'\'' | b'#' | b'}'))
        }
        _ => false,
    })
}

/// Whether a quote stands at *at*, at whatever depth of escaping.
fn quote_follows(text: Text<'_>, at: usize) -> Known<bool> {
    let slashes = text.run(at, 8, |b| b == b'\\')?;
    Ok(matches!(text.peek(at + slashes)?, Some(b'"' | b'\'' | b'`')))
}

/// Whether `name=` or `name:` stands at *at*.
fn name_follows(text: Text<'_>, at: usize) -> Known<bool> {
    let length = text.run(at, 64, |b| alnum(b) || matches!(b, b'_' | b'-' | b'.' | b'[' | b']'))?;
    let sign = match text.peek(at + length)? {
        Some(b'%') => text.percent(at + length)?,
        sign => sign,
    };
    Ok(length > 0 && matches!(sign, Some(b'=' | b':')))
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tail({})", self.at)
    }
}

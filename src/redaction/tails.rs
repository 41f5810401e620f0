//! Where a find ends of which the beginning is known.
//!
//! A find begins where enough was read to be sure of it; how long it is may be known much later, or, in a stream, when no
//! byte of it is there any more. So its end is looked for by a [`Tail`]: a reader that goes on where it stopped, remembers a
//! few numbers, and looks some 350 bytes ahead at most; behind a key of PuTTY's, 1 KB; where CDATA or a part may be cut off, 4 KB. A text that is there as a whole is
//! read by the same tails at once.
//!
//! - A quoted value ends at its closing quote, at whatever depth of escaping it was opened, or with the line.
//! - A list, an object or a call ends at its closing bracket, over several lines if it was printed so.
//! - What is in encoded quotes or brackets ends at one in the same coding (`coded.rs`).
//! - A part of a multipart body ends at its boundary, a block of YAML where a line is indented no deeper (`lines.rs`).
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

mod bare;
mod bracket;
mod coded;
mod content;
mod keys;
mod lines;
mod list;
mod putty;
mod quoted;

use super::Quote;
use super::ahead::{Known, Text};
use super::coding::Coding;
use super::values::Opening;
use bare::bare_end;
use bracket::Bracket;
use content::Content;
use keys::{jwt, pem};
use lines::{Block, Part};
use putty::Putty;
use quoted::{Quoted, line_end};

pub(super) use bare::{ends_at, name_follows};
pub(super) use content::Markup;
pub(super) use keys::PEM_END;
pub(super) use lines::line_break;
pub(super) use list::List;
pub(super) use quoted::delimiter_follows;

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
    /// To the end of the code in PuTTY's last line.
    Putty(Putty),
    Quoted(Quoted),
    /// To an encoded quote.
    Coded(coded::Quoted),
    /// Several words.
    List(list::Words),
    /// To the end of the line, as it is or escaped.
    Line,
    /// To a delimiter, in the coding of the sign before it.
    Bare(Coding),
    Bracket(Box<Bracket>),
    /// Of an element.
    Content(Content),
    /// Of a multipart body, to its boundary.
    Part(Part),
    /// To a line that is indented no deeper.
    Block(Block),
    /// To the farther end of two.
    Both(Box<(Tail, Tail)>),
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
        Self::new(at, Kind::Putty(Putty::new(at)))
    }

    pub(super) fn quoted(at: usize, opening: Opening) -> Self {
        Self::new(at, Kind::Quoted(Quoted::new(opening, false)))
    }

    /// In which doubled quotes, and those that a shell puts together, are one.
    pub(super) fn text(at: usize, opening: Opening) -> Self {
        Self::new(at, Kind::Quoted(Quoted::text(opening)))
    }

    pub(super) fn coded(at: usize, quote: u8, coding: Coding) -> Self {
        Self::new(at, Kind::Coded(coded::Quoted::new(quote, coding)))
    }

    /// Of a header: to the line's end, or to the quote that it stands in.
    pub(super) fn header(at: usize, enclosing: Option<Opening>) -> Self {
        // Never beyond the quote: a line of many such headers would be read to its end for each.
        let quoted = |opening| Kind::Quoted(Quoted::new(opening, true));
        Self::new(at, enclosing.map_or(Kind::Line, quoted))
    }

    pub(super) fn bare(at: usize, coding: Coding) -> Self {
        Self::new(at, Kind::Bare(coding))
    }

    /// Of a list of words.
    pub(super) fn list(at: usize, list: List) -> Self {
        Self::new(at, Kind::List(list::Words::new(list)))
    }

    /// Of a list, an object or a call in which the name stands in *quote*.
    pub(super) fn bracket(at: usize, coding: Coding, quote: Option<Quote>) -> Self {
        Self::new(at, Kind::Bracket(Box::new(Bracket::new(coding, quote))))
    }

    /// Of an element's content.
    pub(super) fn content(at: usize, markup: Markup) -> Self {
        Self::new(at, Kind::Content(Content::new(markup)))
    }

    /// Of a multipart body with so many backslashes before the letters of its line breaks.
    pub(super) fn part(at: usize, slashes: usize) -> Self {
        Self::new(at, Kind::Part(Part::new(slashes)))
    }

    /// Of lines that are indented deeper than *indent*.
    pub(super) fn block(at: usize, indent: usize) -> Self {
        Self::new(at, Kind::Block(Block::new(indent)))
    }

    pub(super) fn both(one: Self, other: Self) -> Self {
        Self::new(one.at, Kind::Both(Box::new((one, other))))
    }

    /// The same after so many bytes were cut off in front.
    pub(super) fn shift(&mut self, cut: usize) {
        self.at = self.at.saturating_sub(cut);
        match &mut self.kind {
            Kind::Putty(key) => key.shift(cut),
            Kind::Both(both) => {
                both.0.shift(cut);
                both.1.shift(cut);
            }
            _ => {}
        }
    }

    /// Passes over what comes before *floor*.
    pub(super) fn skip_to(&mut self, floor: usize) {
        self.at = self.at.max(floor);
    }

    /// Nothing of what was read yet ends before here.
    pub(super) fn least(&self) -> usize {
        match &self.kind {
            Kind::Quoted(quoted) => self.at.saturating_sub(quoted.closing()),
            Kind::Bracket(bracket) => self.at.saturating_sub(bracket.closing()),
            Kind::Putty(key) => key.least(self.at),
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
            Kind::Putty(key) => key.run(at, text),
            Kind::Quoted(quoted) => quoted.run(at, text),
            Kind::Coded(quoted) => quoted.run(at, text),
            Kind::List(words) => words.run(at, text),
            Kind::Line => line_end(at, text),
            Kind::Bare(coding) => bare_end(at, *coding, text),
            Kind::Bracket(bracket) => bracket.run(at, text),
            Kind::Content(content) => content.run(at, text),
            Kind::Part(part) => part.run(at, text),
            Kind::Block(block) => block.run(at, text),
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

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Tail({})", self.at)
    }
}

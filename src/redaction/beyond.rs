//! What begins inside the value of a name and goes on after it.
//!
//! A bare value ends at a blank, a quoted one at the latest with its line: but a card's number has blanks, and a private key
//! has lines. So when the end of such a value is known, what begins in it is looked for once more, and the find takes the
//! longer of the two. Looked for are, in this order:
//! 1. what goes on after a bracket of its own: `{a}b`, `${a}:b`;
//! 2. what literals are for: private keys, `Bearer` and `Basic`, the developer's own;
//! 3. card numbers, and identifiers if they were selected;
//! 4. a name whose sign is the value's last byte, or comes after blanks: `secret: password: …`, `token: Token = …`.
//!
//! What is found so is part of the value, and goes on by the same rule. A value that its quote closes is whole.
//! Tokens by prefix are not looked for: they have no bytes at which a value ends.
//!
//! Only the last [`WINDOW`] bytes of a value are read again, and at most once for each part of it, so the work stays linear.
//! A private key may begin long before its value ends, with a first line of any length: that one has is remembered as the
//! value is read ([`Key`]).

use super::ahead::{Known, More, Text, never};
use super::coding::{self, Coding};
use super::scan::Engine;
use super::tails::{PEM_END, Tail, ends_at};
use super::text::alnum;
use super::{Finding, shapes};

/// How much of a value's end is read again. A BEGIN line is shorter, and what is cut off of a stream is longer ago.
pub(super) const WINDOW: usize = 96;

/// A card's first groups are within so many bytes before a blank in it.
const GROUPS: usize = 40;

/// Blanks between a name and its sign.
const BLANKS: usize = 16;

impl Engine {
    /// The tail of what begins inside *value* and goes on after its end. What identifies a person is told by what stands
    /// before it, but nothing before *floor*, where the *last* find ended. Whether a private *key* has begun in it is known.
    pub(super) fn beyond(
        &self,
        text: Text<'_>,
        value: &Finding,
        key: bool,
        floor: usize,
        last: Option<&Finding>,
    ) -> Known<Option<Tail>> {
        let Some(after) = text.peek(value.end)? else { return Ok(None) };
        if matches!(after, b'"' | b'\'' | b'`') {
            return Ok(None);
        }
        let mut farthest = bracket_beyond(text, value, after)?;
        let mut add = |tail: Option<Tail>| {
            farthest = match (farthest.take(), tail) {
                (Some(one), Some(other)) => Some(Tail::both(one, other)),
                (one, other) => one.or(other),
            };
        };
        add((key && is_broken(text, value)).then(|| Tail::pem(value.end)));
        add(self.literal_beyond(text, value)?);
        if after == b' ' {
            add(self.card_beyond(text, value)?);
        }
        add(self.number_beyond(text, value, floor, last)?);
        add(self.name_beyond(text, value)?);
        Ok(farthest)
    }

    fn literal_beyond(&self, text: Text<'_>, value: &Finding) -> Known<Option<Tail>> {
        let literals = self.literals();
        // Where the developer's match may begin before its literal.
        let stop = value.end + self.lead();
        let there = &text[..text.len().min(stop + literals.longest())];
        let mut at = value.start.max(value.end.saturating_sub(WINDOW));
        loop {
            let begun = if text.is_whole() { usize::MAX } else { literals.begun(there, at) };
            let Some((place, index)) = literals.next(there, at).filter(|(place, _)| *place < stop.min(begun))
            else {
                // One may have begun that is not there to its end.
                let known = text.is_whole() || begun >= stop;
                return if known { Ok(None) } else { Err(More::until(text.len() + 1, never)) };
            };
            if let Some(find) = self.first(self.rows(index), text, place, value.start, &mut 0)? {
                let key = find.finding.entity == "PRIVATE_KEY";
                // Asked first: where a key ends is looked for to the text's end, and not for each of many closed values.
                if (!key || is_broken(text, value))
                    && let Some(tail) = goes_on(text, find.tail, value.end)?
                {
                    return Ok(Some(tail));
                }
            }
            at = place + 1;
        }
    }

    /// The card of which a group ends with the value.
    fn card_beyond(&self, text: Text<'_>, value: &Finding) -> Known<Option<Tail>> {
        let digit = |at: usize| text.get(at).is_some_and(u8::is_ascii_digit);
        if !self.has_cards()
            || !digit(value.end - 1)
            || !text.peek(value.end + 1)?.is_some_and(|b| b.is_ascii_digit())
        {
            return Ok(None);
        }
        for at in value.start.max(value.end.saturating_sub(GROUPS))..value.end {
            let starts = digit(at) && (at == value.start || !digit(at - 1));
            if starts
                && let (Some(card), _) = shapes::card_at(text, at, value.start)?
                && card.end > value.end
            {
                return Ok(Some(Tail::ended(card.end)));
            }
        }
        Ok(None)
    }

    fn number_beyond(
        &self,
        text: Text<'_>,
        value: &Finding,
        floor: usize,
        last: Option<&Finding>,
    ) -> Known<Option<Tail>> {
        let Some(identifiers) = self.identifiers() else { return Ok(None) };
        let mut at = value.start;
        if value.end - at > WINDOW {
            at = value.end - WINDOW;
            // Not in the middle of a word.
            at += text[at..value.end].iter().take_while(|b| alnum(**b)).count();
        }
        while let Some(next) = identifiers.next(&text, at).filter(|next| *next < value.end) {
            at = match self.number(text, next, floor, last)? {
                Ok(number) if number.end > value.end => return Ok(Some(Tail::ended(number.end))),
                Ok(number) => number.end,
                Err(after) => after,
            };
        }
        Ok(None)
    }

    /// The value of a name that the value ends with.
    fn name_beyond(&self, text: Text<'_>, value: &Finding) -> Known<Option<Tail>> {
        let mut sign = value.end - 1;
        if !matches!(text[sign], b'=' | b':') {
            let blanks = text.run(value.end, BLANKS, |b| matches!(b, b' ' | b'\t'))?;
            sign = value.end + blanks;
            if blanks == 0 || !matches!(text.peek(sign)?, Some(b'=' | b':')) {
                return Ok(None);
            }
        }
        let found = self.sign(text, sign, value.start)?;
        found.map_or(Ok(None), |find| goes_on(text, find.tail, value.end))
    }
}

/// Whether a value was only broken off where it ends, and not closed: its lines go on.
fn is_broken(text: Text<'_>, value: &Finding) -> bool {
    let after = text.get(value.end).copied().unwrap_or(b' ');
    let closed = matches!(text[value.end - 1], b']' | b'}' | b')') || after > b' ';
    !closed || after == b'\\'
}

/// Whether a private key has begun in a value, as far as it was read, and is not over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    at: usize,
    open: bool,
}

impl Key {
    /// In a value that begins at *at*.
    pub(super) fn within(at: usize) -> Self {
        Self { at, open: false }
    }

    pub(super) fn is_open(self) -> bool {
        self.open
    }

    /// The same after so many bytes were cut off in front.
    pub(super) fn shift(&mut self, cut: usize) {
        self.at = self.at.saturating_sub(cut);
    }

    /// Reads on, up to *end*. Less than [`WINDOW`] bytes are left to be read again.
    pub(super) fn read(&mut self, text: Text<'_>, end: usize) {
        while let Some(rest) = text.get(self.at..end) {
            let mark = if self.open { PEM_END } else { BEGIN };
            let Some(place) = memchr::memmem::find(rest, mark) else {
                self.at = self.at.max((end + 1).saturating_sub(mark.len()));
                return;
            };
            let after = place + mark.len();
            if self.open {
                (self.at, self.open) = (self.at + after, false);
                continue;
            }
            let label = &rest[after..];
            let length = label
                .iter()
                .take(LABEL)
                .take_while(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || **b == b' ')
                .count();
            let (name, dashes) = label.split_at(length);
            if dashes.len() < DASHES.len() && DASHES.starts_with(dashes) && length < LABEL {
                self.at += place;
                return;
            }
            let names =
                [b"PRIVATE KEY".as_slice(), b"PRIVATE KEY BLOCK"].iter().any(|end| name.ends_with(end));
            self.open = names && dashes.starts_with(DASHES);
            self.at += after + if self.open { length + DASHES.len() } else { 0 };
        }
    }
}

/// How the first line of a private key begins (RFC 7468), and what is round its label, which has at most so many bytes.
const BEGIN: &[u8] = b"-----BEGIN ";
const DASHES: &[u8] = b"-----";
const LABEL: usize = 57;

/// `[a b]c`, `${a}:b`: what goes on after a bracket of its own. In JSON, nothing does.
fn bracket_beyond(text: Text<'_>, value: &Finding, after: u8) -> Known<Option<Tail>> {
    if value.quote.is_some() {
        return Ok(None);
    }
    let open = match after {
        b']' => b'[',
        b'}' => b'{',
        b')' => b'(',
        _ => {
            let closed = matches!(text[value.end - 1], b']' | b'}' | b')');
            let over = !closed
                || ends_at(text, value.end, after, Coding::Plain)?
                || (after == b',' && coding::at(text, value.end + 1)?.is_some_and(|found| found.is_quote()));
            return Ok((!over).then(|| Tail::bare(value.end, Coding::Plain)));
        }
    };
    let inside = &text[value.start.max(value.end.saturating_sub(WINDOW))..value.end];
    let count = |byte: u8| inside.iter().filter(|b| **b == byte).count();
    Ok((count(open) > count(after)).then(|| Tail::bare(value.end + 1, Coding::Plain)))
}

/// *tail*, if it ends after *end*.
fn goes_on(text: Text<'_>, mut tail: Tail, end: usize) -> Known<Option<Tail>> {
    match tail.run(text) {
        Ok(reached) if reached <= end => Ok(None),
        // It may have ended before, which what it looks ahead for will tell.
        Err(more) if tail.least() <= end => Err(more),
        _ => Ok(Some(tail)),
    }
}

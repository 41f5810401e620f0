//! Decides which numbers and addresses identify a person: national numbers, accounts, telephones, hosts, wallets.
//!
//! All of it is off unless it is selected, by entity (`Options::entities`). In order, at each place where a
//! number may start:
//! 1. addresses in the network (`network.rs`), wallets (`wallets.rs`) and bank accounts (`iban.rs`), each with its
//!    own check;
//! 2. the table's forms (`table.rs`, `forms.rs`): a strong form by itself, any other after a word of its row
//!    (`context.rs`);
//! 3. telephone numbers (`phones.rs`).
//!
//! Nearly all places are passed over before that, by the look of a run and what follows it (`starts.rs`).
//!
//! A find is a whole number: no letter or digit goes on at either end, nor a group of digits that is joined to it
//! by `-`, `.` or `/`. So nothing is found in UUIDs, hashes, decimal fractions, versions and most timestamps.
//!
//! # What it does not do
//! It knows rules, not registers: a number that keeps its issuer's rules counts, whether it was issued or not. A
//! number without check digits counts only after its word. Dates, names, streets and number plates are not found.
//!
//! # Why it is linear
//! Each run of letters and digits is looked at once (`starts.rs`), some 190 bytes ahead, and passed over if no selected row
//! may begin with it. A try at one that is left reads at most about a hundred bytes ahead and 64 back.

mod americas;
mod arithmetic;
mod asia_pacific;
mod context;
mod europe;
mod everywhere;
mod forms;
mod iban;
mod mediterranean;
mod network;
mod north_and_baltic;
mod phones;
mod starts;
mod table;
mod wallets;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod unannounced;

use context::{Further, Words};
use forms::Forms;
pub(super) use starts::Block;
pub(super) use table::{Row, rows};

use super::Finding;
use super::ahead::{Known, Text, any};
use super::text::{alnum, colour_before, colour_digits, is_marker, percent, run};
use crate::error::ConfigError;

/// The selected rows, compiled.
pub(super) struct Identifiers {
    rows: Vec<&'static Row>,
    forms: Forms,
    words: Words,
    selected: Selected,
}

/// The selected rows that have no forms, by their place among the selected.
#[derive(Default)]
struct Selected {
    crypto: Option<usize>,
    iban: bool,
    ip: bool,
    mac: bool,
    phone: Option<usize>,
}

/// Where a number may start, and what is known about the place.
struct Place<'t> {
    text: &'t [u8],
    /// The first byte of the number.
    start: usize,
    /// The end of the run of letters and digits that it starts with.
    end: usize,
}

impl Identifiers {
    /// The rows of *entities*, or none if that is empty. What is none of ours is passed over. *further* has words beside
    /// those of the rows, by entity.
    ///
    /// # Errors
    /// If the words cannot be searched for, or announce nothing that is looked for.
    pub(super) fn new(entities: &[&str], further: Further<'_>) -> Result<Option<Self>, ConfigError> {
        let rows: Vec<&'static Row> = rows().filter(|row| entities.contains(&row.entity)).collect();
        context::check(&rows, further)?;
        if rows.is_empty() {
            return Ok(None);
        }
        let place = |entity: &str| rows.iter().position(|row| row.entity == entity);
        let selected = Selected {
            crypto: place("CRYPTO"),
            iban: place("IBAN_CODE").is_some(),
            ip: place("IP_ADDRESS").is_some(),
            mac: place("MAC_ADDRESS").is_some(),
            phone: place("PHONE_NUMBER"),
        };
        Ok(Some(Self { forms: Forms::new(&rows), words: Words::new(&rows, further)?, rows, selected }))
    }

    /// What can be found, in the table's order.
    pub(super) fn entities(&self) -> impl Iterator<Item = &'static str> {
        self.rows.iter().map(|row| row.entity)
    }

    /// The next place from *from* on where a number may start: a run of letters and digits, or a sign before one.
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<usize> {
        let may_start = |b: &u8| alnum(*b) || matches!(*b, b'+' | b'(' | b':');
        text.get(from..)?.iter().position(may_start).map(|i| from + i)
    }

    /// Whether enough is there of what begins at *at* to find what it is.
    ///
    /// # Errors
    /// How much is needed, if it is not.
    pub(super) fn settle(&self, text: Text<'_>, at: usize) -> Known<()> {
        if text.is_whole() {
            return Ok(());
        }
        let before = at.checked_sub(1).and_then(|i| text.get(i));
        if matches!(before, Some(b'%' | b'\\' | b'[' | b';')) {
            // The tail of an escape, or of a colour's code, is passed over first.
            return text.need(at + ESCAPE + REACH, any);
        }
        if text.get(at).is_some_and(u8::is_ascii_alphabetic) {
            let length = text.run(at, RUN, alnum)?;
            let letters = text[at..at + length].iter().all(u8::is_ascii_alphabetic);
            let joint = text.peek(at + length)?;
            let word = letters && length < wallets::SHORTEST && !matches!(joint, Some(b':' | b'-' | b'.'));
            if word && !self.forms.begins_with_letters(text, at)? {
                return Ok(());
            }
        }
        let goes_on = |b: u8| alnum(b) || b" -./:()+%[_".contains(&b);
        text.run(at, REACH, goes_on).map(|_| ())
    }

    /// The identifier that starts at *at*, or the place after which to look for the next.
    ///
    /// Nothing before *floor* is read; *last* is the find before, which a list may go on with.
    pub(super) fn find(
        &self,
        text: &[u8],
        at: usize,
        floor: usize,
        last: Option<&Finding>,
    ) -> Result<Finding, usize> {
        let mut start = at;
        if text.get(at).is_some_and(|b| alnum(*b)) {
            let (skipped, plus) = escape(text, at, floor);
            if plus && let Some(found) = self.plus(text, at - 1, at + 2) {
                return Ok(found);
            }
            start += skipped;
        }
        // A colour's code may go on after the run that it starts in: `1;32m`.
        let end = start + run(&text[..text.len().min(start + RUN)], start, alnum);
        let after = end.max(at + 1);
        if !opens(text, start, floor) {
            return Err(after);
        }
        match text.get(start) {
            Some(b'+') => self.plus(text, start, start + 1).ok_or(after),
            Some(_) => {
                let place = Place { text, start, end };
                self.at(&place, floor, last).ok_or(after)
            }
            None => Err(after),
        }
    }

    fn at(&self, place: &Place<'_>, floor: usize, last: Option<&Finding>) -> Option<Finding> {
        let Place { text, start, .. } = *place;
        let context = || self.words.before(text, start, floor, last);
        if self.selected.mac
            && let Some(found) = network::mac(place)
        {
            return Some(found);
        }
        if self.selected.ip
            && let Some(found) = network::ip(place, floor)
        {
            return Some(found);
        }
        if text[start] == b':' {
            return None;
        }
        if let Some(index) = self.selected.crypto {
            let announced = || context().distance(index, self.rows[index]).is_some();
            if let Some(found) = wallets::find(place, announced) {
                return Some(found);
            }
        }
        if self.selected.iban
            && let Some(found) = iban::find(place)
        {
            return Some(found);
        }
        // A word has no digit in or after it: most places end here.
        let window = &text[start..text.len().min(start + HEAD)];
        if !window.iter().any(u8::is_ascii_digit) {
            return None;
        }
        if let Some(found) = self.forms.find(&self.rows, text, start, context) {
            return Some(found);
        }
        let index = self.selected.phone?;
        let announced = || context().distance(index, self.rows[index]).is_some_and(|d| d <= phones::REACH);
        phones::national(place, announced)
    }

    /// A telephone number with its country's code, after a `+` (or `%2B`) that ends before *from*.
    fn plus(&self, text: &[u8], start: usize, from: usize) -> Option<Finding> {
        self.selected.phone?;
        phones::international(text, start, from)
    }
}

/// Where the bank account (IBAN) at *start* ends, if there is one.
pub(super) fn account_end(text: &[u8], start: usize) -> Option<usize> {
    let end = start + run(text, start, alnum);
    iban::find(&Place { text, start, end }).map(|found| found.end)
}

/// The bytes of an escape that a run starts with, as the `n` of `\n` and the `20` of `%20`; and whether it is
/// a plus sign's.
fn escape(text: &[u8], at: usize, floor: usize) -> (usize, bool) {
    let Some(before) = at.checked_sub(1).filter(|before| *before >= floor) else { return (0, false) };
    let hex =
        |from: usize, most: usize| run(&text[..text.len().min(from + most)], from, |b| b.is_ascii_hexdigit());
    match (text[before], text[at]) {
        (b'%', _) if hex(at, 2) == 2 => (2, percent(text, before) == Some(b'+')),
        (b'\\', b'n' | b'r' | b't' | b'b' | b'f') => (1, false),
        (b'\\', b'x') => (1 + hex(at + 1, 2), false),
        (b'\\', b'u') => (1 + hex(at + 1, 4), false),
        _ => (colour_end(text, at, floor), false),
    }
}

/// How many bytes of the run are the end of a terminal's colour code: the `32m` of `ESC [ 1 ; 32 m`.
fn colour_end(text: &[u8], at: usize, floor: usize) -> usize {
    let digits = colour_digits(&text[at..]);
    let end = at + digits + 1;
    if text.get(end - 1) == Some(&b'm') && colour_before(&text[floor..end]) > digits { digits + 1 } else { 0 }
}

/// No number has more letters and digits in a row. What has is passed over, piece by piece.
const RUN: usize = 128;

/// Nothing is read beyond so many bytes after a number's start.
const REACH: usize = 192;

/// An escape, or a colour's code, is shorter.
const ESCAPE: usize = 24;

/// Every form has a digit among this many bytes at its start, if it is one of a number that has letters alone there.
const HEAD: usize = 18;

/// Whether a number may start at *start*: it is not what goes on after a digit or letter and a joint.
fn opens(text: &[u8], start: usize, floor: usize) -> bool {
    let back = |n: usize| start.checked_sub(n).filter(|i| *i >= floor).and_then(|i| text.get(i)).copied();
    let (Some(before), further) = (back(1), back(2).unwrap_or(b' ')) else { return true };
    match (text.get(start), before) {
        // A colon stands for nothing before an address, a plus for nothing in a sum.
        (Some(b'+' | b':' | b'('), _) => !alnum(before) && !matches!(before, b'+' | b':'),
        (_, b'-' | b'.' | b'~' | b'+') => !alnum(further),
        (_, b'/' | b':') => !further.is_ascii_digit(),
        // A run is tried as a whole: only after an escape does a number start inside one.
        _ => true,
    }
}

/// Whether a number may end at *end*: no letter or digit goes on, no joint with one, and no host of an address.
fn closes(text: &[u8], end: usize) -> bool {
    let after = |n: usize| text.get(end + n).copied().unwrap_or(b' ');
    match after(0) {
        byte if alnum(byte) => false,
        b'@' => false,
        // What is hidden next to it was a part of it before it was hidden.
        b'[' => !is_marker(&text[end..]),
        b'-' | b'.' | b'/' | b':' if text.get(end + 1..).is_some_and(is_marker) => false,
        b'-' => !alnum(after(1)),
        b'.' | b'/' => !after(1).is_ascii_digit(),
        _ => true,
    }
}

/// The entity whose name shares the most pairs of letters with *unknown*.
pub(super) fn nearest<'a>(unknown: &str, entities: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let wanted = unknown.to_ascii_uppercase();
    let pairs = |text: &str| text.as_bytes().windows(2).map(<[u8]>::to_vec).collect::<Vec<_>>();
    let wanted = pairs(&wanted);
    let shared = |entity: &str| pairs(entity).iter().filter(|pair| wanted.contains(pair)).count();
    let best = entities.max_by_key(|entity| (shared(entity), std::cmp::Reverse(entity.len())))?;
    (2 * shared(best) > wanted.len()).then_some(best)
}

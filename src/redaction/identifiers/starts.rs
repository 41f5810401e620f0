//! Passes over the places where no identifier starts: nearly all of a text, and told by a look at a few bytes.
//!
//! A run of letters and digits is classed once: by its length, by whether it has digits, letters or both, and by what
//! follows it. A table says which forms begin so ([`Forms::may_begin`](super::forms::Forms::may_begin)); hosts, wallets, accounts and telephones have a rule each. What is
//! passed over is what would be refused; what is not passed over is still to be decided. Nothing else is decided here, and
//! no word is looked for.

use super::forms::Run;
use super::{Identifiers, RUN, opens, wallets};
use crate::redaction::ahead::Text;
use crate::redaction::marks::{LOW, gather};

/// What 64 bytes of a text are, as bits: looked at once for all runs in them.
#[derive(Default)]
pub(in crate::redaction) struct Block {
    base: usize,
    /// Letters, digits, and signs that stand before a number.
    starts: u64,
    alnum: u64,
    digits: u64,
    known: bool,
}

const BLOCK: usize = 64;

impl Block {
    /// The block that has the place *at*.
    #[inline]
    fn load(&mut self, text: &[u8], at: usize) {
        let base = at / BLOCK * BLOCK;
        if self.known && self.base == base {
            return;
        }
        let rest = text.get(base..).unwrap_or_default();
        let mut padded = [0; BLOCK];
        let block = rest.first_chunk().unwrap_or_else(|| {
            padded[..rest.len()].copy_from_slice(rest);
            &padded
        });
        let mut kinds = [0u8; BLOCK];
        for (kind, &byte) in kinds.iter_mut().zip(block) {
            let digit = byte.wrapping_sub(b'0') < 10;
            let alnum = digit | ((byte | 0x20).wrapping_sub(b'a') < 26);
            let sign = (byte == b'+') | (byte == b'(') | (byte == b':');
            *kind = u8::from(digit) | u8::from(alnum) << 1 | u8::from(alnum | sign) << 2;
        }
        *self = Self { base, known: true, ..Self::default() };
        for (i, word) in kinds.as_chunks::<8>().0.iter().enumerate() {
            let word = u64::from_le_bytes(*word);
            self.digits |= gather(word & LOW) << (8 * i);
            self.alnum |= gather(word >> 1 & LOW) << (8 * i);
            self.starts |= gather(word >> 2 & LOW) << (8 * i);
        }
    }

    /// The next place from *from* on where a number may start, as [`Identifiers::next`] says.
    #[inline]
    fn next(&mut self, text: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        while at < text.len() {
            self.load(text, at);
            let starts = self.starts >> (at - self.base);
            if starts != 0 {
                return Some(at + starts.trailing_zeros() as usize);
            }
            at = self.base + BLOCK;
        }
        None
    }

    /// The run that starts at *at*, in the block that was looked at last.
    #[inline]
    fn run(&self, text: &[u8], at: usize) -> Run {
        let place = at - self.base;
        let length = (!(self.alnum >> place)).trailing_zeros() as usize;
        if place + length >= BLOCK {
            // It may go on.
            return Run::of(&text[at..]);
        }
        Run::new(length, self.digits >> place & !(u64::MAX << length))
    }
}

impl Identifiers {
    /// The next place from *from* on where an identifier may start, or the first at or after *limit* where a number may.
    ///
    /// Nothing before *floor* is read. Each run is looked at once, if *from* is after it the next time.
    pub(in crate::redaction) fn next_likely(
        &self,
        text: Text<'_>,
        from: usize,
        limit: usize,
        floor: usize,
        block: &mut Block,
    ) -> Option<usize> {
        let mut from = from;
        loop {
            let at = block.next(&text, from)?;
            if at >= limit || (!text.is_whole() && at + AHEAD > text.len()) {
                return Some(at);
            }
            match self.beyond(&text, at, floor, block) {
                Some(next) => from = next,
                None => return Some(at),
            }
        }
    }

    /// Where to go on, if nothing starts at *at*: a run's first byte, or *floor* inside a run.
    #[inline]
    fn beyond(&self, text: &[u8], at: usize, floor: usize, block: &Block) -> Option<usize> {
        let after = |n: usize| text.get(at + n).copied().unwrap_or(b' ');
        match after(0) {
            b'+' => return None,
            // An address begins with both of its colons, a form or a telephone number with a digit in brackets.
            b':' => return (after(1) != b':').then_some(at + 1),
            b'(' => return (!matches!(after(1), b'0'..=b'9' | b')')).then_some(at + 1),
            _ => {}
        }
        // After an escape, or a colour's code, a number starts inside the run.
        let before = at.checked_sub(1).and_then(|i| text.get(i));
        if matches!(before, Some(b'%' | b'\\' | b'[' | b';')) {
            return None;
        }
        let run = block.run(text, at);
        if run.length >= RUN {
            return None;
        }
        let end = at + run.length;
        // Most runs are words.
        if run.length < wallets::SHORTEST
            && !matches!(text.get(end), Some(b':' | b'.' | b'-'))
            && self.forms.is_word(text, end, &run)
        {
            return Some(end);
        }
        let refused = !opens(text, at, floor)
            || !(self.may_be_host(text, at, &run)
                || (self.selected.crypto.is_some() && run.length >= wallets::SHORTEST)
                || (self.selected.iban && begins_account(&text[at..end]))
                || self.forms.may_begin(text, at, &run)
                || (self.selected.phone.is_some() && may_be_telephone(text, end, &run)));
        refused.then_some(end)
    }

    /// An address in the network, or a hardware address.
    #[inline]
    fn may_be_host(&self, text: &[u8], at: usize, run: &Run) -> bool {
        let end = at + run.length;
        let joint = text.get(end).copied().unwrap_or(b' ');
        if run.length > 4 || !matches!(joint, b':' | b'.' | b'-') {
            return false;
        }
        let goes_on = text.get(end + 1).is_some_and(|b| b.is_ascii_hexdigit() || *b == b':');
        let hex = || text[at..end].iter().all(u8::is_ascii_hexdigit);
        match joint {
            b':' => (self.selected.ip || self.selected.mac) && goes_on && hex(),
            b'.' => {
                let v4 = self.selected.ip && run.length <= 3 && !run.has_letters();
                goes_on && (v4 || (self.selected.mac && run.length == 4 && hex()))
            }
            _ => self.selected.mac && run.length == 2 && goes_on && hex(),
        }
    }
}

/// Whether it starts as a bank account's number does: a country and two digits.
#[inline]
fn begins_account(run: &[u8]) -> bool {
    matches!(run, [a, b, c, d, ..] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() && c.is_ascii_digit() && d.is_ascii_digit())
}

/// Whether a telephone number without its country's code may begin with the run that ends at *end*: seven digits, or
/// fewer and more of them after a joint.
#[inline]
fn may_be_telephone(text: &[u8], end: usize, run: &Run) -> bool {
    let after = |n: usize| text.get(end + n).copied().unwrap_or(b'_');
    let goes_on = || match after(0) {
        b'(' => true,
        b' ' | b'-' | b'.' | b'/' => after(1).is_ascii_digit() || after(1) == b'(',
        _ => false,
    };
    !run.has_letters() && (run.length >= 7 || goes_on()) && !is_day(text, end, run)
}

/// Whether the run is the year of a day, `2026-11-29`, and no more digits follow that a telephone number may go on with.
#[inline]
fn is_day(text: &[u8], end: usize, run: &Run) -> bool {
    let rest = text.get(end..).and_then(|rest| rest.first_chunk::<7>());
    run.length == 4
        && rest.is_some_and(|[first, a, b, second, c, d, after]| {
            *first == b'-'
                && *second == b'-'
                && [a, b, c, d].iter().all(|b| b.is_ascii_digit())
                && !matches!(*after, b'0'..=b'9' | b' ' | b'-' | b'.' | b'/' | b'(')
        })
}

/// A look at a run reads no further beyond its start: the run, a joint, and a replacement that may follow it.
const AHEAD: usize = RUN + 64;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::super::{Identifiers, rows};
    use super::Block;

    /// Pieces of numbers and of what stands around them.
    const PIECES: [&str; 40] = [
        "1",
        "20",
        "2026",
        "-11-29",
        "T09:00",
        "4111 1111",
        "555",
        "(0)",
        "(",
        ")",
        "+49",
        "+",
        ":",
        "::",
        "2001:db8:",
        "fe80",
        "00:1a:",
        "0011.2233.",
        "192.",
        "168.1.7",
        "GB82 WEST ",
        "DE",
        "AB 12 34 56 C",
        "RSSMRA85T10A562S",
        "the ",
        "micros=",
        "x",
        "%20",
        "\\n",
        "\\u001b",
        "\u{1b}[1;32m",
        "[",
        ";",
        "/",
        "-",
        ".",
        " ",
        "phone ",
        "é",
        "0x52908400098527886E0F7030",
    ];

    #[test]
    fn where_a_place_is_passed_over_nothing_is_found_wherever_a_find_ended_before_it() {
        let all: Vec<&str> = rows().map(|row| row.entity).collect();
        let some: Vec<&str> = all.iter().copied().step_by(3).collect();
        let hosts = ["IP_ADDRESS", "CRYPTO"];
        let kinds =
            [&all[..], &some, &hosts].map(|entities| Identifiers::new(entities, &[]).unwrap().unwrap());
        let samples: Vec<&str> = rows().flat_map(|row| [row.sample, row.harmless]).collect();
        let mut state = 11u32;
        let mut dice = |sides: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 12) as usize % sides
        };
        let (mut passed, mut left) = (0, 0);
        for round in 0..1200 {
            let mut text = String::new();
            for _ in 0..2 + dice(8) {
                text += if dice(4) == 0 { samples[dice(samples.len())] } else { PIECES[dice(PIECES.len())] };
            }
            let (text, identifiers) = (text.as_bytes(), &kinds[round % kinds.len()]);
            let (mut block, mut from) = (Block::default(), 0);
            while let Some(at) = block.next(text, from) {
                assert_eq!(Some(at), identifiers.next(text, from));
                // Inside a run a place is only where a find ended.
                let inside =
                    at > 0 && text[at - 1].is_ascii_alphanumeric() && text[at].is_ascii_alphanumeric();
                let before = [0, at.saturating_sub(2), at.saturating_sub(1), at];
                for floor in before.into_iter().filter(|floor| !inside || *floor == at) {
                    let Some(next) = identifiers.beyond(text, at, floor, &block) else {
                        left += 1;
                        continue;
                    };
                    passed += 1;
                    let found = identifiers.find(text, at, floor, None);
                    assert_eq!(found, Err(next), "{:?} at {at} after {floor}", String::from_utf8_lossy(text));
                }
                from = at
                    + 1
                    + text[at..]
                        .iter()
                        .skip(1)
                        .take_while(|b| dice(9) > 0 && b.is_ascii_alphanumeric())
                        .count();
            }
        }
        assert!(passed > 10_000 && left > 1_000, "{passed} {left}");
    }
}

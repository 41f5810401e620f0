//! Secrets without a form of their own: so many hexadecimal digits, told by the provider's name near by.
//!
//! A long word counts when all of these hold:
//! 1. it has exactly a length, and the alphabet, of the provider's secrets;
//! 2. a name of the provider's starts a word at most [`REACH`] bytes before it, on the same line, in any case
//!    (`datadog`, `DATADOG_APP_KEY`, `newDatadogClient`);
//! 3. the word directly before it does not say that it is something else (`trace_id`, `commit`, `sha256`);
//! 4. it looks random (`checks.rs`).
//!
//! What is already hidden is no context. UUIDs are never taken: nothing tells a key from a request's number.

use super::Finding;
use super::rules::{Extent, Rule};
use super::text::{base64url, word_starts};

/// Bytes before a word that a provider's name is looked for in.
pub(super) const REACH: usize = 40;

/// No secret of this sort is longer. It bounds what is read at a word.
pub(super) const LONGEST: usize = 127;

/// An escape, or a colour's code, is shorter.
const ESCAPE: usize = 24;

/// What stands before the literal of a private key.
const DASHES: usize = 5;

/// The rows that are found by a name near by.
pub(super) struct Nearby {
    rules: Vec<(usize, &'static Rule)>,
    /// Those of them that need no name: a checksum says enough.
    nameless: Vec<usize>,
    /// Bit n: some row's secrets have n characters.
    lengths: u128,
    /// By length: which rows have it.
    by_length: Vec<Vec<usize>>,
    /// Names, and which of the rows they belong to.
    keywords: Vec<(&'static [u8], Vec<usize>)>,
    /// By hash of a name's first four letters: the index of the first name, plus one, and so on.
    heads: Box<[u16; BUCKETS]>,
    next: Vec<u16>,
}

impl Nearby {
    pub(super) fn new(rules: impl Iterator<Item = (usize, &'static Rule)>) -> Self {
        let heads = Box::new([0; BUCKETS]);
        let mut table = Self {
            rules: Vec::new(),
            nameless: Vec::new(),
            lengths: 0,
            by_length: vec![Vec::new(); LONGEST + 1],
            keywords: Vec::new(),
            heads,
            next: Vec::new(),
        };
        for (number, rule) in rules {
            let Extent::Near { lengths, keywords, .. } = rule.extent else { continue };
            let row = table.rules.len();
            table.rules.push((number, rule));
            table.lengths |= lengths.iter().filter(|n| **n <= LONGEST).fold(0, |all, n| all | 1 << n);
            for length in lengths {
                if let Some(rows) = table.by_length.get_mut(*length) {
                    rows.push(row);
                }
            }
            if keywords.is_empty() {
                table.nameless.push(row);
            }
            for keyword in keywords {
                table.add(keyword.as_bytes(), row);
            }
        }
        table
    }

    fn add(&mut self, keyword: &'static [u8], row: usize) {
        if let Some((_, rows)) = self.keywords.iter_mut().find(|(known, _)| *known == keyword) {
            rows.push(row);
        } else if let Some(first) = keyword.first_chunk() {
            let head = &mut self.heads[bucket(u32::from_le_bytes(*first))];
            self.keywords.push((keyword, vec![row]));
            self.next.push(*head);
            *head = u16::try_from(self.keywords.len()).unwrap_or_default();
        }
    }

    /// The secret that the long word at *at* is, if it is one. Nothing before *floor* is read.
    ///
    /// *glued* says whether another secret may start inside a word: the word ends there as well. None does before
    /// *literal*.
    #[inline]
    pub(super) fn find(
        &self,
        text: &[u8],
        at: usize,
        floor: usize,
        literal: usize,
        glued: impl Fn(&[u8]) -> bool,
    ) -> Option<Finding> {
        // Exactly so long on both sides: after a dash or a line it goes on.
        if at > floor && base64url(text[at - 1]) && !word_starts_after_escape(text, at) {
            return None;
        }
        let rest = text.get(at..)?;
        let word = rest.iter().take(LONGEST + 1).take_while(|b| base64url(**b)).count();
        if word <= LONGEST && self.lengths >> word & 1 == 1 {
            let found = self.named(text, at, at + word, floor);
            if found.is_some() {
                return found;
            }
        }
        // Without a literal in it, nothing starts inside the word (the dashes before `BEGIN` are there before theirs is).
        // Words that are glued together may be longer than one secret.
        let inside = word > 0 && literal < at + word + DASHES;
        let mut shorter = if inside { self.lengths & (u128::MAX >> (128 - word)) } else { 0 };
        while shorter != 0 {
            let length = shorter.trailing_zeros() as usize;
            shorter &= shorter - 1;
            if glued(&rest[length..]) {
                let found = self.named(text, at, at + length, floor);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    fn named(&self, text: &[u8], at: usize, end: usize, floor: usize) -> Option<Finding> {
        let secret = &text[at..end];
        // Most words have a length of some row's, and another alphabet.
        if !self.is_likely(secret) {
            return None;
        }
        for (number, rule) in self.nameless.iter().filter_map(|row| self.rules.get(*row)) {
            if fits(*number, rule, secret) {
                return Finding::new(at, end, rule.entity).map(|f| f.by(rule.name));
            }
        }
        let window = &text[floor.max(at.saturating_sub(REACH)).min(at)..at];
        let line = memchr::memrchr2(b'\n', b'\r', window).map_or(window, |i| &window[i + 1..]);
        // Cut off in the middle of a word, its rest starts none.
        let cut = line.len() == window.len() && at - line.len() > floor;
        let mut before = if cut { text[at - line.len() - 1] } else { b' ' };
        // The tail of an escape, `\n`, is no part of a word. Mostly there is none.
        let around = &text[at.saturating_sub(REACH + ESCAPE)..at];
        let escapes = memchr::memchr3(b'\\', b'%', b'[', around).is_some();
        for (i, &byte) in line.iter().enumerate() {
            let last = std::mem::replace(&mut before, byte);
            let whole =
                !last.is_ascii_alphabetic() || (last.is_ascii_lowercase() && byte.is_ascii_uppercase());
            if !(whole || escapes) || !byte.is_ascii_alphabetic() || self.head(&line[i..]) == 0 {
                continue;
            }
            let starts = whole || word_starts(text, at - line.len() + i, floor);
            let found = if starts { self.secret(&line[i..], line, secret) } else { None };
            if let Some(rule) = found {
                return Finding::new(at, end, rule.entity).map(|f| f.by(rule.name));
            }
        }
        None
    }

    /// Whether some row's secrets may look so.
    #[inline]
    fn is_likely(&self, secret: &[u8]) -> bool {
        let rows = self.by_length.get(secret.len()).map_or(&[][..], Vec::as_slice);
        rows.iter().filter_map(|row| self.rules.get(*row)).any(|(number, rule)| {
            matches!(rule.extent, Extent::Near { alphabet, .. } if secret.iter().all(|b| alphabet(*b)))
                && super::heads::may_start(*number, secret)
        })
    }

    #[inline]
    fn head(&self, name: &[u8]) -> u16 {
        name.first_chunk::<4>().map_or(0, |first| self.heads[bucket(u32::from_le_bytes(*first) | SMALL)])
    }

    /// The row of the provider that *name* starts with, if *secret* is one of its secrets.
    fn secret(&self, name: &[u8], line: &[u8], secret: &[u8]) -> Option<&'static Rule> {
        let mut index = self.head(name);
        while let Some(i) = usize::from(index).checked_sub(1) {
            let (keyword, rows) = self.keywords.get(i)?;
            if name.len() >= keyword.len() && name[..keyword.len()].eq_ignore_ascii_case(keyword) {
                let fits = |row: &&usize| {
                    self.rules.get(**row).is_some_and(|(number, rule)| fits(*number, rule, secret))
                };
                if let Some(row) = rows.iter().find(fits) {
                    return self.rules.get(*row).map(|(_, rule)| *rule).filter(|_| !says_otherwise(line));
                }
            }
            index = *self.next.get(i)?;
        }
        None
    }
}

/// The tail of an escape is no part of the word: `\n0123…`.
fn word_starts_after_escape(text: &[u8], at: usize) -> bool {
    text[at - 1].is_ascii_alphanumeric() && word_starts(text, at, 0)
}

fn fits(number: usize, rule: &Rule, secret: &[u8]) -> bool {
    let Extent::Near { lengths, alphabet, .. } = rule.extent else { return false };
    lengths.contains(&secret.len())
        && super::heads::may_start(number, secret)
        && secret.iter().all(|b| alphabet(*b))
        && (rule.check)(secret)
        && super::heads::is_whole(number, secret)
}

/// Whether the last word of *line* names what is no secret.
fn says_otherwise(line: &[u8]) -> bool {
    let end = line.iter().rposition(u8::is_ascii_alphanumeric).map_or(0, |i| i + 1);
    let start = line[..end].iter().rposition(|b| !b.is_ascii_alphanumeric()).map_or(0, |i| i + 1);
    let word = &line[start..end];
    let last =
        word.iter().rposition(u8::is_ascii_uppercase).filter(|i| *i > 0 && word[i - 1].is_ascii_lowercase());
    let hump = &word[last.unwrap_or(0)..];
    HARMLESS.iter().any(|known| hump.eq_ignore_ascii_case(known) || word.eq_ignore_ascii_case(known))
}

const BUCKETS: usize = 1024;

/// Makes small letters of four.
const SMALL: u32 = 0x2020_2020;

#[inline]
fn bucket(first: u32) -> usize {
    (first.wrapping_mul(0x9E37_79B1) >> 22) as usize % BUCKETS
}

/// Names of what only looks like a secret.
const HARMLESS: &[&[u8]] = &[
    b"id",
    b"ids",
    b"uuid",
    b"trace",
    b"span",
    b"commit",
    b"sha",
    b"sha1",
    b"sha256",
    b"md5",
    b"hash",
    b"digest",
    b"etag",
    b"checksum",
    b"rev",
    b"revision",
    b"version",
    b"ref",
    b"build",
    b"image",
    b"layer",
    b"release",
    b"fingerprint",
];

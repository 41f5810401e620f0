//! The search for the few literals that secrets are found by: what stands inside words, ends in a blank or a dot, or is the
//! developer's; and for what a replacement starts with.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, AhoCorasickKind, Span, StartKind};

use super::text::MARKER;
use crate::error::ConfigError;

/// What a literal belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Row {
    /// A row of the table, by its number.
    Built(usize),
    /// The developer's, by its number.
    Own(usize),
}

/// Finds the next literal: with vector instructions where the processor has them, by automaton elsewhere.
pub(super) struct Literals {
    packed: Option<Searcher>,
    automaton: AhoCorasick,
    /// In order, to see whether one may have begun.
    sorted: Vec<Box<[u8]>>,
    /// Which bytes one starts with, and as bits, which pairs.
    first: Box<[bool; 256]>,
    pairs: Box<[u64; 1024]>,
    longest: usize,
}

/// So many bytes of literals are searched for by a full table: some 4 MiB of memory.
const MOST_TABLE: usize = 16 * 1024;

impl Literals {
    /// The search, and by literal its rows. What is longer comes first, and has the rows of what it starts with.
    pub(super) fn new(pairs: Vec<(Vec<u8>, Row)>) -> Result<(Self, Vec<Vec<Row>>), ConfigError> {
        let mut texts: Vec<&[u8]> = pairs.iter().map(|(text, _)| text.as_slice()).collect();
        texts.sort_unstable_by_key(|text| (std::cmp::Reverse(text.len()), *text));
        texts.dedup();
        let mut of: std::collections::HashMap<&[u8], Vec<Row>> = std::collections::HashMap::new();
        for (text, row) in &pairs {
            of.entry(text).or_default().push(*row);
        }
        let rows = |text: &&[u8]| {
            let starts = (1..=text.len()).rev().filter_map(|length| of.get(&text[..length]));
            let mut rows: Vec<Row> = starts.flatten().copied().collect();
            rows.sort_by_key(|row| match *row {
                Row::Own(number) => (false, number),
                Row::Built(number) => (true, number),
            });
            rows.dedup();
            rows
        };
        let mut by_literal: Vec<Vec<Row>> = texts.iter().map(rows).collect();
        // The last literal is what a replacement starts with. It has no rows.
        texts.push(MARKER);
        by_literal.push(Vec::new());
        let packed = Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(&texts).build();
        // The vector search takes 64 literals. A full table of transitions is several times as fast as a compact one, which
        // is left for long lists.
        let whole: usize = texts.iter().map(|text| text.len()).sum();
        let kind = (whole <= MOST_TABLE).then_some(AhoCorasickKind::DFA);
        let automaton = AhoCorasick::builder()
            .match_kind(aho_corasick::MatchKind::LeftmostFirst)
            .start_kind(StartKind::Unanchored)
            .kind(kind)
            .build(&texts)
            .map_err(|error| ConfigError::new(format!("the rules' literals: {error}")))?;
        let mut sorted: Vec<Box<[u8]>> = texts.iter().map(|text| (*text).into()).collect();
        sorted.sort_unstable();
        let mut first = Box::new([false; 256]);
        for byte in texts.iter().filter_map(|text| text.first()) {
            first[usize::from(*byte)] = true;
        }
        let mut pairs = Box::new([0; 1024]);
        for pair in texts.iter().filter_map(|text| text.first_chunk()) {
            let (word, bit) = bit_of(*pair);
            pairs[word] |= bit;
        }
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or_default();
        Ok((Self { packed, automaton, sorted, first, pairs, longest }, by_literal))
    }

    /// Where the next literal at or after *from* starts, and which it is.
    #[inline]
    pub(super) fn next(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let span = Span { start: from.min(text.len()), end: text.len() };
        let found = match &self.packed {
            Some(packed) if span.len() >= packed.minimum_len() => packed.find_in(text, span),
            _ => self.automaton.find(aho_corasick::Input::new(text).span(span)),
        }?;
        Some((found.start(), found.pattern().as_usize()))
    }

    /// The longest literal, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.longest
    }

    /// The first place at or after *from* where a literal begins that would go on after the text's end.
    pub(super) fn begun(&self, text: &[u8], from: usize) -> usize {
        let from = from.max((text.len() + 1).saturating_sub(self.longest));
        let begins = |at: &usize| {
            let rest = &text[*at..];
            let may = match rest.first_chunk() {
                Some(pair) => {
                    let (word, bit) = bit_of(*pair);
                    self.pairs[word] & bit != 0
                }
                None => self.first[usize::from(rest[0])],
            };
            if !may {
                return false;
            }
            let place = self.sorted.partition_point(|text| **text <= *rest);
            self.sorted.get(place).is_some_and(|text| text.starts_with(rest))
        };
        (from..text.len()).find(begins).unwrap_or(text.len())
    }

    #[cfg(test)]
    pub(super) fn has_vectors(&self) -> bool {
        self.packed.is_some()
    }
}

/// The place of a pair of bytes among the bits for all pairs.
fn bit_of(pair: [u8; 2]) -> (usize, u64) {
    let number = u16::from_le_bytes(pair);
    (usize::from(number >> 6), 1 << (number & 63))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn more_literals_than_the_vector_search_takes_are_found_alike() {
        for count in [10, 65, 300, 3000] {
            let words: Vec<String> = (0..count).map(|n| format!("w{n:04}x")).collect();
            let pairs = words.iter().enumerate().map(|(n, word)| (word.as_bytes().to_vec(), Row::Own(n)));
            let (literals, rows) = Literals::new(pairs.collect()).unwrap();
            assert!(count < 65 || !literals.has_vectors());
            for (n, word) in words.iter().enumerate() {
                let text = format!("a line of a log with w9999y and {word} in it, long enough for vectors");
                let (at, index) = literals.next(text.as_bytes(), 3).unwrap();
                assert!(text[at..].starts_with(word) && rows[index] == [Row::Own(n)]);
            }
        }
    }

    #[test]
    fn a_literal_that_may_have_begun_is_seen() {
        let pairs = [("eyJ", 0), ("eyJabc", 1), ("-live-", 2)];
        let pairs = pairs.map(|(text, row)| (text.as_bytes().to_vec(), Row::Built(row)));
        let (literals, _) = Literals::new(pairs.to_vec()).unwrap();
        for (text, expected) in [
            ("", 0),
            ("x", 1),
            ("xe", 1),
            ("xey", 1),
            ("xeyJ", 1),
            ("xeyJx", 5),
            ("xeyJabc", 7),
            ("a-live", 1),
            ("a-live-", 6),
            ("[REDACTED", 0),
            ("e-ey", 2),
        ] {
            assert_eq!(literals.begun(text.as_bytes(), 0), expected, "{text}");
        }
        assert_eq!(literals.begun(b"xey", 2), 3);
    }
}

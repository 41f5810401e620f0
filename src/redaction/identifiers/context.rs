//! Decides whether a number is announced: whether one of a row's words stands shortly before it.
//!
//! 1. A word counts within [`REACH`] bytes before the number, on the same line, and after the last thing that was
//!    hidden: what is hidden is no context, so that redacting twice finds nothing more.
//! 2. Only whole words count: `cpf` in `cpf: `, `user_cpf` and `customerCpf`, not in `cpfilter`.
//! 3. The nearest word decides between rows.
//! 4. A list goes on: a number that follows one that was hidden (or its replacement), with nothing but blanks and
//!    punctuation between, is announced by the same word.
//!
//! A word after the number, on the line above it, or at the head of its column does not count.
//!
//! # Why it is linear
//! The window is read once for each number that has passed a check, and such numbers are at least seven bytes long.

use aho_corasick::{AhoCorasick, Input, MatchKind};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::Row;
use crate::error::ConfigError;
use crate::redaction::Finding;
use crate::redaction::text::MARKER;

/// How far before a number its word may stand, in bytes.
pub(super) const REACH: usize = 64;

/// How far a list's next number may stand behind the one that was hidden, in bytes.
const STEP: usize = 6;

/// A developer's words, by the entity that they announce.
pub(super) type Further<'a> = &'a [(&'a str, &'a [&'a str])];

/// Most words of a developer's.
const MOST: usize = 1000;

/// The words of the selected rows.
pub(super) struct Words {
    automaton: AhoCorasick,
    /// By pattern: the rows that have it, as bits.
    rows: Vec<u128>,
}

/// What stands before a number.
pub(super) struct Context {
    /// By row: the distance of its nearest word in bytes, plus one; 0 if there is none.
    distances: [u8; 128],
    /// The entity of the list that the number goes on with.
    list: Option<&'static str>,
}

impl Context {
    /// How near the row's word is, if the row is announced at all.
    pub(super) fn distance(&self, index: usize, row: &Row) -> Option<u8> {
        if self.list == Some(row.entity) {
            return Some(0);
        }
        self.distances.get(index).copied().filter(|distance| *distance > 0)
    }
}

impl Words {
    pub(super) fn new(rows: &[&'static Row], further: Further<'_>) -> Result<Self, ConfigError> {
        let mut patterns: Vec<String> = Vec::new();
        let mut bits: Vec<u128> = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let of_row = further.iter().filter(|(entity, _)| *entity == row.entity);
            let own = of_row.flat_map(|(_, words)| words.iter()).map(|word| plain(word));
            let words = row.words.iter().map(|word| (*word).to_owned()).chain(own);
            for word in words.flat_map(|word| spellings(&word)) {
                let place = patterns.iter().position(|known| *known == word);
                let place = place.unwrap_or_else(|| {
                    patterns.push(word);
                    bits.push(0);
                    bits.len() - 1
                });
                bits[place] |= 1 << index;
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .build(&patterns)
            .map_err(|error| ConfigError::new(format!("the identifiers' words: {error}")))?;
        Ok(Self { automaton, rows: bits })
    }

    /// What stands before the number at *start*. Nothing before *floor* counts.
    pub(super) fn before(&self, text: &[u8], start: usize, floor: usize, last: Option<&Finding>) -> Context {
        let from = start.saturating_sub(REACH).max(floor);
        let window = &text[from..start];
        let line = window.iter().rposition(|b| matches!(b, b'\n' | b'\r')).map_or(from, |i| from + i + 1);
        let mut context = Context { distances: [0; 128], list: None };
        if line == floor && start - floor <= STEP {
            let only_signs = text[floor..start].iter().all(|b| b.is_ascii_punctuation() || *b == b' ');
            context.list = hidden_before(text, floor, last).filter(|_| only_signs);
        }
        for found in self.automaton.find_overlapping_iter(Input::new(text).span(line..start)) {
            if !is_whole(text, found.start(), found.end(), floor) {
                continue;
            }
            let distance = u8::try_from(start - found.end() + 1).unwrap_or(u8::MAX);
            let mut bits = self.rows.get(found.pattern().as_usize()).copied().unwrap_or(0);
            while bits != 0 {
                // Found from left to right, so the last is the nearest.
                if let Some(place) = context.distances.get_mut(bits.trailing_zeros() as usize) {
                    *place = distance;
                }
                bits &= bits - 1;
            }
        }
        context
    }
}

/// A developer's word as those of the rows are written.
fn plain(word: &str) -> String {
    word.to_lowercase().replace(['-', '_'], " ")
}

/// Whether each of *further* announces something that *rows* look for.
pub(super) fn check(rows: &[&'static Row], further: Further<'_>) -> Result<(), ConfigError> {
    if further.iter().map(|(_, words)| words.len()).sum::<usize>() > MOST {
        return Err(ConfigError::new(format!("context has more than {MOST} words")));
    }
    for (entity, words) in further {
        let wrong = |what: String| Err(ConfigError::new(format!("context of {entity:?} {what}")));
        let Some(row) = super::rows().find(|row| row.entity == *entity) else {
            let known = super::rows().filter(|row| !row.words.is_empty()).map(|row| row.entity);
            let hint = super::nearest(entity, known).map(|name| format!(" Did you mean {name}?"));
            let what = "is of no number that words announce. A detector of yours has a context of its own.";
            return wrong(format!("{what}{}", hint.unwrap_or_default()));
        };
        if row.words.is_empty() {
            return wrong("has no use: it is found without a word near it".to_owned());
        }
        if !rows.iter().any(|selected| selected.entity == *entity) {
            return wrong("has no use: it is not looked for. Name it in entities".to_owned());
        }
        for word in *words {
            let letters = word.chars().filter(|letter| letter.is_alphabetic()).count();
            let whole = word.starts_with(char::is_alphanumeric) && word.ends_with(char::is_alphanumeric);
            let short = spellings(&plain(word)).iter().all(|spelling| spelling.len() < REACH);
            let within =
                word.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_' | '.' | '\''));
            if letters < 2 || !whole || !short || !within {
                return wrong(format!(
                    "has {word:?}. A word has two letters or more, and fewer than {REACH} bytes; blanks, `-` and `_` stand for each other"
                ));
            }
        }
    }
    Ok(())
}

/// `tax id` is also written `tax-id`, `tax_id` and `taxId`; `telefonszám` also `telefonszam`, as programs do; `телефон`
/// also `Телефон` and `ТЕЛЕФОН`. (The automaton knows the capitals of ASCII.)
fn spellings(word: &str) -> Vec<String> {
    let joints: &[&str] = if word.contains(' ') { &[" ", "-", "_", ""] } else { &[" "] };
    let mut all: Vec<String> = joints.iter().map(|joint| word.replace(' ', joint)).collect();
    all.extend(all.clone().iter().filter_map(|word| without_accents(word)));
    for plain in all.clone().iter().filter(|word| !word.is_ascii()) {
        let mut letters = plain.chars();
        let first = letters.next().map(char::to_uppercase);
        all.push(first.into_iter().flatten().chain(letters).collect());
        all.push(plain.to_uppercase());
    }
    all
}

/// The word in the letters of ASCII, if its own are these with accents. Of four letters at least: `rc` is too much else.
fn without_accents(word: &str) -> Option<String> {
    let plain: String = word.nfd().filter(|letter| !is_combining_mark(*letter)).collect();
    (plain.is_ascii() && plain != word && plain.len() >= 4).then_some(plain)
}

/// Whether no letter goes on before or after, as in `cpfilter`. In camel case a capital starts a word; a script
/// without capitals has no words that could be cut.
fn is_whole(text: &[u8], start: usize, end: usize, floor: usize) -> bool {
    let (Some(first), Some(last)) = (text.get(start), text.get(end - 1)) else { return false };
    let starts = start <= floor || {
        let before = text[start - 1];
        !before.is_ascii_alphabetic() || (before.is_ascii_lowercase() && first.is_ascii_uppercase())
    };
    let after = text.get(end).copied().unwrap_or(b' ');
    let ends = !after.is_ascii_alphabetic() || (last.is_ascii_lowercase() && after.is_ascii_uppercase());
    (starts || !first.is_ascii()) && (ends || !last.is_ascii())
}

/// What was hidden just before *floor*: found now, or replaced before.
fn hidden_before(text: &[u8], floor: usize, last: Option<&Finding>) -> Option<&'static str> {
    if let Some(found) = last.filter(|found| found.end == floor) {
        return Some(found.entity);
    }
    let name = text[..floor].strip_suffix(b"]")?;
    let letters = |b: &&u8| b.is_ascii_uppercase() || b.is_ascii_digit() || **b == b'_';
    let length = name.iter().rev().take(40).take_while(letters).count();
    let (marker, name) = name.split_at(name.len() - length);
    super::table::rows()
        .map(|row| row.entity)
        .find(|entity| marker.ends_with(MARKER) && entity.as_bytes() == name)
}

//! Which rows of the table a word may belong to, by how it starts.
//!
//! A provider's token starts with letters of its own (`ghp_`, `sk-ant-`, `AKIA`) and is a long word. `marks.rs` marks where
//! long words start; here three bytes of the word are hashed, and nearly every word meets an empty bucket. So three hundred
//! kinds cost what one costs. A prefix that ends in a dot (`ya29.`, `hvs.`) stands before the long word: it is
//! looked for where a long word starts after a dot.
//!
//! # Why not a search for all literals
//! On mixed log lines (AVX2), the search alone for 380 literals takes half as long as the whole engine does with this table,
//! if it is an automaton (DFA, 706 KiB), and three quarters of that as six vector searches of 64 literals each. Both leave
//! 5800 hits per megabyte that are still to be looked at. The table makes 355 rows, with names and shapes, cost about half
//! as much again as 30 rows did without it.

use super::rules::Rule;
use regex_syntax::hir::{Class, Hir, HirKind};

use super::marks::WORD;
use super::text::base64url;

/// How words start, found by their first three bytes.
pub(super) struct Prefixes {
    entries: Vec<Entry>,
    /// By hash: the index of the first entry, plus one.
    heads: Box<[u16; BUCKETS]>,
    /// Prefixes that end in a dot, the longest first, and their rows. They are few, and so are long words after a dot.
    dotted: Vec<(&'static str, usize)>,
}

struct Entry {
    text: &'static [u8],
    /// Indexes into the engine's rows, in the table's order: of this prefix and of those that it starts with.
    rows: Vec<usize>,
    next: u16,
}

impl Prefixes {
    /// From pairs of a prefix and the index of a row.
    pub(super) fn new(pairs: &[(&'static str, usize)], mut dotted: Vec<(&'static str, usize)>) -> Self {
        dotted.sort_by_key(|(literal, row)| (std::cmp::Reverse(literal.len()), *row));
        let mut texts: Vec<&'static str> = pairs.iter().map(|(text, _)| *text).collect();
        // Each chain is built back to front: what is longest comes first in it.
        texts.sort_unstable_by_key(|text| (text.len(), *text));
        texts.dedup();
        let mut table = Self { entries: Vec::new(), heads: Box::new([0; BUCKETS]), dotted };
        for text in texts {
            let mut rows: Vec<usize> =
                pairs.iter().filter(|(start, _)| text.starts_with(start)).map(|(_, row)| *row).collect();
            rows.sort_unstable();
            rows.dedup();
            let text = text.as_bytes();
            let Some(first) = text.first_chunk() else { continue };
            let head = &mut table.heads[bucket(*first)];
            table.entries.push(Entry { text, rows, next: *head });
            *head = u16::try_from(table.entries.len()).unwrap_or_default();
        }
        table
    }

    /// The row that a word at *at* may belong to by the prefix with a dot before it, and where that starts.
    #[inline]
    pub(super) fn dotted(&self, text: &[u8], at: usize) -> Option<(usize, usize)> {
        let before = text.get(..at).filter(|before| before.ends_with(b"."))?;
        let (literal, row) = self.dotted.iter().find(|(literal, _)| before.ends_with(literal.as_bytes()))?;
        Some((*row, at - literal.len()))
    }

    /// The rows that a word at *at* may belong to, in the table's order.
    #[inline]
    pub(super) fn rows(&self, text: &[u8], at: usize) -> &[usize] {
        let Some(word) = text.get(at..) else { return &[] };
        let Some(first) = word.first_chunk() else { return &[] };
        let mut index = self.heads[bucket(*first)];
        while let Some(entry) = usize::from(index).checked_sub(1).and_then(|i| self.entries.get(i)) {
            if word.starts_with(entry.text) {
                return &entry.rows;
            }
            index = entry.next;
        }
        &[]
    }
}

const BUCKETS: usize = 4096;

#[inline]
fn bucket(first: [u8; 3]) -> usize {
    let [a, b, c] = first;
    let mixed = u32::from_le_bytes([a, b, c, 0]).wrapping_mul(0x9E37_79B1);
    (mixed >> 20) as usize % BUCKETS
}

/// How a row's matches are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// Each is a long word that starts with a literal.
    Word,
    /// Each is a literal that ends in a dot, and a long word.
    Dotted,
    /// Otherwise: by the search for literals.
    Literal,
}

/// The route to the matches of *rule*, by its pattern.
pub(super) fn route(rule: &Rule) -> Route {
    let lead_of = |pattern: &str| {
        let hir = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
        hir.map_or(0, |hir| lead(&hir).0)
    };
    let starts = rule.literals.iter().all(|l| l.as_bytes()[0].is_ascii_alphanumeric());
    if !rule.alone || rule.before != 0 || !starts {
        return Route::Literal;
    }
    if lead_of(rule.pattern) >= WORD {
        return Route::Word;
    }
    let word = |literal: &str| rule.pattern.strip_prefix(&regex::escape(literal)).map_or(0, lead_of);
    match rule.literals {
        [literal] if literal.ends_with('.') && word(literal) >= WORD => Route::Dotted,
        _ => Route::Literal,
    }
}

/// Whether all that *pattern* matches is in *alphabet*.
pub(super) fn is_of(pattern: &str, alphabet: fn(u8) -> bool) -> bool {
    fn within(hir: &Hir, alphabet: fn(u8) -> bool) -> bool {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => true,
            HirKind::Literal(literal) => literal.0.iter().all(|b| alphabet(*b)),
            HirKind::Class(Class::Bytes(class)) => {
                class.ranges().iter().all(|r| (r.start()..=r.end()).all(alphabet))
            }
            HirKind::Class(Class::Unicode(class)) => class
                .ranges()
                .iter()
                .all(|r| r.end().is_ascii() && (r.start()..=r.end()).all(|c| alphabet(c as u8))),
            HirKind::Repetition(repetition) => within(&repetition.sub, alphabet),
            HirKind::Capture(capture) => within(&capture.sub, alphabet),
            HirKind::Concat(parts) | HirKind::Alternation(parts) => {
                parts.iter().all(|part| within(part, alphabet))
            }
        }
    }
    let hir = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
    hir.is_ok_and(|hir| within(&hir, alphabet))
}

/// How many bytes of a word every match starts with at least, and whether it may be a word altogether.
fn lead(hir: &Hir) -> (usize, bool) {
    match hir.kind() {
        HirKind::Empty => (0, true),
        HirKind::Look(_) => (0, false),
        HirKind::Literal(literal) => {
            let word = literal.0.iter().take_while(|b| base64url(**b)).count();
            (word, word == literal.0.len())
        }
        HirKind::Class(class) => {
            let word = match class {
                Class::Bytes(class) => class.ranges().iter().all(|r| (r.start()..=r.end()).all(base64url)),
                Class::Unicode(class) => class
                    .ranges()
                    .iter()
                    .all(|r| r.end().is_ascii() && (r.start()..=r.end()).all(|c| base64url(c as u8))),
            };
            (usize::from(word), word)
        }
        HirKind::Repetition(repetition) => {
            let (length, word) = lead(&repetition.sub);
            let times = usize::try_from(repetition.min).unwrap_or(usize::MAX);
            if word { (length.saturating_mul(times), true) } else { (length.min(length * times), false) }
        }
        HirKind::Capture(capture) => lead(&capture.sub),
        HirKind::Concat(parts) => {
            let mut length = 0;
            for part in parts {
                let (more, word) = lead(part);
                length += more;
                if !word {
                    return (length, false);
                }
            }
            (length, true)
        }
        HirKind::Alternation(choices) => {
            let all = choices.iter().map(lead);
            all.reduce(|a, b| (a.0.min(b.0), a.1 && b.1)).unwrap_or((0, false))
        }
    }
}

/// Which bytes may stand at a place, as bits.
pub(super) type Set = [u64; 4];

/// What may stand at the first places of every match of *pattern*: as many as are in all matches, but at most [`PLACES`].
/// A word that has another byte there need not be tried. Also, whether these places are all that a match has.
pub(super) fn places(pattern: &str) -> (Box<[Set]>, bool) {
    let hir = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
    let Ok(hir) = hir else { return (Box::default(), false) };
    let (places, _) = sets(&hir);
    // An alternative or an assertion is more than its places.
    let whole = hir.properties().maximum_len() == Some(places.len()) && is_sequence(&hir);
    (places.into_boxed_slice(), whole)
}

fn is_sequence(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Literal(_) | HirKind::Class(_) => true,
        HirKind::Repetition(repetition) => {
            repetition.max == Some(repetition.min) && is_sequence(&repetition.sub)
        }
        HirKind::Capture(capture) => is_sequence(&capture.sub),
        HirKind::Concat(parts) => parts.iter().all(is_sequence),
        HirKind::Empty | HirKind::Look(_) | HirKind::Alternation(_) => false,
    }
}

/// Whether *text* may start with a match that has these first places.
#[inline]
pub(super) fn may_start(places: &[Set], text: &[u8]) -> bool {
    places.iter().zip(text).all(|(set, byte)| set[usize::from(byte >> 6)] >> (byte & 63) & 1 == 1)
}

/// How many places of a match are looked at before it is tried.
const PLACES: usize = 24;

/// The sets of the first places, and whether every match has these places and no others.
fn sets(hir: &Hir) -> (Vec<Set>, bool) {
    let one = |bytes: &mut dyn Iterator<Item = u8>| {
        let mut set = Set::default();
        bytes.for_each(|byte| set[usize::from(byte >> 6)] |= 1 << (byte & 63));
        set
    };
    let (mut all, exact) = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => (Vec::new(), true),
        HirKind::Literal(literal) => {
            (literal.0.iter().map(|byte| one(&mut std::iter::once(*byte))).collect(), true)
        }
        HirKind::Class(Class::Bytes(class)) => {
            (vec![one(&mut class.ranges().iter().flat_map(|r| r.start()..=r.end()))], true)
        }
        // Without Unicode, a class of characters has ASCII alone. Were it not so, nothing would be known of it.
        HirKind::Class(Class::Unicode(class)) if class.ranges().iter().all(|r| r.end().is_ascii()) => {
            (vec![one(&mut class.ranges().iter().flat_map(|r| r.start() as u8..=r.end() as u8))], true)
        }
        HirKind::Class(Class::Unicode(_)) => (Vec::new(), false),
        HirKind::Repetition(repetition) => {
            let (part, exact) = sets(&repetition.sub);
            let times = usize::try_from(repetition.min).unwrap_or(PLACES).min(PLACES);
            if exact {
                (part.repeat(times), repetition.max == Some(repetition.min))
            } else {
                (if times > 0 { part } else { Vec::new() }, false)
            }
        }
        HirKind::Capture(capture) => sets(&capture.sub),
        HirKind::Concat(parts) => {
            let (mut all, mut exact) = (Vec::new(), true);
            for part in parts {
                if !exact || all.len() >= PLACES {
                    break;
                }
                let (mut more, whole) = sets(part);
                all.append(&mut more);
                exact = whole;
            }
            (all, exact)
        }
        HirKind::Alternation(choices) => {
            let choices: Vec<(Vec<Set>, bool)> = choices.iter().map(sets).collect();
            let least = choices.iter().map(|(all, _)| all.len()).min().unwrap_or_default();
            let exact = choices.iter().all(|(all, exact)| *exact && all.len() == least);
            let either = |i: usize| {
                choices
                    .iter()
                    .fold(Set::default(), |set, (all, _)| std::array::from_fn(|k| set[k] | all[i][k]))
            };
            ((0..least).map(either).collect(), exact)
        }
    };
    let exact = exact && all.len() <= PLACES;
    all.truncate(PLACES);
    (all, exact)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_stand_at_the_first_places_is_read_off_a_pattern() {
        for (pattern, may, may_not) in [
            ("npm_[A-Za-z0-9]{36}", &["npm_a", "npm_A0z", "n", ""][..], &["npm_npm_", "npx", "npm__"][..]),
            ("(?:live|test)_[0-9a-f]{3}", &["live_0", "test_fff", "tive_0"], &["live-", "test_g", "b"]),
            ("a(?:b|cd)e[0-9]", &["abe1", "acde1", "abzz"], &["ad", "b"]),
            ("a?b[0-9]{2}", &["ab1", "b12", "x"], &[]),
            ("(?i:ab)c{1,2}d", &["aBcd", "Abccd", "abcx"], &["abCd", "abd"]),
            (r"\Aab\b-(?:x[0-9]){2}y", &["ab-x1x2y", "ab-x1"], &["ab-xx", "ab-x1x2z"]),
        ] {
            let (places, _) = places(pattern);
            assert!(may.iter().all(|text| may_start(&places, text.as_bytes())), "{pattern}");
            assert!(!may_not.iter().any(|text| may_start(&places, text.as_bytes())), "{pattern}");
        }
    }

    #[test]
    fn a_sequence_of_few_places_is_all_that_a_match_has() {
        for (pattern, expected) in [
            ("sk-[0-9A-Za-z_-]{20}", true),
            ("(?i:ab)c{2}", true),
            ("npm_[A-Za-z0-9]{36}", false),
            ("[a-f]{36}", false),
            ("abc[0-9]{21}", true),
            ("abc[0-9]{21}d", false),
            ("ab?c", false),
            ("(?:ab|cd)e", false),
            (r"ab\bc", false),
            ("ab{1,2}", false),
        ] {
            let (places, exact) = places(pattern);
            assert_eq!(exact, expected, "{pattern}");
            let regex = regex::bytes::Regex::new(&format!(r"(?-u)\A(?:{pattern})"));
            for text in ["sk-0123456789abcdefghij-", "aBcc", "abc", "sk-short", ""].iter().filter(|_| exact) {
                let found =
                    regex.as_ref().ok().and_then(|regex| regex.find(text.as_bytes())).map(|m| m.end());
                let may = text.len() >= places.len() && may_start(&places, text.as_bytes());
                assert_eq!(may.then_some(places.len()), found, "{pattern} in {text}");
            }
        }
    }

    #[test]
    fn a_prefix_finds_its_rows_and_those_of_what_it_starts_with() {
        let table = Prefixes::new(
            &[("sk-", 7), ("sk-ant-", 3), ("ghp_", 1), ("sk-or-", 9), ("sk-", 2)],
            vec![("s.", 4), ("ya29.", 5), ("hvs.", 6)],
        );
        assert_eq!(table.rows(b"x sk-ant-1", 2), [2, 3, 7]);
        assert_eq!(table.rows(b"sk-or-1", 0), [2, 7, 9]);
        assert_eq!(table.rows(b"sk-1", 0), [2, 7]);
        assert_eq!(table.rows(b"ghp_", 0), [1]);
        assert_eq!(table.dotted(b"a ya29.x", 7), Some((5, 2)));
        assert_eq!(table.dotted(b"hvs.x", 4), Some((6, 0)));
        assert_eq!(table.dotted(b"xs.x", 3), Some((4, 1)));
        assert_eq!((table.dotted(b"ya29x", 4), table.dotted(b".x", 1)), (None, None));
        for (text, at) in [("ghx_", 0), ("sk", 0), ("", 0), ("sk-", 1), ("sk-", 9)] {
            assert!(table.rows(text.as_bytes(), at).is_empty(), "{text} {at}");
        }
    }

    #[test]
    fn the_leading_word_of_a_pattern_is_measured() {
        for (pattern, expected) in [
            ("gh[pos]_[A-Za-z0-9]{30}", 34),
            (r"SG\.[0-9A-Za-z_-]{16}", 2),
            (r"(?:ya29\.|GOCSPX-)[0-9]{20}", 4),
            ("a(?:b|cd){2}e", 4),
            (r"ab(?:c\.d){2}", 3),
            ("[a-z+]{9}", 0),
            ("a?b{0,5}c", 1),
        ] {
            let hir = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
            assert_eq!(hir.map(|hir| lead(&hir).0), Ok(expected), "{pattern}");
        }
    }
}

//! The developer's own detectors, checked when the redactor is built.
//!
//! A detector's pattern must say where it can be looked for: every match contains one of a few texts, at a known place
//! (`EMP-[0-9]{6}`: `EMP-`, at its start) or at most [`LEAD`] bytes after its start, where the developer names them. It is
//! bounded in length and in memory, and matched in linear time. So a detector costs nothing where its texts do not occur,
//! and a bounded number of steps where they do.
//!
//! A match starts where a word may start; neither it nor its context ever reads what is already hidden.

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::hir::{Hir, HirKind, literal::Extractor};

use super::options::{Detector, invalid};
use super::text::{MARKER, word_starts};
use crate::error::ConfigError;

/// A detector, compiled.
pub(super) struct Own {
    pub(super) name: Box<str>,
    pub(super) entity: Box<str>,
    search: Search,
    /// The longest match, in bytes.
    longest: usize,
    /// Lower-case; one of them must be near. Empty: no context is needed.
    context: Vec<Box<[u8]>>,
    before: usize,
    after: usize,
}

enum Search {
    /// The match starts this many bytes before the literal.
    At(Regex, usize),
    /// The match contains the literal.
    Round(Regex),
    /// The literal itself, as a whole word.
    Word(usize),
}

/// The longest match of a detector, in bytes.
pub(super) const LONGEST: usize = 1024;

/// The farthest that a text to look for may be from the start of a match, in bytes.
pub(super) const LEAD: usize = 64;

/// The farthest context, in bytes.
pub(super) const CONTEXT: usize = 256;

/// The shortest text that is worth looking for, in bytes.
const SHORTEST: usize = 3;

/// The most texts that one detector is looked for by.
const MOST: usize = 64;

impl Own {
    /// Compiles *detector*, and says which texts it is looked for by.
    pub(super) fn new(detector: &Detector<'_>) -> Result<(Self, Vec<Vec<u8>>), ConfigError> {
        let wrong = |what: String| invalid("detector", detector.name, &what);
        let hir = regex_syntax::ParserBuilder::new()
            .utf8(true)
            .nest_limit(50)
            .build()
            .parse(detector.pattern)
            .map_err(|error| {
                wrong(format!("has a pattern that is no regular expression of Rust's `regex`: {error}"))
            })?;
        let properties = hir.properties();
        if !properties.look_set().is_empty() {
            return Err(wrong(
                "has an anchor (`^`, `$`, `\\b`) in its pattern. Leave it out: a match starts where a word may start".into(),
            ));
        }
        if properties.minimum_len().is_none_or(|least| least == 0) {
            return Err(wrong("has a pattern that matches the empty text, and so any text".into()));
        }
        let Some(longest) = properties.maximum_len().filter(|most| *most <= LONGEST) else {
            return Err(wrong(format!(
                "has a pattern without a bound, or with one above {LONGEST} bytes. Bound its repetitions, as in [0-9]{{4,20}}"
            )));
        };
        let (literals, lead) = literals(&hir, detector, &wrong)?;
        let compile = |pattern: String| {
            RegexBuilder::new(&pattern).size_limit(1 << 20).dfa_size_limit(1 << 20).build().map_err(|_| {
                wrong("has a pattern that needs over 1 MiB. Use smaller classes or fewer repetitions".into())
            })
        };
        let search = match lead {
            Some(lead) => Search::At(compile(format!(r"\A(?:{})", detector.pattern))?, lead),
            None => Search::Round(compile(format!("(?:{})", detector.pattern))?),
        };
        let context =
            detector.context.iter().map(|word| word.to_ascii_lowercase().into_bytes().into()).collect();
        let own = Self {
            name: detector.name.into(),
            entity: detector.entity.into(),
            search,
            longest,
            context,
            before: detector.before,
            after: detector.after,
        };
        Ok((own, literals))
    }

    /// A word that is always hidden.
    pub(super) fn word(word: &str, entity: &str) -> Self {
        Self {
            name: "deny".into(),
            entity: entity.into(),
            search: Search::Word(word.len()),
            longest: word.len(),
            context: Vec::new(),
            before: 0,
            after: 0,
        }
    }

    /// How much of a text has to be there after a literal before it is known what is found: the longest match and its
    /// context, and what tells whether a word goes on.
    pub(super) fn reach(&self) -> usize {
        self.longest + self.after.max(super::options::WORD_END) + super::text::MARKER.len()
    }

    /// How far before a literal a match may start.
    pub(super) fn lead(&self) -> usize {
        match &self.search {
            Search::At(_, lead) => *lead,
            Search::Round(_) => LEAD,
            Search::Word(_) => 0,
        }
    }

    /// Where the match lies that the literal at *at* belongs to.
    pub(super) fn find(
        &self,
        text: &[u8],
        at: usize,
        floor: usize,
        glued: impl Fn(&[u8]) -> bool,
    ) -> Option<(usize, usize)> {
        if at < floor {
            return None;
        }
        let (start, end) = match &self.search {
            Search::Word(length) => {
                let end = at + length;
                let more = text.get(end..).is_some_and(|rest| continues(rest) && !glued(rest));
                (starts_word(text, at, floor) && !more).then_some((at, end))
            }
            Search::At(regex, lead) => {
                let start = at.checked_sub(*lead).filter(|start| *start >= floor)?;
                let found = regex.find(self.window(text, start, at))?;
                Some((start, start + found.end()))
            }
            Search::Round(regex) => {
                let from = floor.max(at.saturating_sub(LEAD));
                let window = self.window(text, from, at);
                let place = at - from;
                let found =
                    regex.find_iter(window).take_while(|m| m.start() <= place).find(|m| m.end() > place)?;
                Some((from + found.start(), from + found.end()))
            }
        }?;
        (starts_word(text, start, floor) && self.in_context(text, start, end, floor)).then_some((start, end))
    }

    /// What a match that starts at *start* may take: no replacement, nor more than the longest match.
    fn window<'t>(&self, text: &'t [u8], start: usize, at: usize) -> &'t [u8] {
        let window = &text[start..text.len().min(at + self.longest)];
        &window[..memchr::memmem::find(window, MARKER).unwrap_or(window.len())]
    }

    fn in_context(&self, text: &[u8], start: usize, end: usize, floor: usize) -> bool {
        if self.context.is_empty() {
            return true;
        }
        let line = |byte: &u8| matches!(byte, b'\n' | b'\r');
        let before = &text[floor.max(start.saturating_sub(self.before)).min(start)..start];
        let before = &before[before.iter().rposition(line).map_or(0, |i| i + 1)..];
        let after = &text[end..text.len().min(end + self.after)];
        let after = &after[..after.iter().position(line).unwrap_or(after.len())];
        let after = &after[..memchr::memmem::find(after, MARKER).unwrap_or(after.len())];
        let says = |text: &[u8]| {
            let lower = text.to_ascii_lowercase();
            self.context.iter().any(|word| memchr::memmem::find(&lower, word).is_some())
        };
        says(before) || says(after)
    }
}

/// The texts to look for, and how far into a match they stand; none for how far where the developer names them.
fn literals(
    hir: &Hir,
    detector: &Detector<'_>,
    wrong: &impl Fn(String) -> ConfigError,
) -> Result<(Vec<Vec<u8>>, Option<usize>), ConfigError> {
    if !detector.literals.is_empty() {
        if detector.literals.len() > MOST || detector.literals.iter().any(|l| l.len() < SHORTEST) {
            return Err(wrong(format!("has literals under {SHORTEST} bytes, or more than {MOST}")));
        }
        return Ok((detector.literals.iter().map(|l| l.as_bytes().to_vec()).collect(), None));
    }
    let mut lead = 0;
    let mut rest = hir.clone();
    loop {
        if let Some(found) = prefixes(&rest) {
            return Ok((found, Some(lead)));
        }
        // The first part is passed over if all that it matches is equally long.
        let HirKind::Concat(parts) = rest.kind() else { break };
        let Some((first, others)) = parts.split_first() else { break };
        let Some(width) = first.properties().maximum_len() else { break };
        if first.properties().minimum_len() != Some(width) || lead + width > LEAD {
            break;
        }
        lead += width;
        rest = Hir::concat(others.to_vec());
    }
    Err(wrong(format!(
        "has a pattern without a fixed text of at least {SHORTEST} bytes at a known place, by which it could be looked for. \
         Give literals: texts of which every match contains one, at most {LEAD} bytes after its start"
    )))
}

fn prefixes(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    let mut found = Extractor::new().limit_class(64).limit_total(4096).extract(hir);
    for bytes in [8, 5, 4, 3] {
        found.keep_first_bytes(bytes);
        found.dedup();
        let texts: Vec<Vec<u8>> = found.literals()?.iter().map(|l| l.as_bytes().to_vec()).collect();
        if texts.iter().any(|text| text.len() < SHORTEST) {
            return None;
        }
        if !texts.is_empty() && texts.len() <= MOST {
            return Some(texts);
        }
    }
    None
}

fn starts_word(text: &[u8], at: usize, floor: usize) -> bool {
    let letter = at > floor && text[at - 1] >= 0x80 && super::text::char_before(&text[floor..], at - floor).1;
    // What starts with a dash or a bracket starts nowhere inside a word.
    let joint = text.get(at).is_some_and(|b| b.is_ascii() && !b.is_ascii_alphanumeric());
    joint || (!letter && word_starts(text, at, floor))
}

fn continues(rest: &[u8]) -> bool {
    rest.first().is_some_and(|b| {
        if b.is_ascii() { b.is_ascii_alphanumeric() } else { super::text::char_at(rest, 0).1 }
    })
}

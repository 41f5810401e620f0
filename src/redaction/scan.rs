//! The engine: one pass for rare literals, one for marked bytes, and a closer look only where they hit.
//!
//! Both passes run over the text side by side, from left to right. A find is final when it is made, and the
//! search goes on after it: nothing is read twice, and what is hidden is no context for what follows. What
//! is already replaced counts as a find that needs no replacing. So a text in which the finds were replaced
//! is read like the text itself, and yields no others.
//!
//! # Why it is linear
//! A try at a literal matches a bounded head; a try at a mark reads only bytes that no other try reads
//! again (`values.rs`, `shapes.rs` say why). The header of a token that leads nowhere is remembered, so that
//! `eyJeyJeyJ…` is walked once.

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Span};
use regex::bytes::Regex;

use super::identifiers::Identifiers;
use super::marks::{self, Mark, Marks};
use super::names::Names;
use super::rules::{Extent, RULES, Rule};
use super::text::{marker_length, percent, run, token68, word_starts};
use super::{Finding, fields, shapes};
use crate::error::ConfigError;

/// The compiled table.
pub(super) struct Engine {
    literals: Literals,
    /// By literal: the rows that have it, in the table's order.
    rows: Vec<Vec<Row>>,
    names: Names,
    /// Only what was selected.
    identifiers: Option<Identifiers>,
}

#[derive(Clone)]
struct Row {
    rule: &'static Rule,
    head: Regex,
}

impl Engine {
    pub(super) fn new(names: Names, identifiers: Option<Identifiers>) -> Result<Self, ConfigError> {
        let mut literals: Vec<&str> = Vec::new();
        let mut rows: Vec<Vec<Row>> = Vec::new();
        for rule in RULES.iter().filter(|rule| !rule.literals.is_empty()) {
            let row = Row { rule, head: compile(rule)? };
            for literal in rule.literals {
                match literals.iter().position(|known| known == literal) {
                    Some(index) => rows[index].push(row.clone()),
                    None => {
                        literals.push(literal);
                        rows.push(vec![row.clone()]);
                    }
                }
            }
        }
        // The last literal is what a replacement starts with. It has no rows.
        literals.push("[REDACTED:");
        Ok(Self { literals: Literals::new(&literals)?, rows, names, identifiers })
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn identifiers(&self) -> impl Iterator<Item = &'static str> {
        self.identifiers.iter().flat_map(Identifiers::entities)
    }

    /// What is secret in *text*, from left to right, without overlaps. Allocates only if there is something.
    pub(super) fn scan(&self, text: &[u8]) -> Vec<Finding> {
        if self.identifiers.is_none() && text.len() < SHORTEST && !text.iter().any(|b| marks::is_sign(*b)) {
            return Vec::new();
        }
        let mut found: Vec<Finding> = Vec::new();
        let mut marks = Marks::new(text);
        let mut mark = marks.next();
        let mut literal = self.literals.next(text, 0);
        let mut done = 0;
        // Where a token's header that led nowhere ended.
        let mut vain = 0;
        // Where the last run of digits ended.
        let mut digits = 0;
        // The password of a URL whose user's name, which may be a secret as well, is still to be read.
        let mut ahead: Option<Finding> = None;
        let mut number = self.next_number(text, 0);
        loop {
            let place = mark.map_or(usize::MAX, |(at, _)| at);
            let next = literal.map_or(place, |(at, _)| place.min(at));
            let first = number.map_or(next, |at| next.min(at));
            if let Some(password) = ahead.take_if(|password| first >= password.start) {
                found.extend(Finding::new(password.start.max(done), password.end, password.entity));
                done = done.max(password.end);
            }
            // Where a secret may start as well, it goes first.
            if let Some(at) = number.filter(|at| *at < next) {
                number = self.number(text, at, &mut done, &mut found);
                continue;
            }
            match (mark, literal) {
                (_, Some((at, index))) if at <= place => {
                    if let Some(rows) = self.rows.get(index) {
                        let finding = token(rows, text, at, done, &mut vain);
                        done = finding.map_or(done, |f| f.end);
                        found.extend(finding);
                    } else if let Some(length) = marker_length(&text[at..]) {
                        done = done.max(at + length);
                    }
                    literal = self.literals.next(text, done.max(at + 1));
                }
                (Some((at, Mark::Digits)), _) => {
                    // A run may start inside a find and go on after it.
                    let from = at.max(done);
                    if from >= digits {
                        let known = found.len();
                        digits = shapes::cards(text, from, done, &mut found);
                        self.numbers_between(text, from, done, known, &mut found);
                        done = found.last().map_or(done, |f| f.end.max(done));
                    }
                    mark = marks.next();
                }
                (Some((at, Mark::Sign)), _) => {
                    if at >= done {
                        let finding = self.sign(text, at, done);
                        done = finding.map_or(done, |f| f.end);
                        found.extend(finding);
                        if finding.is_none() && text[at] == b':' && ahead.is_none() {
                            ahead = shapes::url_password(text, at, done);
                        }
                    }
                    mark = marks.next();
                }
                (None, _) => return found,
            }
        }
    }

    fn next_number(&self, text: &[u8], from: usize) -> Option<usize> {
        self.identifiers.as_ref()?.next(text, from)
    }

    /// Looks for an identifier at *at*, and returns the next place to look at.
    fn number(&self, text: &[u8], at: usize, done: &mut usize, found: &mut Vec<Finding>) -> Option<usize> {
        let identifiers = self.identifiers.as_ref()?;
        if at < *done {
            return identifiers.next(text, *done);
        }
        let after = identifiers.find(text, at, *done, found.last()).map_or_else(
            |after| after,
            |finding| {
                *done = finding.end;
                found.push(finding);
                finding.end
            },
        );
        identifiers.next(text, after)
    }

    /// The cards of a run are found at once, at its start: adds the identifiers before and between them.
    fn numbers_between(
        &self,
        text: &[u8],
        from: usize,
        mut done: usize,
        known: usize,
        found: &mut Vec<Finding>,
    ) {
        if self.identifiers.is_none() || found.len() == known {
            return;
        }
        let mut place = from.max(done);
        for card in found.split_off(known) {
            // As if the card was replaced already: what goes on into it is no number.
            let before = &text[..card.start];
            while let Some(at) = self.next_number(before, place) {
                place = at.max(done);
                place = self.number(before, place, &mut done, found).unwrap_or(card.start);
            }
            done = card.end;
            place = card.end;
            found.push(card);
        }
    }

    fn sign(&self, text: &[u8], at: usize, floor: usize) -> Option<Finding> {
        match text[at] {
            b'@' => shapes::email(text, at, 1, floor),
            b'%' if percent(text, at) == Some(b'@') => shapes::email(text, at, 3, floor),
            _ => fields::find(text, at, floor, &self.names),
        }
    }
}

/// The token that the first fitting row finds round a literal at *at*.
fn token(rows: &[Row], text: &[u8], at: usize, floor: usize, vain: &mut usize) -> Option<Finding> {
    rows.iter().find_map(|row| {
        let start = at.checked_sub(row.rule.before).filter(|start| *start >= floor)?;
        if row.rule.alone && !word_starts(text, start, floor) {
            return None;
        }
        let head = start + row.head.find(&text[start..])?.end();
        let first = &text[..text.len().min(head + CHECKED)];
        let (start, alphabet): (usize, fn(u8) -> bool) = match row.rule.extent {
            Extent::Run(alphabet) => (start, alphabet),
            Extent::Exactly(alphabet) if text.get(head).is_some_and(|b| alphabet(*b)) => return None,
            Extent::Exactly(_) => (start, |_| false),
            Extent::Credentials => {
                let blank = text[start..head].iter().rposition(|b| matches!(b, b' ' | b'\t' | b'+'));
                let escape = text[start..head].windows(3).rposition(|w| w == b"%20").map(|i| i + 2);
                (start + blank.max(escape)? + 1, token68)
            }
            Extent::Jwt if start < *vain => return None,
            Extent::Jwt => match shapes::jwt_end(text, start) {
                Ok(end) => return Finding::new(start, end, row.rule.entity),
                Err(reached) => {
                    *vain = reached;
                    return None;
                }
            },
            Extent::Pem => return Finding::new(start, shapes::pem_end(text, head), row.rule.entity),
            Extent::Shape => return None,
        };
        // Checked before the rest is walked, so that a token that fails costs a bounded number of steps.
        let checked = head + run(first, head, alphabet);
        if !(row.rule.check)(&text[start..checked]) {
            return None;
        }
        let end = checked + run(text, checked, alphabet);
        Finding::new(start, end, row.rule.entity)
    })
}

/// Without a sign (for names and addresses), a secret has at least the thirteen digits of a card.
const SHORTEST: usize = 13;

/// A check sees this much beyond a token's head.
const CHECKED: usize = 96;

fn compile(rule: &Rule) -> Result<Regex, ConfigError> {
    // ASCII classes keep the automata small, and a text need not be UTF-8.
    let pattern = format!(r"(?-u)\A(?:{})", rule.pattern);
    Regex::new(&pattern).map_err(|error| ConfigError::new(format!("the rule {}: {error}", rule.name)))
}

/// Finds the next literal: with vector instructions where the processor has them, by automaton elsewhere.
struct Literals {
    packed: Option<Searcher>,
    automaton: AhoCorasick,
}

impl Literals {
    fn new(literals: &[&str]) -> Result<Self, ConfigError> {
        let packed = Config::new().match_kind(MatchKind::LeftmostFirst).builder().extend(literals).build();
        let automaton = AhoCorasick::builder()
            .match_kind(aho_corasick::MatchKind::LeftmostFirst)
            .build(literals)
            .map_err(|error| ConfigError::new(format!("the rules' literals: {error}")))?;
        Ok(Self { packed, automaton })
    }

    #[inline]
    fn next(&self, text: &[u8], from: usize) -> Option<(usize, usize)> {
        let span = Span { start: from.min(text.len()), end: text.len() };
        let found = match &self.packed {
            Some(packed) if span.len() >= packed.minimum_len() => packed.find_in(text, span),
            _ => self.automaton.find(aho_corasick::Input::new(text).span(span)),
        }?;
        Some((found.start(), found.pattern().as_usize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_literal_hides_another() {
        // At one place only the first literal is reported: none may be the start of another.
        let all: Vec<&str> = RULES.iter().flat_map(|rule| rule.literals.iter().copied()).collect();
        for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
            assert!(a == b || !a.starts_with(b), "{a} starts with {b}");
            assert!(a.len() >= 3, "{a} is too short for the vector search");
        }
    }

    // The vector search takes 64 literals, the marker's among them. One more, and every text is searched slowly.
    #[test]
    fn the_literals_are_few_enough_for_the_vector_search() {
        let mut all: Vec<&str> = RULES.iter().flat_map(|rule| rule.literals.iter().copied()).collect();
        all.push("[REDACTED:");
        all.sort_unstable();
        all.dedup();
        assert!(all.len() <= 64, "{} literals", all.len());
        let vectors = cfg!(all(target_arch = "aarch64", target_feature = "neon"));
        #[cfg(target_arch = "x86_64")]
        let vectors = vectors || std::is_x86_feature_detected!("ssse3");
        let literals = Literals::new(&all);
        assert_eq!(literals.is_ok_and(|literals| literals.packed.is_some()), vectors);
    }
}

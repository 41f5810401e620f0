//! The engine: one pass for rare literals, one for marked bytes, and a closer look only where they hit.
//!
//! Both passes run over the text side by side, from left to right. A find is final when it is made, and the
//! search goes on after it: nothing is read twice, and what is hidden is no context for what follows. What
//! is already replaced counts as a find that needs no replacing. So a text in which the finds were replaced
//! is read like the text itself, and yields no others.
//!
//! Tokens that are long words after a prefix are looked up where a long word starts (`prefixes.rs`), however many kinds
//! there are. The literals are for the few that are not: what stands inside words, ends in a blank or a dot, or is the
//! developer's.
//!
//! # Why it is linear
//! A try at a literal or a word matches a bounded head; a try at a mark reads only bytes that no other try reads
//! again (`values.rs`, `shapes.rs` say why). The header of a token that leads nowhere is remembered, so that
//! `eyJeyJeyJ…` is walked once.

use std::sync::{LazyLock, OnceLock};

use aho_corasick::packed::{Config, MatchKind, Searcher};
use aho_corasick::{AhoCorasick, Span};
use regex::bytes::Regex;

use super::identifiers::{self, Identifiers};
use super::marks::{self, Mark, Marks};
use super::names::Names;
use super::nearby::Nearby;
use super::options::{self, Allowed, Options};
use super::own::Own;
use super::prefixes::{self, Prefixes, Route};
use super::rules::{self, Extent, Rule};
use super::text::{MARKER, marker_length, percent, run, starts_after_escape, token68, word_starts};
use super::{Finding, fields, shapes};
use crate::error::ConfigError;

/// The compiled table.
pub(super) struct Engine {
    literals: Literals,
    /// By literal: the rows that have it or what it starts with, in the table's order, the developer's first.
    by_literal: Vec<Vec<Row>>,
    prefixes: Prefixes,
    nearby: Nearby,
    own: Vec<Own>,
    allowed: Option<Allowed>,
    /// The entities that are looked for, in order; none for all.
    selected: Option<Vec<Box<str>>>,
    /// The shortest find.
    shortest: usize,
    /// Whether cards are looked for.
    cards: bool,
    names: Names,
    /// Only what was selected.
    identifiers: Option<Identifiers>,
}

#[derive(Clone, Copy, PartialEq)]
enum Row {
    /// Of the table, by its number.
    Built(usize),
    /// The developer's, by its number.
    Own(usize),
}

impl Engine {
    pub(super) fn new(options: &Options<'_>) -> Result<Self, ConfigError> {
        let names = Names::new(options.names)?;
        let mut known = known_entities(&names);
        known.extend(identifiers::rows().map(|row| row.entity));
        let own = options::own(options, &known)?;
        let denied = options.deny.iter().position(|(word, _)| names.entity(word.as_bytes()).is_some());
        if let Some(i) = denied {
            let problem = "is a name whose value is secret: hidden, it would tell nobody so. Leave it out";
            return Err(options::invalid("denied word", &(i + 1).to_string(), problem));
        }
        let chosen = |entity: &str| options.entities.is_none_or(|entities| entities.contains(&entity));
        let mut literals: Vec<(Vec<u8>, Row)> = Vec::new();
        let (mut compiled, mut shortest) = (Vec::new(), SHORTEST);
        for (i, (own, texts)) in own.into_iter().enumerate() {
            if i < options.deny.len() || chosen(&own.entity) {
                shortest = texts.iter().map(Vec::len).fold(shortest, usize::min);
                literals.extend(texts.into_iter().map(|text| (text, Row::Own(i))));
            }
            compiled.push(own);
        }
        let (mut words, mut dotted) = (Vec::new(), Vec::new());
        for (i, rule) in rules::all().enumerate().filter(|(_, rule)| chosen(rule.entity)) {
            match ROUTES[i] {
                Route::Word => words.extend(rule.literals.iter().map(|literal| (*literal, i))),
                Route::Dotted => dotted.extend(rule.literals.iter().map(|literal| (*literal, i))),
                Route::Literal => {
                    literals.extend(rule.literals.iter().map(|l| (l.as_bytes().to_vec(), Row::Built(i))));
                }
            }
        }
        let identifiers = Identifiers::new(options.entities.unwrap_or_default())?;
        let (literals, by_literal) = Literals::new(literals)?;
        Ok(Self {
            literals,
            by_literal,
            prefixes: Prefixes::new(&words, dotted),
            nearby: Nearby::new(rules::all().enumerate().filter(|(_, rule)| chosen(rule.entity))),
            own: compiled,
            allowed: if options.allow.is_empty() { None } else { Some(Allowed::new(options.allow)?) },
            selected: options.entities.map(|entities| entities.iter().map(|e| (*e).into()).collect()),
            shortest,
            cards: chosen("CREDIT_CARD"),
            names,
            identifiers,
        })
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    /// The developer's detector or word of this number.
    pub(super) fn own(&self, number: u16) -> Option<&Own> {
        self.own.get(usize::from(number))
    }

    /// Everything that a find can be called, in no order.
    pub(super) fn entities(&self) -> Vec<&str> {
        let mut all: Vec<&str> = known_entities(&self.names);
        all.extend(self.own.iter().map(|own| &*own.entity));
        all.retain(|entity| self.selects(entity));
        all.extend(self.own.iter().filter(|own| &*own.name == "deny").map(|own| &*own.entity));
        all.append(&mut self.identifiers.iter().flat_map(Identifiers::entities).collect());
        all
    }

    #[inline]
    pub(super) fn selects(&self, entity: &str) -> bool {
        self.selected.as_ref().is_none_or(|entities| entities.iter().any(|e| **e == *entity))
    }

    /// What is secret in *text*, from left to right, without overlaps. Allocates only if there is something.
    pub(super) fn scan(&self, text: &[u8]) -> Vec<Finding> {
        if self.identifiers.is_none()
            && text.len() < SHORTEST
            && text.len() < self.shortest
            && !text.iter().any(|b| marks::is_sign(*b))
        {
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
        // Up to here it is known whether a word starts right after a find.
        let mut seen = 0;
        let ahead_of = |literal: Option<(usize, usize)>| literal.map_or(usize::MAX, |(at, _)| at);
        let mut number = self.next_number(text, 0);
        loop {
            let place = mark.map_or(usize::MAX, |(at, _)| at);
            let next = literal.map_or(place, |(at, _)| place.min(at));
            // After a find a word starts, also where the find ends in the middle of one.
            let fresh = done > seen && done <= next;
            let first = if fresh { done } else { next };
            let first = number.map_or(first, |at| first.min(at));
            if let Some(password) = ahead.take_if(|password| first >= password.start) {
                let start = password.start.max(done);
                found.extend((start < password.end).then_some(Finding { start, ..password }));
                done = done.max(password.end);
                continue;
            }
            if fresh {
                seen = done;
                if text[done - 1].is_ascii_alphanumeric()
                    && let Some(finding) = self.word(text, done, done, ahead_of(literal))
                {
                    done = finding.end;
                    found.push(finding);
                    continue;
                }
            }
            // Where a secret may start as well, it goes first.
            if let Some(at) = number.filter(|at| *at < next) {
                let (floor, known) = (done, found.len());
                number = self.number(text, at, &mut done, &mut found);
                // A number that starts before a run of digits may not take the front of a card in it.
                if let Some((from, Mark::Digits)) = mark
                    && done > from
                    && from.max(floor) >= digits
                    && let Some(card) = self.first_card(text, from.max(floor), floor, done)
                {
                    found.truncate(known);
                    done = floor;
                    number = self.number(&text[..card], at, &mut done, &mut found).or(Some(card));
                }
                continue;
            }
            match (mark, literal) {
                (_, Some((at, index))) if at <= place => {
                    if let Some(rows) = self.by_literal.get(index).filter(|rows| !rows.is_empty()) {
                        let finding = self.first(rows, text, at, done, &mut vain);
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
                    // Where cards are not looked for, a number that is one by chance may be another identifier.
                    if from >= digits && self.cards {
                        let first = found.len();
                        digits = shapes::cards(text, from, done, &mut found);
                        self.numbers_between(text, from, done, first, &mut found);
                        done = found.last().map_or(done, |f| f.end.max(done));
                    }
                    mark = marks.next();
                }
                (Some((at, Mark::Sign)), _) => {
                    if at >= done {
                        let finding = self.sign(text, at, done).filter(|f| self.selects(f.entity));
                        done = finding.map_or(done, |f| f.end);
                        found.extend(finding);
                        if finding.is_none() && text[at] == b':' && ahead.is_none() {
                            ahead = shapes::url_password(text, at, done)
                                .filter(|f| self.selects(f.entity))
                                .map(|f| f.by("url_password"));
                        }
                    }
                    mark = marks.next();
                }
                (Some((at, Mark::Word)), _) => {
                    if at >= done
                        && let Some(finding) = self.word(text, at, done, ahead_of(literal))
                    {
                        done = finding.end;
                        found.push(finding);
                    }
                    mark = marks.next();
                }
                (None, _) => break,
            }
        }
        match &self.allowed {
            Some(allowed) => self.without(allowed, text, found),
            None => found,
        }
    }

    /// *found* without what is allowed. Denied words in that are found all the same.
    fn without(&self, allowed: &Allowed, text: &[u8], found: Vec<Finding>) -> Vec<Finding> {
        let mut left: Vec<Finding> = Vec::with_capacity(found.len());
        for finding in found {
            if self.is_denied(&finding) || !allowed.has(&text[finding.start..finding.end]) {
                left.push(finding);
            } else {
                self.denied_in(text, &finding, &mut left);
            }
        }
        left
    }

    /// Adds the denied words inside *finding*.
    fn denied_in(&self, text: &[u8], finding: &Finding, found: &mut Vec<Finding>) {
        let inside = &text[..finding.end];
        let mut floor = found.last().map_or(0, |f| f.end);
        let mut from = finding.start;
        while let Some((at, index)) = self.literals.next(inside, from) {
            from = at + 1;
            let denied = self.by_literal.get(index).into_iter().flatten().find_map(|row| match *row {
                Row::Own(number) => self.by_own(number, text, at, floor).filter(|f| self.is_denied(f)),
                Row::Built(_) => None,
            });
            if let Some(denied) = denied.filter(|f| f.end <= finding.end) {
                (from, floor) = (denied.end, denied.end);
                found.push(denied);
            }
        }
    }

    fn is_denied(&self, finding: &Finding) -> bool {
        finding.own.and_then(|number| self.own(number)).is_some_and(|own| &*own.name == "deny")
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
                // Its kind says it all: a row has one entity.
                found.push(Finding { rule: finding.entity, ..finding });
                finding.end
            },
        );
        identifiers.next(text, after)
    }

    /// Where the first card starts in the run of digits at *from*, if that is before *before*.
    fn first_card(&self, text: &[u8], from: usize, floor: usize, before: usize) -> Option<usize> {
        if !self.cards {
            return None;
        }
        let mut cards = Vec::new();
        shapes::cards(&text[..text.len().min(before + CARD)], from, floor, &mut cards);
        cards.first().map(|card| card.start).filter(|start| *start < before)
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
            _ => fields::find(text, at, floor, &self.names).map(|f| f.by("named")),
        }
    }

    /// The token that the long word at *at* is, or that starts after the escape in front of it.
    #[inline]
    fn word(&self, text: &[u8], at: usize, floor: usize, literal: usize) -> Option<Finding> {
        let here = self.token_at(text, at, floor, literal);
        if here.is_some() {
            return here;
        }
        let escape = at.checked_sub(1).is_some_and(|i| matches!(text[i], b'\\' | b'%' | b'[' | b';'));
        if !escape {
            return None;
        }
        starts_after_escape(text, at)
            .into_iter()
            .flatten()
            .find_map(|at| self.token_at(text, at, floor, literal))
    }

    #[inline]
    fn token_at(&self, text: &[u8], at: usize, floor: usize, literal: usize) -> Option<Finding> {
        let rows = self.prefixes.rows(text, at);
        let mut found = rows.iter().find_map(|row| table(*row, text, at, floor, &mut 0));
        if found.is_none()
            && let Some((row, start)) = self.prefixes.dotted(text, at)
        {
            found = table(row, text, start, floor, &mut 0);
        }
        found.or_else(|| self.nearby.find(text, at, floor, literal, |rest| self.glued(rest)))
    }

    /// Whether a secret starts here that may stand in the middle of a word.
    fn glued(&self, rest: &[u8]) -> bool {
        GLUED.iter().any(|literal| rest.starts_with(literal))
    }

    fn first(&self, rows: &[Row], text: &[u8], at: usize, floor: usize, vain: &mut usize) -> Option<Finding> {
        rows.iter().find_map(|row| match *row {
            Row::Built(row) => table(row, text, at, floor, vain),
            Row::Own(number) => self.by_own(number, text, at, floor),
        })
    }

    /// What the developer's detector or word of this number finds at *at*.
    fn by_own(&self, number: usize, text: &[u8], at: usize, floor: usize) -> Option<Finding> {
        let (start, end) = self.own.get(number)?.find(text, at, floor, |rest| self.glued(rest))?;
        let number = u16::try_from(number).ok()?;
        Finding::new(start, end, "").map(|f| Finding { own: Some(number), ..f })
    }
}

fn known_entities(names: &Names) -> Vec<&'static str> {
    rules::all().map(|rule| rule.entity).chain(names.entities()).collect()
}

/// The heads of all rows, in the table's order, each compiled when it is first tried. That none fails, a test shows.
static HEADS: LazyLock<Vec<Head>> =
    LazyLock::new(|| rules::all().map(|rule| Head { rule, head: OnceLock::new() }).collect());

/// The routes to all rows, in the table's order.
static ROUTES: LazyLock<Vec<Route>> = LazyLock::new(|| rules::all().map(prefixes::route).collect());

struct Head {
    rule: &'static Rule,
    head: OnceLock<Option<Regex>>,
}

impl Head {
    fn regex(&self) -> Option<&Regex> {
        // ASCII classes keep the automata small, and a text need not be UTF-8.
        let compile = || Regex::new(&format!(r"(?-u)\A(?:{})", self.rule.pattern)).ok();
        self.head.get_or_init(compile).as_ref()
    }
}

/// Whether all of *secret* is what the row's pattern describes.
pub(super) fn is_whole(row: usize, secret: &[u8]) -> bool {
    let head = HEADS.get(row).and_then(Head::regex);
    head.and_then(|head| head.find(secret)).is_some_and(|found| found.end() == secret.len())
}

/// How secrets start that may stand in the middle of a word.
static GLUED: LazyLock<Vec<&'static [u8]>> = LazyLock::new(|| {
    let inside = rules::all().filter(|rule| !rule.alone && rule.before == 0);
    inside.flat_map(|rule| rule.literals).map(|literal| literal.as_bytes()).collect()
});

/// The token that a row of the table finds round a literal at *at*.
fn table(row: usize, text: &[u8], at: usize, floor: usize, vain: &mut usize) -> Option<Finding> {
    let compiled = HEADS.get(row)?;
    let rule = compiled.rule;
    let start = at.checked_sub(rule.before).filter(|start| *start >= floor)?;
    if rule.alone && !word_starts(text, start, floor) {
        return None;
    }
    let found = |start, end| Finding::new(start, end, rule.entity).map(|f| f.by(rule.name));
    let head = start + compiled.regex()?.find(&text[start..])?.end();
    let first = &text[..text.len().min(head + CHECKED)];
    let (start, alphabet): (usize, fn(u8) -> bool) = match rule.extent {
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
            Ok(end) => return found(start, end),
            Err(reached) => {
                *vain = reached;
                return None;
            }
        },
        Extent::Pem => return found(start, shapes::pem_end(text, head)),
        Extent::Shape | Extent::Near { .. } => return None,
    };
    // Checked before the rest is walked, so that a token that fails costs a bounded number of steps.
    let checked = head + run(first, head, alphabet);
    if !(rule.check)(&text[start..checked]) {
        return None;
    }
    let end = checked + run(text, checked, alphabet);
    found(start, end)
}

/// Without a sign (for names and addresses), a secret has at least the thirteen digits of a card.
const SHORTEST: usize = 13;

/// A card's number, its separators and what is looked at behind it are shorter than this.
const CARD: usize = 64;

/// A check sees this much beyond a token's head.
const CHECKED: usize = 96;

/// Finds the next literal: with vector instructions where the processor has them, by automaton elsewhere.
struct Literals {
    packed: Option<Searcher>,
    automaton: AhoCorasick,
}

impl Literals {
    /// The search, and by literal its rows. What is longer comes first, and has the rows of what it starts with.
    fn new(pairs: Vec<(Vec<u8>, Row)>) -> Result<(Self, Vec<Vec<Row>>), ConfigError> {
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
        let automaton = AhoCorasick::builder()
            .match_kind(aho_corasick::MatchKind::LeftmostFirst)
            .build(&texts)
            .map_err(|error| ConfigError::new(format!("the rules' literals: {error}")))?;
        Ok((Self { packed, automaton }, by_literal))
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

    fn default_literals() -> Vec<&'static str> {
        let searched = rules::all().filter(|rule| prefixes::route(rule) == Route::Literal);
        searched.flat_map(|rule| rule.literals.iter().copied()).collect()
    }

    #[test]
    fn every_pattern_compiles() {
        assert!(HEADS.iter().all(|head| head.regex().is_some()));
    }

    #[test]
    fn no_literal_hides_another() {
        // At one place only the first literal is reported: none may be the start of another.
        let all = default_literals();
        for (a, b) in all.iter().flat_map(|a| all.iter().map(move |b| (a, b))) {
            assert!(a == b || !a.starts_with(b), "{a} starts with {b}");
            assert!(a.len() >= 3, "{a} is too short for the vector search");
        }
    }

    // The vector search takes 64 literals, the marker's among them. One more, and every text is searched slowly.
    // Rows that are long words are not among them.
    #[test]
    fn the_literals_are_few_enough_for_the_vector_search() {
        let mut all = default_literals();
        all.push("[REDACTED:");
        all.sort_unstable();
        all.dedup();
        assert!(all.len() <= 64, "{} literals: {all:?}", all.len());
        let vectors = cfg!(all(target_arch = "aarch64", target_feature = "neon"));
        #[cfg(target_arch = "x86_64")]
        let vectors = vectors || std::is_x86_feature_detected!("ssse3");
        let engine = Engine::new(&Options::default());
        assert_eq!(engine.is_ok_and(|engine| engine.literals.packed.is_some()), vectors);
    }
}

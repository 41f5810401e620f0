//! The engine: what a redactor looks for, and what it decides at a place that may be worth it (`pass.rs` finds these).
//!
//! Tokens that are long words after a prefix are looked up where a long word starts (`prefixes.rs`), however many kinds
//! there are. The literals are for the few that are not: what stands inside words, ends in a blank or a dot, or is the
//! developer's.
//!
//! # Why it is linear
//! A try at a literal or a word matches a bounded head; a try at a mark reads a bounded number of bytes, and what a find
//! takes beyond them is read by no other (`tails.rs`). The header of a token that leads nowhere is remembered, so that
//! `eyJeyJeyJ…` is walked once.

use super::ahead::{Known, Text, any};
use super::heads::{HEAD, ROUTES, goes_on, is_glued, table};
use super::identifiers::{self, Identifiers};
use super::literals::{Literals, Row};
use super::marks;
use super::names::Names;
use super::nearby::Nearby;
use super::options::{self, Allowed, Options};
use super::own::Own;
use super::pass::Pass;
use super::prefixes::{Prefixes, Route};
use super::rules;
use super::text::starts_after_escape;
use super::{Find, Finding, fields, labels, shapes};
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
        let identifiers = Identifiers::new(options.entities.unwrap_or_default(), options.context)?;
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
            && !text.iter().any(|b| marks::is_sign(*b) || *b == b'-')
        {
            return Vec::new();
        }
        let mut found: Vec<Finding> = Vec::new();
        // Nothing is missing of a text that is whole.
        let _ = Pass::default().advance(self, Text::whole(text), &mut found);
        found
    }

    pub(super) fn literals(&self) -> &Literals {
        &self.literals
    }

    /// What a literal belongs to; nothing, for what a replacement starts with.
    pub(super) fn rows(&self, literal: usize) -> &[Row] {
        self.by_literal.get(literal).map_or(&[], Vec::as_slice)
    }

    pub(super) fn identifiers(&self) -> Option<&Identifiers> {
        self.identifiers.as_ref()
    }

    pub(super) fn has_cards(&self) -> bool {
        self.cards
    }

    /// Whether there are finds that are left alone, which is known only at their ends.
    pub(super) fn allows(&self) -> bool {
        self.allowed.is_some()
    }

    /// Whether this would be left alone if it were a find.
    pub(super) fn allows_value(&self, value: &[u8]) -> bool {
        value.len() <= ALLOWED && self.allowed.as_ref().is_some_and(|allowed| allowed.has(value))
    }

    /// How far before a place where a literal is found what is found may start.
    pub(super) fn lead(&self) -> usize {
        self.own.iter().map(Own::lead).max().unwrap_or_default()
    }

    /// Adds *finding* to what was *found*; if it is allowed, the denied words in it instead. One that *is_cut* is longer
    /// than what is there of it.
    pub(super) fn judge(
        &self,
        text: Text<'_>,
        finding: Finding,
        is_cut: bool,
        found: &mut Vec<Finding>,
    ) -> Known<()> {
        let value = &text[finding.start..finding.end];
        if !is_cut && !self.is_denied(&finding) && self.allows_value(value) {
            text.need(finding.end + options::WORD_END, any)?;
            self.denied_in(&text, &finding, found);
        } else {
            found.push(finding);
        }
        Ok(())
    }

    /// Adds the denied words inside *finding*.
    fn denied_in(&self, text: &[u8], finding: &Finding, found: &mut Vec<Finding>) {
        let inside = &text[..finding.end];
        let (mut floor, mut from) = (finding.start, finding.start);
        while let Some((at, index)) = self.literals.next(inside, from) {
            from = at + 1;
            let denied = self.by_literal.get(index).into_iter().flatten().find_map(|row| match *row {
                Row::Own(number) => self.own_at(number, text, at, floor).filter(|f| self.is_denied(f)),
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

    /// The identifier at *at*, or the place after which to look for the next.
    pub(super) fn number(
        &self,
        text: Text<'_>,
        at: usize,
        floor: usize,
        last: Option<&Finding>,
    ) -> Known<Result<Finding, usize>> {
        let Some(identifiers) = &self.identifiers else { return Ok(Err(at + 1)) };
        identifiers.settle(text, at)?;
        let found = identifiers.find(&text, at, floor, last);
        let Ok(finding) = found else { return Ok(found) };
        // A number may not take the front of a card: it is looked for as if that was replaced already.
        let Some(card) = self.card_in(text, finding.start + 1, finding.end, floor)? else { return Ok(found) };
        Ok(identifiers.find(&text[..card], at, floor, last).map_err(|_| card))
    }

    /// Where the first card starts between two places.
    fn card_in(&self, text: Text<'_>, from: usize, to: usize, floor: usize) -> Known<Option<usize>> {
        if !self.cards {
            return Ok(None);
        }
        for at in from..to {
            let starts = text[at].is_ascii_digit() && !text[at - 1].is_ascii_digit();
            if starts && let (Some(card), _) = shapes::card_at(text, at, floor)? {
                return Ok(Some(card.start));
            }
        }
        Ok(None)
    }

    /// Whether the sign at *at* stands after a word that is no secret name, and so announces nothing: as most signs do. That
    /// is so whatever was found before it.
    #[inline]
    pub(super) fn announces_nothing(&self, text: Text<'_>, at: usize) -> bool {
        match text[at] {
            b'=' => {
                let before = &text[..at];
                self.names.is_none(before) || (self.names.may_label(before) && !labels::may_be(&text, at))
            }
            // The colon of a URL stands before two slashes.
            b':' => text.get(at + 1).is_some_and(|b| *b != b'/') && self.names.is_none(&text[..at]),
            // A list of texts, and an option of a command.
            b'[' => text
                .get(at + 1)
                .is_some_and(|b| !matches!(b, b'"' | b'\'' | b'b' | b'u' | b'r' | b'\\' | b' ')),
            b'-' => !text[..at].ends_with(b"-") || text[..at].ends_with(b"--"),
            b'_' => true,
            // An escape by number, of a sign.
            b'\\' => text.get(at + 1).is_some_and(|b| !matches!(b, b'u' | b'x')),
            0xEF => {
                text.get(at + 1).is_some_and(|b| *b != 0xBC)
                    || text.get(at + 2).is_some_and(|b| !matches!(b, 0x9A | 0x9D))
            }
            _ => false,
        }
    }

    /// What the sign at *at* stands in, or announces.
    pub(super) fn sign(&self, text: Text<'_>, at: usize, floor: usize) -> Known<Option<Find>> {
        let length = match text[at] {
            b'@' => 1,
            b'%' if text.percent(at)? == Some(b'@') => 3,
            _ => {
                let found = fields::find(text, at, floor, &self.names, &|entity| self.selects(entity))?;
                return Ok(found.map(|find| find.by(NAMED)));
            }
        };
        if self.selects("EMAIL_ADDRESS") { shapes::email(text, at, length, floor) } else { Ok(None) }
    }

    /// The password of the URL that has its colon at *at*.
    pub(super) fn url_password(&self, text: Text<'_>, at: usize, floor: usize) -> Known<Option<Find>> {
        if !self.selects("PASSWORD") {
            return Ok(None);
        }
        Ok(shapes::url_password(text, at, floor)?.map(|find| find.by("url_password")))
    }

    /// The token that the long word at *at* is, or that starts after the escape in front of it. No literal is nearer than
    /// *literal*.
    #[inline]
    pub(super) fn word(
        &self,
        text: Text<'_>,
        at: usize,
        floor: usize,
        literal: usize,
    ) -> Known<Option<Find>> {
        let here = self.token_at(text, at, floor, literal)?;
        if here.is_some() {
            return Ok(here);
        }
        let escape = at.checked_sub(1).is_some_and(|i| matches!(text[i], b'\\' | b'%' | b'[' | b';'));
        if !escape {
            return Ok(None);
        }
        text.need(at + ESCAPE, any)?;
        for at in starts_after_escape(&text, at).into_iter().flatten() {
            let found = self.token_at(text, at, floor, literal)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    #[inline]
    fn token_at(&self, text: Text<'_>, at: usize, floor: usize, literal: usize) -> Known<Option<Find>> {
        text.seen(at, HEAD, goes_on)?;
        for row in self.prefixes.rows(&text, at) {
            let found = table(*row, text, at, floor, &mut 0)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        if let Some((row, start)) = self.prefixes.dotted(&text, at) {
            let found = table(row, text, start, floor, &mut 0)?;
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(self.nearby.find(&text, at, floor, literal, is_glued).map(Find::whole))
    }

    /// What the first of *rows* that finds something finds round the literal at *at*.
    pub(super) fn first(
        &self,
        rows: &[Row],
        text: Text<'_>,
        at: usize,
        floor: usize,
        vain: &mut usize,
    ) -> Known<Option<Find>> {
        for row in rows {
            let found = match *row {
                Row::Built(row) => table(row, text, at, floor, vain)?,
                Row::Own(number) => self.by_own(number, text, at, floor)?,
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn by_own(&self, number: usize, text: Text<'_>, at: usize, floor: usize) -> Known<Option<Find>> {
        let reach = self.own.get(number).map_or(0, Own::reach);
        text.need(at + reach, any)?;
        Ok(self.own_at(number, &text, at, floor).map(Find::whole))
    }

    /// What the developer's detector or word of this number finds at *at*.
    fn own_at(&self, number: usize, text: &[u8], at: usize, floor: usize) -> Option<Finding> {
        let (start, end) = self.own.get(number)?.find(text, at, floor, is_glued)?;
        let number = u16::try_from(number).ok()?;
        Finding::new(start, end, "").map(|f| Finding { own: Some(number), ..f })
    }
}

fn known_entities(names: &Names) -> Vec<&'static str> {
    rules::all().map(|rule| rule.entity).chain(names.entities()).collect()
}

/// An escape, or a terminal's colour code, is shorter.
const ESCAPE: usize = 24;

/// A find that is longer is none that is left alone.
pub(super) const ALLOWED: usize = 1024;

/// Without a sign (for names and addresses), a secret has at least the thirteen digits of a card.
const SHORTEST: usize = 13;

/// The rule of what a name announces.
pub(super) const NAMED: &str = "named";

#[cfg(test)]
mod tests;

//! One pass through a text: what may be secret is met from left to right, and decided as it is met.
//!
//! Four searches run over the text side by side: for marked bytes (`marks.rs`), for literals (`literals.rs`), for groups of
//! digits in a run that was marked, and for places where an identifier may start. The leftmost of what they have found is
//! decided next. Marks and places that lead to nothing, whatever is found before them, are passed over by the searches
//! themselves ([`Engine::announces_nothing`], `identifiers/starts.rs`): most are such.
//!
//! A find is final when it is made, and the pass goes on after it: nothing is read twice, and what is hidden is no context
//! for what follows. What is already replaced counts as a find that needs no replacing. So a text in which the finds were
//! replaced is read like the text itself, and yields no others.
//!
//! A text that is not there yet as a whole is read by the same pass ([`Text`]): it stops where a decision needs more, and
//! goes on there with more of the text. It remembers places and a few numbers, and nothing of the text; what may be cut
//! off in front is said by [`Pass::shift`]. Nothing before [`BEHIND`] bytes before the place is read.

use super::ahead::{Known, More, Text, never};
use super::beyond::WINDOW;
use super::identifiers::{Block, Identifiers};
use super::marks::{self, Mark, Marks};
use super::scan::{Engine, NAMED};
use super::{Find, Finding, shapes};

/// How far back what is decided at a place may read, in bytes.
pub(super) const BEHIND: usize = 512;

/// How far the pass has come.
#[derive(Default)]
pub(super) struct Pass {
    /// Where the last find, or what was replaced before, ended.
    done: usize,
    /// Up to here it is known whether a word starts right after a find.
    seen: usize,
    /// Where a token's header that led nowhere ended.
    vain: usize,
    /// The last mark that was read, and up to where there are no others.
    mark: Option<(usize, Mark)>,
    marked: usize,
    /// The next literal, if it is known, and from where on to search.
    literal: Option<(usize, usize)>,
    literal_from: usize,
    /// Where the next group of digits is, in the run that is being read; in the middle of one that is no card's.
    digits: Option<usize>,
    in_group: bool,
    /// From where on an identifier may start; in the middle of a run of letters and digits that begins none.
    number_from: usize,
    in_run: bool,
    /// The password of a URL whose user's name, which may be a secret as well, is still to be read.
    ahead: Option<Find>,
    /// A find whose end is not known yet.
    inside: Option<Find>,
    last: Option<Finding>,
    /// Where the next decision is made.
    place: usize,
}

/// Stands for a place that there is none of.
const NOWHERE: usize = usize::MAX;

impl Pass {
    /// Where the next decision is made, if it is not where the find ends that was begun.
    pub(super) fn place(&self) -> usize {
        self.ahead.as_ref().map_or(self.place, |password| self.place.min(password.finding.start))
    }

    /// Where the last find ended.
    pub(super) fn done(&self) -> usize {
        self.done
    }

    /// The find that has begun and not ended.
    pub(super) fn inside(&self) -> Option<&Find> {
        self.inside.as_ref()
    }

    /// The same after so many bytes were cut off in front.
    pub(super) fn shift(&mut self, cut: usize) {
        for place in [
            &mut self.done,
            &mut self.seen,
            &mut self.vain,
            &mut self.marked,
            &mut self.literal_from,
            &mut self.number_from,
            &mut self.place,
        ] {
            *place = place.saturating_sub(cut);
        }
        // What was cut off lies before all that is still to be read.
        self.mark = self.mark.and_then(|(at, mark)| at.checked_sub(cut).map(|at| (at, mark)));
        self.literal = self.literal.map(|(at, index)| (at.saturating_sub(cut), index));
        self.digits = self.digits.map(|at| at.saturating_sub(cut));
        for find in [&mut self.ahead, &mut self.inside].into_iter().flatten() {
            find.shift(cut);
        }
        self.last = self.last.map(|last| last.shifted(cut));
    }

    /// Reads on to the text's end, or to where more of it is needed, and adds what is found.
    pub(super) fn advance(&mut self, engine: &Engine, text: Text<'_>, found: &mut Vec<Finding>) -> Known<()> {
        // Compiled for both, so that a text that is whole costs nothing of what only one that goes on needs.
        if text.is_whole() {
            self.read::<true>(engine, text, found)
        } else {
            self.read::<false>(engine, text, found)
        }
    }

    fn read<const WHOLE: bool>(
        &mut self,
        engine: &Engine,
        text: Text<'_>,
        found: &mut Vec<Finding>,
    ) -> Known<()> {
        let text = text.known_whole(WHOLE);
        if let Some(password) = &mut self.ahead {
            // Read while it is there: what finds before it take may be cut off.
            let _ = password.tail.run(text);
        }
        let mut marks = Marks::from(&text, self.marked);
        let mut block = Block::default();
        let mut next_mark = || loop {
            match marks.next() {
                Some((at, Mark::Sign)) if engine.announces_nothing(text, at) => {}
                mark => return mark,
            }
        };
        let mut mark = next_mark();
        while mark.is_some() && mark <= self.mark {
            mark = next_mark();
        }
        let marked = if WHOLE { NOWHERE } else { marks::known(&text) };
        let begun = if WHOLE { NOWHERE } else { engine.literals().begun(&text, 0) };
        loop {
            if self.inside.is_some() {
                self.end(engine, text, found)?;
            }
            let known = marked.min(self.search(engine, text, begun));
            let place = mark.map_or(NOWHERE, |(at, _)| at);
            if !WHOLE {
                self.marked = place.min(known).min(text.len()).max(self.marked);
            }
            let literal = self.literal.map_or(NOWHERE, |(at, _)| at);
            let group =
                if self.digits.is_some() { self.next_group(text).unwrap_or(NOWHERE) } else { NOWHERE };
            let next = place.min(literal).min(group);
            // After a find a word starts, also where the find ends in the middle of one.
            let fresh = self.done > self.seen && self.done <= place.min(literal) && self.done < group;
            let next = if fresh { self.done } else { next };
            let ahead = self.ahead.as_ref().map_or(NOWHERE, |password| password.finding.start);
            // What is decided there first may make another text of what follows.
            let limit = next.min(known).min(ahead);
            let number = engine.identifiers().and_then(|all| self.next_number(all, text, limit, &mut block));
            let number = number.unwrap_or(NOWHERE);
            let first = next.min(number);
            if self.ahead.is_some() && self.take_ahead(text, first.min(known))? {
                continue;
            }
            if first >= known {
                self.place = known.max(self.done).min(text.len());
                return if WHOLE { Ok(()) } else { Err(More::until(text.len() + 1, never)) };
            }
            self.place = first;
            if fresh {
                if text[self.done - 1].is_ascii_alphanumeric()
                    && let Some(find) = engine.word(text, self.done, self.done, literal.min(begun))?
                {
                    self.inside = Some(find);
                }
                self.seen = self.done;
                continue;
            }
            // Where a secret may start as well, it goes first.
            if number < next {
                self.number(engine, text, number)?;
            } else if literal == next {
                self.literal(engine, text)?;
            } else if group == next {
                self.group(text, group)?;
            } else if let Some((at, kind)) = mark {
                self.marked(engine, text, at, kind, literal.min(begun))?;
                self.mark = mark;
                mark = next_mark();
            }
        }
    }

    /// Looks for the end of the find that has begun.
    fn end(&mut self, engine: &Engine, text: Text<'_>, found: &mut Vec<Finding>) -> Known<()> {
        while let Some(find) = &mut self.inside {
            let ended = find.tail.run(text);
            let (read, named) = (find.tail.least(), find.finding.rule == NAMED);
            // What is shorter is looked through at its end.
            if named && (find.is_cut || read.saturating_sub(find.finding.start) > WINDOW) {
                find.key.read(text, read);
            }
            let finding = Finding { end: ended?, ..find.finding };
            let (key, last) = (find.key.is_open(), self.last.as_ref());
            if named && let Some(tail) = engine.beyond(text, &finding, key, self.done, last)? {
                find.tail = tail;
                continue;
            }
            engine.judge(text, finding, find.is_cut, found)?;
            self.inside = None;
            self.last = Some(finding);
            self.done = finding.end;
        }
        Ok(())
    }

    /// Goes on with the password of a URL that begins at or before *first*.
    fn take_ahead(&mut self, text: Text<'_>, first: usize) -> Known<bool> {
        let Some(password) = self.ahead.as_mut().filter(|find| first >= find.finding.start) else {
            return Ok(false);
        };
        let known = password.tail.run(text);
        if password.tail.least() <= self.done.max(password.finding.start)
            && let Err(more) = known
        {
            // Another find has taken all that is there of it. Whether anything is left is not known yet.
            self.place = self.done.max(self.place);
            return Err(more);
        }
        let Some(password) = self.ahead.take() else { return Ok(false) };
        self.inside = password.after(self.done);
        self.done = if self.inside.is_none() { self.done.max(password.tail.least()) } else { self.done };
        Ok(true)
    }

    /// Looks for the next literal, and says up to where none begins but that one. The first that would go on after the
    /// text's end begins at *begun*.
    #[inline]
    fn search(&mut self, engine: &Engine, text: Text<'_>, begun: usize) -> usize {
        let from = self.literal_from.max(self.done);
        if self.literal.is_none() && from < text.len() {
            self.literal = engine.literals().next(&text, from);
        }
        if text.is_whole() {
            self.literal_from = if self.literal.is_none() { text.len() } else { self.literal_from };
            return NOWHERE;
        }
        let begun = if begun < from { engine.literals().begun(&text, from) } else { begun };
        match self.literal {
            // One that begins before, or a longer one at the same place, may be there.
            Some((at, _)) if begun <= at => self.literal = None,
            None => self.literal_from = from.max(begun.min(text.len())),
            Some(_) => {}
        }
        begun
    }

    fn literal(&mut self, engine: &Engine, text: Text<'_>) -> Known<()> {
        let Some((at, index)) = self.literal else { return Ok(()) };
        if at >= self.done {
            match engine.rows(index) {
                [] => {
                    if let Some(length) = text.marker(at)? {
                        self.done = at + length;
                    }
                }
                rows => self.inside = engine.first(rows, text, at, self.done, &mut self.vain)?,
            }
        }
        self.literal = None;
        self.literal_from = at + 1;
        Ok(())
    }

    /// Where the next group of digits starts in the run that is being read.
    fn next_group(&mut self, text: Text<'_>) -> Option<usize> {
        let mut at = self.digits?;
        if at < self.done {
            (at, self.in_group) = (self.done, false);
        }
        if self.in_group {
            at += text.get(at..)?.iter().take_while(|b| b.is_ascii_digit()).count();
            self.in_group = at == text.len() && !text.is_whole();
        }
        let group = shapes::next_group(&text, at);
        self.digits = match group {
            Some(group) => Some(group),
            // The run may go on.
            None if at == text.len() && !text.is_whole() => Some(at),
            None if !text.is_whole() && text[at..].iter().all(|b| matches!(b, b' ' | b'-')) => {
                Some(text.len())
            }
            None => None,
        };
        group
    }

    fn group(&mut self, text: Text<'_>, at: usize) -> Known<()> {
        let (card, next) = shapes::card_at(text, at, self.done)?;
        if let Some(card) = card {
            self.inside = Some(Find::whole(card));
        }
        (self.digits, self.in_group) = (next, next == Some(at));
        Ok(())
    }

    /// Where the next identifier may start. At or after *limit*, any number may.
    fn next_number(
        &mut self,
        identifiers: &Identifiers,
        text: Text<'_>,
        limit: usize,
        block: &mut Block,
    ) -> Option<usize> {
        if self.number_from < self.done {
            (self.number_from, self.in_run) = (self.done, false);
        }
        if self.in_run {
            let rest = text.get(self.number_from..)?;
            self.number_from += rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count();
            self.in_run = self.number_from == text.len();
        }
        let next = identifiers.next_likely(text, self.number_from, limit, self.done, block);
        self.number_from = next.unwrap_or(text.len());
        next
    }

    fn number(&mut self, engine: &Engine, text: Text<'_>, at: usize) -> Known<()> {
        match engine.number(text, at, self.done, self.last.as_ref())? {
            Ok(finding) => {
                // Its kind says it all: a row has one entity.
                self.inside = Some(Find::whole(finding.by(finding.entity)));
                (self.number_from, self.in_run) = (finding.end, false);
            }
            Err(after) => {
                self.in_run = text.get(after - 1).is_some_and(u8::is_ascii_alphanumeric);
                self.number_from = after;
            }
        }
        Ok(())
    }

    fn marked(
        &mut self,
        engine: &Engine,
        text: Text<'_>,
        at: usize,
        kind: Mark,
        literal: usize,
    ) -> Known<()> {
        match kind {
            // Where cards are not looked for, a number that is one by chance may be another identifier.
            Mark::Digits if engine.has_cards() => {
                // A run may start inside a find and go on after it.
                (self.digits, self.in_group) = (Some(at.max(self.done)), false);
            }
            Mark::Sign if at >= self.done => {
                if let Some(find) = engine.sign(text, at, self.done)? {
                    self.inside = Some(find);
                } else if text[at] == b':' && self.ahead.is_none() && text.starts_with(at + 1, b"//")? {
                    self.ahead = engine.url_password(text, at, self.done)?;
                }
            }
            Mark::Word if at >= self.done => {
                if let Some(find) = engine.word(text, at, self.done, literal)? {
                    self.inside = Some(find);
                }
            }
            _ => {}
        }
        Ok(())
    }
}

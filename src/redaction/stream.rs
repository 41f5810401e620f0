//! Redacts a text that arrives in chunks, and passes on what is decided.
//!
//! The rules, in order:
//! 1. what leaves is, for every text and every way to cut it, what [`Redactor::redact_bytes`] makes of the whole: a stream is
//!    that same pass (`pass.rs`), which stops where a decision needs bytes that have not come, and goes on there;
//! 2. a byte leaves as soon as nothing that may still come can hide it; its mark leaves as soon as a find is sure, whether its
//!    end is there or not: the rest of the find is dropped as it arrives;
//! 3. at most [`Stream::hold`] bytes are held back. Of prose it is the last word, since it may be the beginning of an address;
//! 4. after a failure nothing leaves any more ([`Over`]).
//!
//! The memory is bounded, too: what is held, [`BEHIND`] bytes before it, and some room. A text that arrives byte by byte
//! costs as many steps for each byte as one that arrives at once, but for a bounded number of times that a decision is
//! asked for anew.
//!
//! It does not know where a line or a message ends: one stream is one text.

use std::sync::Arc;

use super::ahead::{More, Text};
use super::pass::{BEHIND, Pass};
use super::scan::ALLOWED;
use super::{Finding, Redactor, shapes};

/// At most so many bytes are held back, but for a find that is held itself.
const HOLD: usize = 2048;

/// What is cut off in front at once, in bytes: to move the rest for each chunk would cost more than to keep some.
const ROOM: usize = 4096;

/// The stream is over: it was finished, or has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Over;

/// What a stream has to say, in the text's order.
pub trait Receiver {
    /// These bytes of the text leave as they are.
    fn text(&mut self, text: &[u8]);
    /// A find stands here. Its *value*, if values were asked for and it is not too long.
    fn find(&mut self, finding: &Finding, value: Option<&[u8]>);
    /// The find is over: where it lies in the whole text, in bytes and in code points.
    fn end(&mut self, finding: &Finding, bytes: (usize, usize), points: (usize, usize));
}

/// One text that is redacted as it arrives.
pub struct Stream {
    redactor: Arc<Redactor>,
    pass: Pass,
    /// The text from `base` on.
    buffer: Vec<u8>,
    base: usize,
    /// So much of the buffer has left, or was dropped.
    passed: usize,
    /// How many code points stand before a place of the buffer.
    counted: (usize, usize),
    /// What the pass waits for.
    more: Option<More>,
    found: Vec<Finding>,
    /// The find that has begun has been told, and begins here in the whole text: in bytes and in code points.
    told: Option<(usize, usize)>,
    /// So long a find is held, to give its value.
    values: usize,
    over: bool,
    /// Decisions that were asked for; for the tests.
    tries: usize,
}

impl Stream {
    /// A stream of *redactor*'s that gives values of up to so many bytes, and holds them for that; none, if that is 0.
    pub fn new(redactor: Arc<Redactor>, values: usize) -> Self {
        Self {
            redactor,
            pass: Pass::default(),
            buffer: Vec::new(),
            base: 0,
            passed: 0,
            counted: (0, 0),
            more: None,
            found: Vec::new(),
            told: None,
            values,
            over: false,
            tries: 0,
        }
    }

    /// The most bytes that are held back.
    pub fn hold(&self) -> usize {
        HOLD + self.kept()
    }

    /// What is held back now.
    pub fn held(&self) -> &[u8] {
        self.buffer.get(self.passed..).unwrap_or_default()
    }

    /// Takes *chunk*, and tells *out* what is decided by now.
    ///
    /// # Errors
    /// If the stream is over. So it is after a panic in *out* or here.
    pub fn feed(&mut self, chunk: &[u8], out: &mut impl Receiver) -> Result<(), Over> {
        if std::mem::replace(&mut self.over, true) {
            return Err(Over);
        }
        self.buffer.extend_from_slice(chunk);
        let asks = self.more.is_none_or(|more| more.is_answered(chunk, self.buffer.len()));
        if asks && !chunk.is_empty() {
            self.advance(false, out);
        }
        self.over = false;
        Ok(())
    }

    /// Tells *out* the rest: the text is over.
    ///
    /// # Errors
    /// If the stream is over already.
    pub fn finish(&mut self, out: &mut impl Receiver) -> Result<(), Over> {
        if std::mem::replace(&mut self.over, true) {
            return Err(Over);
        }
        self.advance(true, out);
        self.buffer = Vec::new();
        self.passed = 0;
        Ok(())
    }

    /// Nothing more leaves.
    pub fn end(&mut self) {
        self.over = true;
        self.buffer = Vec::new();
        self.passed = 0;
    }

    /// Whether the stream is over.
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// How long a find is held before it is told.
    fn kept(&self) -> usize {
        if self.redactor.engine.allows() { self.values.max(ALLOWED) } else { self.values }
    }

    fn advance(&mut self, whole: bool, out: &mut impl Receiver) {
        self.tries += 1;
        let redactor = Arc::clone(&self.redactor);
        let buffer = std::mem::take(&mut self.buffer);
        let text = if whole { Text::whole(&buffer) } else { Text::begun(&buffer) };
        self.more = self.pass.advance(&redactor.engine, text, &mut self.found).err();
        for finding in std::mem::take(&mut self.found) {
            let start = match self.told.take() {
                Some(start) => start,
                None => self.tell(&buffer, &finding, finding.end, out),
            };
            self.passed = self.passed.max(finding.end);
            let end = (self.base + finding.end, self.points(&buffer, finding.end));
            out.end(&finding, (start.0, end.0), (start.1, end.1));
        }
        let decided = match self.pass.inside() {
            Some(find) => {
                let (finding, least) = (find.finding, find.tail.least());
                if self.told.is_none() && least.saturating_sub(finding.start) > self.kept() {
                    self.told = Some(self.tell(&buffer, &finding, NOWHERE, out));
                }
                if self.told.is_some() { least } else { finding.start }
            }
            None if whole => buffer.len(),
            None => self.decided(&buffer),
        };
        let decided = decided.min(buffer.len());
        if decided > self.passed {
            if self.told.is_none() {
                out.text(&buffer[self.passed..decided]);
            }
            self.passed = decided;
        }
        self.buffer = buffer;
        if !whole {
            self.cut();
        }
    }

    /// Tells the text before *finding*, and *finding*; says where it begins in the whole text.
    fn tell(
        &mut self,
        buffer: &[u8],
        finding: &Finding,
        end: usize,
        out: &mut impl Receiver,
    ) -> (usize, usize) {
        // What has left cannot be hidden any more. It never should have; this keeps the rest hidden all the same.
        debug_assert!(self.passed <= finding.start, "{} has left before {}", self.passed, finding.start);
        let start = finding.start.max(self.passed);
        if start > self.passed {
            out.text(&buffer[self.passed..start]);
            self.passed = start;
        }
        let value = buffer.get(start..end).filter(|value| value.len() <= self.values);
        out.find(finding, value);
        (self.base + start, self.points(buffer, start))
    }

    /// Up to where nothing that may still come can hide what is there.
    fn decided(&self, buffer: &[u8]) -> usize {
        let (place, floor) = (self.pass.place().min(buffer.len()), self.pass.done());
        let before = &buffer[..place];
        let dashes = before.iter().rev().take(5).take_while(|b| **b == b'-').count();
        // `Bearer`, `-----BEGIN `, and `%2B` are found by what comes after their beginning.
        let begun = usize::from(before.last().is_some_and(|b| matches!(b, b'b' | b'B' | b'%')));
        let mut least = place - dashes.max(begun).max(self.redactor.engine.lead()).min(place);
        let end = if before.ends_with(b"'") { place - 1 } else { place };
        // No address goes on over a blank.
        if floor <= end && buffer.get(place) != Some(&b' ') {
            least = least.min(shapes::local_start(before, end, floor));
        }
        least = least.max(floor);
        // A character that is not whole yet does not leave in two pieces.
        for length in 1..=3.min(least) {
            let byte = buffer[least - length];
            if byte & 0xC0 != 0x80 {
                let whole = match byte {
                    0xC0..=0xDF => 2,
                    0xE0..=0xEF => 3,
                    0xF0.. => 4,
                    _ => 1,
                };
                if whole > length && least == buffer.len() {
                    least -= length;
                }
                break;
            }
        }
        least
    }

    fn points(&mut self, buffer: &[u8], place: usize) -> usize {
        let (at, points) = self.counted;
        let new = buffer.get(at..place).unwrap_or_default().iter().filter(|b| **b & 0xC0 != 0x80).count();
        self.counted = (at.max(place), points + new);
        self.counted.1
    }

    /// Cuts off what is neither held nor looked back at.
    fn cut(&mut self) {
        let read = self.pass.inside().map_or(self.passed, |find| self.passed.min(find.tail.least()));
        let cut = read.saturating_sub(BEHIND);
        if cut < ROOM {
            return;
        }
        let buffer = std::mem::take(&mut self.buffer);
        self.points(&buffer, cut);
        self.buffer = buffer;
        self.buffer.drain(..cut);
        self.buffer.shrink_to(4 * ROOM);
        self.base += cut;
        self.passed -= cut;
        self.counted.0 -= cut;
        self.pass.shift(cut);
        self.more = self.more.map(|more| more.shifted(cut));
    }
}

/// Stands for an end that is not known.
const NOWHERE: usize = usize::MAX;

#[cfg(test)]
mod tests;

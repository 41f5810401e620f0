//! JSON Lines: one JSON object to a line.
//!
//! In order, of each line:
//! 1. a line of blanks is no record, and is left out;
//! 2. longer than allowed: `long`; not UTF-8: `utf8`;
//! 3. not one JSON object: `json`, `duplicate`, `depth`;
//! 4. what the plan says of its values.
//!
//! A byte order mark before the first record is the reader's to take off: here it is no JSON.

use std::sync::Arc;

use super::super::plan::Plan;
use super::super::value::{Cell, Refused};
use super::fault::Fault;
use super::json::{Scalar, Scanner};
use super::tally::Notes;
use super::walk::{Names, Seen, Walk, watch};
use super::watch::{Rows, Watch};
use super::{Refusal, Treated};

/// Treats JSON Lines by a plan.
pub struct Lines {
    plan: Arc<Plan>,
    watch: Option<Arc<Watch>>,
    longest: usize,
    skip: bool,
}

impl Lines {
    /// *longest* is in bytes. Where *skip* is not set, the first refused record is the last that is read.
    pub fn new(plan: Arc<Plan>, watch: Option<Arc<Watch>>, longest: usize, skip: bool) -> Self {
        Self { plan, watch, longest, skip }
    }

    /// What becomes of these whole lines.
    pub fn treat(&self, data: &[u8]) -> Treated {
        let mut done = Treated { out: Vec::with_capacity(data.len()), ..Treated::default() };
        let (mut notes, mut names) = (Notes::new(&self.plan), Names::default());
        let mut rows = self.watch.as_ref().map(|watch| (watch, watch.rows(0), watch.rows(1)));
        for line in lines(data) {
            let at = done.tally.lines;
            done.tally.lines += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            done.tally.read += 1;
            let mark = done.out.len();
            match self.line(line, &mut notes, &mut names, &mut done.out, rows.as_mut()) {
                Ok(()) => {
                    done.out.push(b'\n');
                    done.tally.written += 1;
                    notes.passed();
                }
                Err((fault, blamed, column)) => {
                    done.out.truncate(mark);
                    notes.refused(fault.code(), blamed);
                    if !done.refuse(Refusal { line: at, fault, column, at: None }, self.skip) {
                        break;
                    }
                }
            }
        }
        done.tally.columns = notes.sums();
        if let Some((watch, before, after)) = rows {
            watch.count(0, &before);
            watch.count(1, &after);
        }
        done
    }

    /// Measures lines without treating them: of the table before (0) or after (1).
    pub fn measure(&self, data: &[u8], side: usize) {
        let Some(watch) = &self.watch else { return };
        let mut rows = watch.rows(side);
        for line in lines(data) {
            if let Ok(text) = self.text(line) {
                add(watch, &mut rows, text);
            }
        }
        watch.count(side, &rows);
    }

    fn text<'t>(&self, line: &'t [u8]) -> Result<&'t str, Fault> {
        if line.len() > self.longest {
            return Err(Fault::Long);
        }
        std::str::from_utf8(line).map_err(|_| Fault::Utf8)
    }

    #[allow(clippy::type_complexity, reason = "the two sides of what is measured")]
    fn line<'p>(
        &'p self,
        line: &[u8],
        notes: &mut Notes<'p>,
        names: &mut Names,
        out: &mut Vec<u8>,
        rows: Option<&mut (&Arc<Watch>, Rows, Rows)>,
    ) -> Result<(), (Fault, Option<usize>, String)> {
        let text = self.text(line).map_err(|fault| (fault, None, String::new()))?;
        let width = self.watch.as_ref().map_or(0, |watch| watch.width());
        let seen = Seen { before: vec![None; width], after: vec![None; width], ..Seen::default() };
        let mut walk = Walk::new(&self.plan, notes, names, out, seen);
        let done = walk.record(text, self.watch.as_ref().map(|watch| &watch.root));
        // What is no record has no columns that it could be a fault of.
        let column = if matches!(done, Err(Fault::Rule(why)) if why != Refused::Depth) {
            walk.shown()
        } else {
            String::new()
        };
        let (seen, blamed) = (std::mem::take(&mut walk.seen), walk.blamed);
        let Some((watch, before, after)) = rows else {
            return done.map_err(|fault| (fault, blamed, column));
        };
        if let Err(fault) = done {
            // It counts as one of the table before all the same, if it is a record.
            add(watch, before, text);
            return Err((fault, blamed, column));
        }
        if seen.misfit {
            before.misfit();
        }
        row(watch, before, &seen.before);
        let written = |range: &std::ops::Range<usize>| {
            out.get(range.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok())
        };
        let mut values: Vec<Option<&str>> =
            seen.after.iter().map(|range| range.as_ref().and_then(written)).collect();
        for (place, range) in &seen.within {
            if !written(range).is_some_and(|text| self::watch(place, text, &mut values)) {
                after.misfit();
            }
        }
        row(watch, after, &values);
        Ok(())
    }
}

/// Adds the row that a record is, if it is one.
fn add(watch: &Watch, rows: &mut Rows, text: &str) {
    let mut scan = Scanner::new(text);
    let Ok(raw) = scan.value(0) else { return };
    if !raw.starts_with('{') || scan.end().is_err() {
        return;
    }
    let mut values = vec![None; watch.width()];
    if !self::watch(&watch.root, raw, &mut values) {
        rows.misfit();
    }
    row(watch, rows, &values);
}

fn row(watch: &Watch, rows: &mut Rows, values: &[Option<&str>]) {
    let read: Vec<Option<Scalar<'_>>> =
        values.iter().map(|raw| raw.map(|raw| Scalar::of(raw).unwrap_or(Scalar::Other))).collect();
    let cells: Vec<Option<Cell<'_>>> = read.iter().map(|value| value.as_ref().map(Scalar::cell)).collect();
    watch.add(rows, &cells);
}

/// The lines, without their ends. What is behind the last end is one, if there is something.
fn lines(data: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = data;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', rest);
        let (line, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after.get(1..).unwrap_or_default();
        Some(line)
    })
}

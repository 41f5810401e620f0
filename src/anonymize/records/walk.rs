//! Walks one record of JSON as it is written, and writes in each place what the plan says.
//!
//! 1. A place that a rule names is treated by that rule, whole; one that leads on to some is walked.
//! 2. What no rule names has the plan's default. Under `redact`, a secret name goes on below itself, whatever else is named there,
//!    and names that are values are redacted as values are.
//! 3. Blanks between what is walked are not written; what is kept is copied.

use std::borrow::Cow;
use std::ops::Range;

use foldhash::{HashMap, HashSet};

use super::super::column::{Column, Fate, REDACTED};
use super::super::plan::{Node, OnError, Plan, Unnamed};
use super::super::value::{Cell, Made, Refused};
use super::fault::Fault;
use super::json::{Scalar, Scanner, bounded};
use super::tally::{Event, Notes, shown_path};
use super::watch::Place;

/// What is known of names under `redact`, which repeat from record to record.
pub(super) type Names = HashMap<String, Known>;

/// What is known of a name.
#[derive(Default)]
pub(super) struct Known {
    /// What it becomes, if it is a value.
    clean: Option<String>,
    /// Whether values of this name are secret.
    secret: bool,
}

/// Names that a table has already.
#[derive(Default)]
struct Taken {
    names: HashSet<String>,
    last: HashMap<String, u64>,
}

const MAX_NAMES: usize = 1000;
/// Longest name that is remembered.
const MAX_NAME: usize = 256;

/// Where the values of a row are that are measured.
#[derive(Default)]
pub(super) struct Seen<'t, 'p> {
    /// As they are written in the record.
    pub before: Vec<Option<&'t str>>,
    /// Where they are in what is written.
    pub after: Vec<Option<Range<usize>>>,
    /// Where values are written that have some in them.
    pub within: Vec<(&'p Place, Range<usize>)>,
    /// Whether a path leads on where a value is.
    pub misfit: bool,
}

pub(super) struct Walk<'t, 'p, 'n> {
    pub plan: &'p Plan,
    pub notes: &'n mut Notes<'p>,
    pub names: &'n mut Names,
    pub out: &'n mut Vec<u8>,
    pub seen: Seen<'t, 'p>,
    /// Names that lead here.
    pub path: Vec<Cow<'t, str>>,
    /// The column by which the record is refused.
    pub blamed: Option<usize>,
    secret: bool,
    /// Of a name that is not remembered.
    other_name: Known,
}

impl<'t, 'p, 'n> Walk<'t, 'p, 'n> {
    pub fn new(
        plan: &'p Plan,
        notes: &'n mut Notes<'p>,
        names: &'n mut Names,
        out: &'n mut Vec<u8>,
        seen: Seen<'t, 'p>,
    ) -> Self {
        Self {
            plan,
            notes,
            names,
            out,
            seen,
            path: Vec::new(),
            blamed: None,
            secret: false,
            other_name: Known::default(),
        }
    }

    /// A whole record.
    pub fn record(&mut self, text: &'t str, place: Option<&'p Place>) -> Result<(), Fault> {
        let mut scan = Scanner::new(text);
        self.members(&mut scan, self.plan.root(), place, 0)?;
        scan.end()
    }

    /// Where it is, as reports show it.
    pub fn shown(&self) -> String {
        match self.blamed.and_then(|at| self.plan.columns().get(at)) {
            Some(column) => column.path().to_owned(),
            None => shown_path(self.path.iter().map(|name| &**name)),
        }
    }

    fn members(
        &mut self,
        scan: &mut Scanner<'t>,
        node: &'p Node,
        place: Option<&'p Place>,
        depth: usize,
    ) -> Result<(), Fault> {
        bounded(depth)?;
        let table = scan.rest();
        let opened = scan.open()?;
        self.out.push(b'{');
        let (start, mut first, mut taken) = (self.out.len(), true, Taken::default());
        while let Some((raw, name)) = scan.name(first)? {
            first = false;
            let above = self.secret;
            self.secret |= self.plan.unnamed() == Unnamed::Redact && self.known(&name).secret;
            let watched = place.and_then(|place| place.member(&name));
            let known = node.member(&name);
            let mark = self.out.len();
            if mark > start {
                self.out.push(b',');
            }
            let mut moved = false;
            if known.is_none() && self.plan.unnamed() == Unnamed::Redact {
                moved = self.put_name(table, &mut taken, raw, &name, depth)?;
            } else {
                self.out.extend_from_slice(raw.as_bytes());
            }
            self.out.push(b':');
            self.path.push(name);
            let from = self.out.len();
            let (written, value) = match known {
                Some(node) => self.place(scan, node, watched, depth + 1)?,
                None => {
                    let value = scan.value(depth + 1)?;
                    (self.unnamed(std::ptr::from_ref(node) as usize, value, depth + 1)?, value)
                }
            };
            if let Some(place) = watched {
                self.watched(place, known, value, (written && !moved).then_some(from..self.out.len()));
            }
            if !written {
                self.out.truncate(mark);
            }
            self.path.pop();
            self.secret = above;
        }
        scan.close(opened)?;
        self.out.push(b'}');
        Ok(())
    }

    /// A value at a place that the plan knows: whether it was written, and what it was.
    fn place(
        &mut self,
        scan: &mut Scanner<'t>,
        node: &'p Node,
        place: Option<&'p Place>,
        depth: usize,
    ) -> Result<(bool, &'t str), Fault> {
        if let (Some(column), Some(at)) = (self.plan.column(node), self.plan.index(node)) {
            let value = scan.value(depth)?;
            let written = self.treated(column, at, value, depth).inspect_err(|_| self.blamed = Some(at))?;
            return Ok((written, value));
        }
        let rest = scan.rest();
        match (scan.peek(), node.each()) {
            (Some(b'{'), _) if node.has_members() => self.members(scan, node, place, depth)?,
            (Some(b'['), Some(each)) => {
                bounded(depth)?;
                scan.expect(b'[')?;
                self.out.push(b'[');
                self.path.push(Cow::Borrowed("[*]"));
                let (start, mut first) = (self.out.len(), true);
                while scan.element(first)? {
                    first = false;
                    let mark = self.out.len();
                    if mark > start {
                        self.out.push(b',');
                    }
                    if !self.place(scan, each, None, depth + 1)?.0 {
                        self.out.truncate(mark);
                    }
                }
                self.path.pop();
                self.out.push(b']');
            }
            (first, _) => {
                let value = scan.value(depth)?;
                if first != Some(b'n') {
                    let made = self.plan.misshapen()?;
                    debug_assert_eq!(made, Made::Null);
                    let column = self.other(std::ptr::from_ref(node) as usize, "");
                    self.notes.note(column, Event::Suppressed);
                }
                self.out.extend_from_slice(b"null");
                return Ok((true, value));
            }
        }
        let length = rest.len() - scan.rest().len();
        Ok((true, rest.get(..length).unwrap_or_default()))
    }

    fn treated(&mut self, column: &'p Column, at: usize, raw: &'t str, depth: usize) -> Result<bool, Fault> {
        let value = Scalar::of(raw)?;
        let cell = value.cell();
        let fate = match column.judge(cell) {
            Ok(fate) => fate,
            Err(why) => return self.failed(column, at, why),
        };
        match fate {
            Fate::Drop => {
                self.notes.note(at, Event::Dropped);
                return Ok(false);
            }
            Fate::Put(made) => {
                if column.word() == "redact" {
                    self.note_found(at, &value, &made);
                }
                self.put(at, raw, cell, made)?;
            }
            Fate::Redact => {
                let mark = self.out.len();
                match self.parts(&mut Scanner::new(raw), at, depth) {
                    Ok(changed) => self.notes.note(at, if changed { Event::Changed } else { Event::Kept }),
                    Err(Fault::Rule(why)) if why != Refused::Depth => {
                        self.out.truncate(mark);
                        return self.failed(column, at, why);
                    }
                    Err(fault) => return Err(fault),
                }
            }
            Fate::Custom(_) => return self.failed(column, at, Refused::Custom),
        }
        Ok(true)
    }

    fn failed(&mut self, column: &Column, at: usize, why: Refused) -> Result<bool, Fault> {
        if column.on_error() == OnError::Refuse {
            return Err(why.into());
        }
        self.notes.note(at, Event::Suppressed);
        self.out.extend_from_slice(b"null");
        Ok(true)
    }

    /// A value that no rule names: whether it was written.
    fn unnamed(&mut self, node: usize, raw: &'t str, depth: usize) -> Result<bool, Fault> {
        let name = self.path.last().cloned().unwrap_or_default();
        let column = self.other(node, &name);
        match self.plan.unnamed() {
            Unnamed::Refuse => {
                self.blamed = Some(column);
                return Err(Refused::Column.into());
            }
            Unnamed::Drop => {
                self.notes.note(column, Event::Dropped);
                return Ok(false);
            }
            Unnamed::Keep => {
                self.notes.note(column, if raw == "null" { Event::Null } else { Event::Kept });
                self.out.extend_from_slice(raw.as_bytes());
            }
            Unnamed::Redact => {
                let changed = self.redacted(&name, raw, column, depth)?;
                let kept = if raw == "null" { Event::Null } else { Event::Kept };
                self.notes.note(column, if changed { Event::Changed } else { kept });
            }
        }
        Ok(true)
    }

    /// Writes a value without what is secret in it: whether something was.
    fn redacted(&mut self, name: &str, raw: &'t str, column: usize, depth: usize) -> Result<bool, Fault> {
        if raw != "null" && (self.secret || (!name.is_empty() && self.known(name).secret)) {
            return self.write(raw, Made::Text(REDACTED.to_owned())).map(|()| true);
        }
        let value = Scalar::of(raw)?;
        match self.plan.redacted(value.cell()) {
            Fate::Put(made) => {
                self.note_found(column, &value, &made);
                let changed = made != Made::Kept;
                self.write(raw, made)?;
                Ok(changed)
            }
            _ => self.parts(&mut Scanner::new(raw), column, depth),
        }
    }

    /// What has parts, each of them redacted; names as well, which may be values.
    fn parts(&mut self, scan: &mut Scanner<'t>, column: usize, depth: usize) -> Result<bool, Fault> {
        bounded(depth)?;
        let (mut changed, mut first) = (false, true);
        if scan.peek() == Some(b'[') {
            scan.expect(b'[')?;
            self.out.push(b'[');
            while scan.element(first)? {
                if !first {
                    self.out.push(b',');
                }
                first = false;
                let value = scan.value(depth + 1)?;
                changed |= self.redacted("", value, column, depth + 1)?;
            }
            self.out.push(b']');
            return Ok(changed);
        }
        if scan.peek() != Some(b'{') {
            // An integer of more digits than have a text.
            return Err(Refused::Kind.into());
        }
        let (table, mut taken) = (scan.rest(), Taken::default());
        let opened = scan.open()?;
        self.out.push(b'{');
        while let Some((raw, name)) = scan.name(first)? {
            if !first {
                self.out.push(b',');
            }
            first = false;
            changed |= self.put_name(table, &mut taken, raw, &name, depth)?;
            self.out.push(b':');
            let value = scan.value(depth + 1)?;
            changed |= self.redacted(&name, value, column, depth + 1)?;
        }
        scan.close(opened)?;
        self.out.push(b'}');
        Ok(changed)
    }

    /// Writes a name, which is redacted as well; where that name is taken, one with a number. Whether it is another.
    fn put_name(
        &mut self,
        table: &'t str,
        taken: &mut Taken,
        raw: &'t str,
        name: &str,
        depth: usize,
    ) -> Result<bool, Fault> {
        let clean = self.known(name).clean.clone();
        let Some(clean) = clean else {
            self.out.extend_from_slice(raw.as_bytes());
            return Ok(false);
        };
        if taken.names.is_empty() {
            // The names of the table as it is are taken, and stay so.
            let (mut scan, mut first) = (Scanner::new(table), true);
            let opened = scan.open()?;
            while let Some((_, name)) = scan.name(first)? {
                first = false;
                taken.names.insert(name.into_owned());
                scan.value(depth + 1)?;
            }
            scan.close(opened)?;
        }
        // Counted on from the last, so that a table of nothing but such names takes no longer for it.
        let last = taken.last.entry(clean.clone()).or_default();
        let free = loop {
            *last += 1;
            let free = if *last == 1 { clean.clone() } else { format!("{clean}#{last}") };
            if !taken.names.contains(&free) {
                break free;
            }
        };
        taken.names.insert(free.clone());
        self.write(raw, Made::Text(free))?;
        Ok(true)
    }

    fn known(&mut self, name: &str) -> &Known {
        if !self.names.contains_key(name) {
            let clean = match self.plan.redacted(Cell::Text(name)) {
                Fate::Put(Made::Text(clean)) => Some(clean),
                _ => None,
            };
            let known = Known { clean, secret: self.plan.is_secret_name(name) };
            if self.names.len() >= MAX_NAMES || name.len() > MAX_NAME {
                self.other_name = known;
                return &self.other_name;
            }
            self.names.insert(name.to_owned(), known);
        }
        self.names.get(name).unwrap_or(&self.other_name)
    }

    fn put(&mut self, column: usize, raw: &str, cell: Cell<'_>, made: Made) -> Result<(), Fault> {
        let event = match (&made, cell) {
            (Made::Kept | Made::Null, Cell::Null) => Event::Null,
            (Made::Kept, _) => Event::Kept,
            _ => Event::Changed,
        };
        self.notes.note(column, event);
        self.write(raw, made)
    }

    fn write(&mut self, raw: &str, made: Made) -> Result<(), Fault> {
        let done = match made {
            Made::Kept => {
                self.out.extend_from_slice(raw.as_bytes());
                Ok(())
            }
            Made::Null => {
                self.out.extend_from_slice(b"null");
                Ok(())
            }
            Made::Int(number) => serde_json::to_writer(&mut *self.out, &number),
            // What is no number has no JSON.
            Made::Float(number) if !number.is_finite() => return Err(Refused::Range.into()),
            Made::Float(number) => serde_json::to_writer(&mut *self.out, &number),
            Made::Text(text) => serde_json::to_writer(&mut *self.out, &text),
        };
        done.map_err(|_| Fault::Json)
    }

    fn note_found(&mut self, column: usize, value: &Scalar<'_>, made: &Made) {
        if matches!(made, Made::Text(_)) {
            match value {
                Scalar::Text(text) => self.notes.found(column, text),
                Scalar::Int(number) => self.notes.found(column, &number.to_string()),
                Scalar::Float(number) => self.notes.found(column, &number.to_string()),
                _ => {}
            }
        }
    }

    fn other(&mut self, node: usize, name: &str) -> usize {
        let path = &self.path;
        self.notes.other(node, name, || shown_path(path.iter().map(|name| &**name)))
    }

    /// Notes a value that is measured, or that has some in it, and where it was written.
    fn watched(&mut self, place: &'p Place, known: Option<&Node>, raw: &'t str, to: Option<Range<usize>>) {
        if let Some(at) = place.at {
            set(&mut self.seen.before, at, raw);
            if let Some(to) = &to {
                set(&mut self.seen.after, at, to.clone());
            }
        }
        // What was walked has been looked through on the way.
        let walked = raw.starts_with('{')
            && known.is_some_and(|node| node.has_members() && self.plan.column(node).is_none());
        if place.has_members() && !walked {
            self.seen.misfit |= !watch(place, raw, &mut self.seen.before);
            self.seen.within.extend(to.map(|to| (place, to)));
        }
    }
}

/// Looks for measured values below a value; false if it has nothing below it.
pub(super) fn watch<'t>(place: &Place, raw: &'t str, found: &mut [Option<&'t str>]) -> bool {
    if !place.has_members() || raw == "null" {
        return true;
    }
    if !raw.starts_with('{') {
        return false;
    }
    let (mut scan, mut first, mut fits) = (Scanner::new(raw), true, true);
    // It was read before, so that nothing is wrong in it.
    if scan.open().is_err() {
        return false;
    }
    while let Ok(Some((_, name))) = scan.name(first) {
        first = false;
        let Ok(value) = scan.value(0) else { return false };
        if let Some(place) = place.member(&name) {
            if let Some(at) = place.at {
                set(found, at, value);
            }
            fits &= watch(place, value, found);
        }
    }
    fits
}

fn set<T>(values: &mut [Option<T>], at: usize, value: T) {
    if let Some(there) = values.get_mut(at) {
        *there = Some(value);
    }
}

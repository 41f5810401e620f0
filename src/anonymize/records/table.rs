//! CSV: records of fields (RFC 4180), each field of the column that the head names.
//!
//! 1. A field is a text; an empty one is nothing. There are no parts, so a rule for parts of a column (`a.b`) finds a value where it
//!    expects some.
//! 2. A record with more or fewer fields than the head: `fields`. Not UTF-8: `utf8`. Longer than allowed: `long`.
//! 3. What the plan says of each field. Under `redact`, names of columns are redacted as well.
//!
//! Records are cut by the automaton that reads them (`dialect.rs`): a quoted field may have line ends.
//!
//! # What can break it
//! A quotation mark inside of a field that is not quoted is a letter; one that is not closed takes what follows into its field.
//! - Where another field's opening mark closes it, text follows directly behind: the record is refused, `quote`, all lines of it.
//! - Where nothing closes it, it is refused once the record is longer than allowed or the file ends, and then there is no going
//!   on: `fatal`. Whether it is closed is asked of the automaton, since the letters do not count.
//! - Where what closes it is followed by a delimiter or a line end, it is a field like any other: nothing tells.
//!
//! A blank line is no record: of a table with one column, a record whose field is empty has to be written `""`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::super::column::{Column, Fate, REDACTED};
use super::super::path::shown_name;
use super::super::plan::{OnError, Plan, Unnamed};
use super::super::value::{Cell, Made, Refused};
use super::dialect::{Cutter, Dialect};
use super::fault::Fault;
use super::tally::{Event, Notes};
use super::watch::{Rows, Watch};
use super::{Refusal, Treated};
use crate::error::ConfigError;

enum Slot {
    Named(usize),
    /// The plan speaks of parts of it.
    Parts(usize),
    Other(usize, bool),
}

/// Treats a table by a plan.
pub struct Table {
    plan: Arc<Plan>,
    watch: Option<Arc<Watch>>,
    dialect: Dialect,
    names: Vec<String>,
    longest: usize,
    skip: bool,
}

impl Table {
    /// *names* are those of the columns; *longest* and *skip* as for lines.
    ///
    /// # Errors
    /// For a name that is there twice: it is not known which of the two is meant.
    pub fn new(
        plan: Arc<Plan>,
        watch: Option<Arc<Watch>>,
        dialect: Dialect,
        names: Vec<String>,
        longest: usize,
        skip: bool,
    ) -> Result<Self, ConfigError> {
        let mut sorted: Vec<&String> = names.iter().collect();
        sorted.sort_unstable();
        if let Some(twice) = sorted.windows(2).find(|pair| pair.first() == pair.last()) {
            let name = twice.first().map_or("", |name| shown_name(name));
            return Err(ConfigError::new(format!(
                "the column {name:?} is there twice, so it is not known which a rule is for"
            )));
        }
        Ok(Self { plan, watch, dialect, names, longest, skip })
    }

    /// The record of the names of what is left, as it is written.
    ///
    /// # Errors
    /// If no rule names a column, and the plan refuses such.
    pub fn head(&self) -> Result<Vec<u8>, ConfigError> {
        let mut written = Vec::new();
        let mut free = FreeNames::new(&self.names);
        for name in &self.names {
            match self.plan.root().member(name) {
                Some(node) if self.plan.column(node).is_some_and(Column::is_dropped) => {}
                Some(_) => written.push(name.clone()),
                None => match self.plan.unnamed() {
                    Unnamed::Drop => {}
                    Unnamed::Keep => written.push(name.clone()),
                    Unnamed::Redact => written.push(free.name(self.redacted_name(name), name)),
                    Unnamed::Refuse => {
                        return Err(ConfigError::new(format!(
                            "no rule names the column {:?}, and the plan refuses such: name it, or give a default",
                            shown_name(name)
                        )));
                    }
                },
            }
        }
        if written.is_empty() {
            return Err(ConfigError::new("nothing is left of this table: the plan drops each column"));
        }
        let mut writer = self.dialect.writer(Vec::new());
        let cells: Vec<Cow<'_, str>> = written.iter().map(|name| self.safe(name)).collect();
        writer.write_record(cells.iter().map(|cell| cell.as_bytes())).map_err(|_| unwritten())?;
        writer.into_inner().map_err(|_| unwritten())
    }

    /// What becomes of these whole records.
    pub fn treat(&self, data: &[u8], last: bool) -> Treated {
        let mut done = Treated::default();
        let mut notes = Notes::new(&self.plan);
        let slots = self.slots(&mut notes);
        let mut rows = self.watch.as_ref().map(|watch| (watch, watch.rows(0), watch.rows(1)));
        let mut writer = self.dialect.writer(Vec::with_capacity(data.len()));
        let mut reader = self.dialect.reader(data);
        let (mut record, mut begun, mut lines) = (csv::ByteRecord::new(), 1, LineEnds::default());
        while let Ok(true) = reader.read_byte_record(&mut record) {
            let ended = reader.position().byte();
            done.tally.read += 1;
            let start = usize_of(begun - 1);
            let raw = data.get(usize_of(begun - 1)..usize_of(ended - 1)).unwrap_or_default();
            begun = ended;
            let at_end = last && usize_of(ended - 1) >= data.len();
            let fields = self.fields(&record, raw, at_end);
            if let (Ok(fields), Some((watch, before, _))) = (&fields, rows.as_mut()) {
                self.add(watch, before, fields, |_| true);
            }
            let made = fields
                .map_err(|fault| (fault, None))
                .and_then(|fields| self.record(&slots, &fields, &mut notes).map(|made| (fields, made)));
            match made {
                Ok((_, mut made)) => {
                    for text in made.iter_mut().flatten() {
                        if let Cow::Owned(safe) = self.safe(text) {
                            *text = safe;
                        }
                    }
                    // To memory, with as many fields as there may be: it does not fail.
                    let _ = writer.write_record(made.iter().flatten());
                    if let Some((watch, _, after)) = rows.as_mut() {
                        let texts: Vec<&str> =
                            made.iter().map(|text| text.as_deref().unwrap_or("")).collect();
                        self.add(watch, after, &texts, |at| made.get(at).is_some_and(Option::is_some));
                    }
                    done.tally.written += 1;
                    notes.passed();
                }
                Err((fault, at)) => {
                    let behind = (fault == Fault::Behind).then(|| self.dialect.behind(raw)).flatten();
                    let at = at.or(behind.map(|behind| behind.field));
                    notes.refused(fault.code(), at.and_then(|at: usize| slots.get(at)).map(Slot::number));
                    done.fatal |= fault == Fault::Quote;
                    let column = at.and_then(|at| self.names.get(at)).map_or("", |name| shown_name(name));
                    let line = lines.of_record(data, start);
                    let at = behind.map(|behind| place_of(data, start, start + behind.at, line));
                    let refusal = Refusal { line, fault, column: column.to_owned(), at };
                    if !done.refuse(refusal, self.skip) || done.fatal {
                        break;
                    }
                }
            }
        }
        done.tally.lines = ends(data);
        done.tally.columns = notes.sums();
        done.out = writer.into_inner().unwrap_or_default();
        if let Some((watch, before, after)) = rows {
            watch.count(0, &before);
            watch.count(1, &after);
        }
        done
    }

    /// Measures records without treating them: of the table before (0), or after (1), which has only some of the columns.
    pub fn measure(&self, data: &[u8], side: usize) {
        let Some(watch) = &self.watch else { return };
        let (mut rows, mut record) = (watch.rows(side), csv::ByteRecord::new());
        let mut reader = self.dialect.reader(data);
        let left: Vec<usize> = (0..self.names.len()).filter(|at| side == 0 || self.is_left(*at)).collect();
        let mut begun = 1;
        while let Ok(true) = reader.read_byte_record(&mut record) {
            let ended = reader.position().byte();
            let raw = data.get(usize_of(begun - 1)..usize_of(ended - 1)).unwrap_or_default();
            begun = ended;
            let refused = raw.len() > self.longest || self.dialect.behind(raw).is_some();
            if record.len() != left.len() || (side == 0 && refused) {
                continue;
            }
            let mut texts = vec![""; self.names.len()];
            let mut good = true;
            for (at, field) in left.iter().zip(&record) {
                match (std::str::from_utf8(field), texts.get_mut(*at)) {
                    (Ok(text), Some(there)) => *there = text,
                    _ => good = false,
                }
            }
            if good {
                self.add(watch, &mut rows, &texts, |at| left.contains(&at));
            }
        }
        watch.count(side, &rows);
    }

    fn is_left(&self, at: usize) -> bool {
        match self.names.get(at).and_then(|name| self.plan.root().member(name)) {
            Some(node) => !self.plan.column(node).is_some_and(Column::is_dropped),
            None => self.plan.unnamed() != Unnamed::Drop,
        }
    }

    fn slots(&self, notes: &mut Notes<'_>) -> Vec<Slot> {
        let slot = |name: &String| {
            let mut other = || notes.other(0, name, || shown_name(name).to_owned());
            match self.plan.root().member(name) {
                Some(node) => match self.plan.index(node) {
                    Some(column) => Slot::Named(column),
                    None => Slot::Parts(other()),
                },
                None => Slot::Other(other(), self.plan.is_secret_name(name)),
            }
        };
        self.names.iter().map(slot).collect()
    }

    fn fields<'r>(&self, record: &'r csv::ByteRecord, raw: &[u8], last: bool) -> Result<Vec<&'r str>, Fault> {
        if raw.len() > self.longest {
            return Err(Fault::Long);
        }
        // Counting quotation marks does not tell: in a field that is not quoted, they are letters.
        if last && Cutter::new(self.dialect).cut(&[raw, b"\n\n"].concat(), 1) == 0 {
            return Err(Fault::Quote);
        }
        if self.dialect.behind(raw).is_some() {
            return Err(Fault::Behind);
        }
        if record.len() != self.names.len() {
            return Err(Fault::Fields);
        }
        record.iter().map(|field| std::str::from_utf8(field).map_err(|_| Fault::Utf8)).collect()
    }

    /// What stands in the place of each field; `None` for what is left out. Or why not, and for which.
    fn record<'p>(
        &'p self,
        slots: &[Slot],
        fields: &[&str],
        notes: &mut Notes<'p>,
    ) -> Result<Vec<Option<String>>, (Fault, Option<usize>)> {
        let mut made = Vec::with_capacity(fields.len());
        for (at, (slot, field)) in slots.iter().zip(fields).enumerate() {
            let value = self.field(slot, field, notes).map_err(|why| (Fault::Rule(why), Some(at)))?;
            made.push(value);
        }
        Ok(made)
    }

    fn field<'p>(
        &'p self,
        slot: &Slot,
        field: &str,
        notes: &mut Notes<'p>,
    ) -> Result<Option<String>, Refused> {
        let cell = if field.is_empty() { Cell::Null } else { Cell::Text(field) };
        let (number, column, fate) = match slot {
            Slot::Named(number) => {
                let Some(column) = self.plan.columns().get(*number) else { return Err(Refused::Column) };
                (*number, Some(column), column.judge(cell))
            }
            Slot::Parts(number) if field.is_empty() => (*number, None, Ok(Fate::Put(Made::Null))),
            Slot::Parts(number) => {
                self.plan.misshapen()?;
                notes.note(*number, Event::Suppressed);
                return Ok(Some(String::new()));
            }
            Slot::Other(number, secret) => {
                let fate = match self.plan.unnamed() {
                    Unnamed::Refuse => return Err(Refused::Column),
                    Unnamed::Drop => Fate::Drop,
                    Unnamed::Keep => Fate::Put(Made::Kept),
                    Unnamed::Redact if field.is_empty() => Fate::Put(Made::Null),
                    Unnamed::Redact if *secret => Fate::Put(Made::Text(REDACTED.to_owned())),
                    Unnamed::Redact => self.plan.redacted(cell),
                };
                (*number, None, Ok(fate))
            }
        };
        let made = match (fate, column) {
            (Ok(Fate::Drop), _) => {
                notes.note(number, Event::Dropped);
                return Ok(None);
            }
            (Ok(Fate::Put(made)), _) => made,
            (fate, Some(column)) if column.on_error() == OnError::Suppress => {
                debug_assert!(fate.is_err());
                notes.note(number, Event::Suppressed);
                return Ok(Some(String::new()));
            }
            (Err(why), _) => return Err(why),
            (Ok(_), _) => return Err(Refused::Custom),
        };
        let redacts =
            column.map_or(self.plan.unnamed() == Unnamed::Redact, |column| column.word() == "redact");
        if redacts && matches!(made, Made::Text(_)) {
            notes.found(number, field);
        }
        notes.note(
            number,
            match (&made, field.is_empty()) {
                (Made::Kept | Made::Null, true) => Event::Null,
                (Made::Kept, false) => Event::Kept,
                _ => Event::Changed,
            },
        );
        Ok(Some(match made {
            Made::Kept => field.to_owned(),
            Made::Null => String::new(),
            Made::Int(number) => number.to_string(),
            Made::Float(number) if !number.is_finite() => return Err(Refused::Range),
            Made::Float(number) => decimal(number),
            Made::Text(text) => text,
        }))
    }

    fn add(&self, watch: &Watch, rows: &mut Rows, texts: &[&str], is_there: impl Fn(usize) -> bool) {
        let mut cells = vec![None; watch.width()];
        for (at, (name, text)) in self.names.iter().zip(texts).enumerate() {
            let Some(place) = watch.root.member(name) else { continue };
            if place.has_members() && !text.is_empty() {
                rows.misfit();
            }
            if let Some(cell) = place.at.and_then(|place| cells.get_mut(place))
                && is_there(at)
            {
                *cell = Some(if text.is_empty() { Cell::Null } else { Cell::Text(text) });
            }
        }
        watch.add(rows, &cells);
    }

    fn redacted_name(&self, name: &str) -> Option<String> {
        match self.plan.redacted(Cell::Text(name)) {
            Fate::Put(Made::Text(clean)) => Some(clean),
            _ => None,
        }
    }

    fn safe<'f>(&self, text: &'f str) -> Cow<'f, str> {
        self.dialect.safe.map_or(Cow::Borrowed(text), |safe| safe(text))
    }
}

/// Gives names that no other column has, in time that does not grow with how many become one.
struct FreeNames<'n> {
    taken: HashSet<Cow<'n, str>>,
    last: HashMap<String, u64>,
}

impl<'n> FreeNames<'n> {
    fn new(names: &'n [String]) -> Self {
        Self { taken: names.iter().map(|name| Cow::Borrowed(name.as_str())).collect(), last: HashMap::new() }
    }

    /// *clean*, or with `#2` and so on behind it where that is taken; without it, *name*.
    fn name(&mut self, clean: Option<String>, name: &str) -> String {
        let Some(clean) = clean else { return name.to_owned() };
        let last = self.last.entry(clean.clone()).or_default();
        loop {
            *last += 1;
            let free = if *last == 1 { clean.clone() } else { format!("{clean}#{last}") };
            if self.taken.insert(Cow::Owned(free.clone())) {
                return free;
            }
        }
    }
}

impl Slot {
    fn number(&self) -> usize {
        match self {
            Self::Named(number) | Self::Parts(number) | Self::Other(number, _) => *number,
        }
    }
}

/// Line ends up to a place, which moves on, so that all of them are counted once.
#[derive(Default)]
struct LineEnds {
    at: usize,
    count: u64,
}

impl LineEnds {
    /// The line in which the record begins that is behind this byte: line ends before it are the last one's, or nobody's.
    fn of_record(&mut self, data: &[u8], start: usize) -> u64 {
        let blank = data.get(start..).unwrap_or_default().iter();
        let end = start + blank.take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.count += ends(data.get(self.at..end).unwrap_or_default());
        self.at = self.at.max(end);
        self.count
    }
}

fn ends(data: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', data).count() as u64
}

/// The line and the character, from 1, of a byte of the record that begins behind *start*, in this line.
fn place_of(data: &[u8], start: usize, at: usize, line: u64) -> (u64, u64) {
    let within = data.get(start..at).unwrap_or_default();
    let blank = within.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
    let within = within.get(blank..).unwrap_or_default();
    let last = memchr::memrchr(b'\n', within).map_or(0, |end| end + 1);
    let letters = within.get(last..).unwrap_or_default().iter().filter(|byte| **byte & 0xC0 != 0x80);
    (line + ends(within), letters.count() as u64 + 1)
}

/// A number as JSON writes it where all its digits would be many.
fn decimal(number: f64) -> String {
    match number.abs() {
        size if size != 0.0 && !(1e-5..1e16).contains(&size) => format!("{number:e}"),
        _ => number.to_string(),
    }
}

fn unwritten() -> ConfigError {
    ConfigError::new("the names of the columns cannot be written as CSV")
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

//! Counts what was met, of the records that were passed on.
//!
//! What a record meets is noted while it is treated, and counted when it is passed on; of a record that is refused, the
//! refusal alone is counted. Columns that no rule names are counted by name as well, at most 1000 of them; a name that looks
//! like a value is not shown.

use std::collections::BTreeMap;

use foldhash::HashMap;

use super::super::column::Met;
use super::super::path::shown_name;
use super::super::plan::{Plan, Unnamed};

/// What was met of one column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The rule's word; `default: keep` and the like where no rule names the column.
    pub rule: String,
    /// Nothings.
    pub nulls: u64,
    /// Passed on as they were.
    pub kept: u64,
    /// Something else stands in their place.
    pub changed: u64,
    /// Left out.
    pub dropped: u64,
    /// The rule could not read them, and they became nothing.
    pub suppressed: u64,
    /// Records that were refused for it, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// What the redactor found, by entity.
    pub found: BTreeMap<String, u64>,
}

/// What was met in some records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    /// Records that were read.
    pub read: u64,
    /// Records that were passed on.
    pub written: u64,
    /// Lines, blank ones included.
    pub lines: u64,
    /// Records that were refused, by code.
    pub refused: BTreeMap<&'static str, u64>,
    /// By path.
    pub columns: BTreeMap<String, Counts>,
}

/// What became of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Null,
    Kept,
    Changed,
    Dropped,
    Suppressed,
}

/// What some records met, noted by numbers: first those of the plan's columns, then of others as they come.
pub(super) struct Notes<'p> {
    plan: &'p Plan,
    counts: Vec<Counts>,
    others: Vec<String>,
    /// Where each path is in them.
    paths: HashMap<String, usize>,
    /// By the place that they are in, and their name there.
    known: HashMap<usize, HashMap<String, usize>>,
    /// Of the record that is being treated.
    events: Vec<(usize, Event)>,
    found: Vec<(usize, String)>,
}

const MAX_OTHERS: usize = 1000;
/// Longest name that is remembered.
const MAX_NAME: usize = 256;
const REST: &str = "(further columns)";

impl<'p> Notes<'p> {
    pub fn new(plan: &'p Plan) -> Self {
        let counts = plan
            .columns()
            .iter()
            .map(|column| Counts { rule: column.word().to_owned(), ..Counts::default() });
        Self {
            plan,
            counts: counts.collect(),
            others: Vec::new(),
            paths: HashMap::default(),
            known: HashMap::default(),
            events: Vec::new(),
            found: Vec::new(),
        }
    }

    /// The number of a column that no rule names, in the place with this number, which has this path.
    pub fn other(&mut self, place: usize, name: &str, path: impl FnOnce() -> String) -> usize {
        if let Some(column) = self.known.get(&place).and_then(|names| names.get(name)) {
            return *column;
        }
        let named = self.plan.columns().len();
        let (path, remembered) = match self.others.len() {
            MAX_OTHERS.. => (REST.to_owned(), false),
            _ => (path(), name.len() <= MAX_NAME),
        };
        // Several names may be shown as one.
        let column = match self.paths.get(&path) {
            Some(at) => named + at,
            None => {
                let default = match self.plan.unnamed() {
                    Unnamed::Drop => "drop",
                    Unnamed::Keep => "keep",
                    Unnamed::Redact => "redact",
                    Unnamed::Refuse => "refuse",
                };
                self.counts.push(Counts { rule: format!("default: {default}"), ..Counts::default() });
                self.paths.insert(path.clone(), self.others.len());
                self.others.push(path);
                named + self.others.len() - 1
            }
        };
        if remembered {
            self.known.entry(place).or_default().insert(name.to_owned(), column);
        }
        column
    }

    pub fn note(&mut self, column: usize, event: Event) {
        self.events.push((column, event));
    }

    /// Notes what the redactor found in a text.
    pub fn found(&mut self, column: usize, text: &str) {
        self.found.extend(self.plan.entities(text).into_iter().map(|entity| (column, entity)));
    }

    /// Counts what the record met, which was passed on.
    pub fn passed(&mut self) {
        for (column, event) in self.events.drain(..) {
            let Some(counts) = self.counts.get_mut(column) else { continue };
            *match event {
                Event::Null => &mut counts.nulls,
                Event::Kept => &mut counts.kept,
                Event::Changed => &mut counts.changed,
                Event::Dropped => &mut counts.dropped,
                Event::Suppressed => &mut counts.suppressed,
            } += 1;
        }
        for (column, entity) in self.found.drain(..) {
            if let Some(counts) = self.counts.get_mut(column) {
                *counts.found.entry(entity).or_default() += 1;
            }
        }
    }

    /// Forgets what the record met, which was refused, by one of these columns perhaps.
    pub fn refused(&mut self, code: &'static str, column: Option<usize>) {
        self.events.clear();
        self.found.clear();
        if let Some(counts) = column.and_then(|column| self.counts.get_mut(column)) {
            *counts.refused.entry(code).or_default() += 1;
        }
    }

    /// The sums, by path; the plan's own counters have them too from here on.
    pub fn sums(self) -> BTreeMap<String, Counts> {
        let (plan, mut columns) = (self.plan, BTreeMap::new());
        let paths = plan.columns().iter().map(|column| column.path().to_owned()).chain(self.others);
        for (at, (path, counts)) in paths.zip(self.counts).enumerate() {
            if let Some(column) = plan.columns().get(at) {
                column.count(Met {
                    values: counts.values(),
                    nulls: counts.nulls,
                    suppressed: counts.suppressed,
                });
            } else if counts.values() == 0 && counts.refused.is_empty() {
                continue;
            }
            columns.insert(path, counts);
        }
        columns
    }
}

impl Counts {
    /// Values in records that were passed on, nothings included.
    pub fn values(&self) -> u64 {
        self.nulls + self.kept + self.changed + self.dropped + self.suppressed
    }
}

/// A path as reports show it: its names are names, or are not shown.
pub(super) fn shown_path<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let mut path = String::new();
    for name in names {
        if name == "[*]" || name == "*" {
            path.push_str(name);
            continue;
        }
        if !path.is_empty() {
            path.push('.');
        }
        path.push_str(shown_name(name));
    }
    path
}

//! Measures a table before and after, by the places that the plan says people may be told apart by.
//!
//! Each thread hashes the rows of its piece; the counts, which all share, are locked for a moment at its end. Before are all records
//! that can be read, also those that are refused later; after are those that were passed on.
//!
//! A measure that cannot be had (too many classes, a list for a value, a path that no row has) is given up with the
//! reason, and the memory with it; the treating goes on.
//!
//! A path that rows had before and none has after is one that the plan drops: it tells nobody apart any more, and after is
//! measured by the rest.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use foldhash::HashMap;

use super::super::measure::{Hashing, Measure, Privacy};
use super::super::path::{Step, steps};
use super::super::plan::Plan;
use super::super::value::Cell;
use crate::error::ConfigError;

/// A place on the way to a value that is measured.
#[derive(Default)]
pub(super) struct Place {
    /// Which value is here.
    pub at: Option<usize>,
    members: HashMap<String, Place>,
}

impl Place {
    pub fn member(&self, name: &str) -> Option<&Place> {
        self.members.get(name)
    }

    /// Whether values are measured below it.
    pub fn has_members(&self) -> bool {
        !self.members.is_empty()
    }
}

/// What was measured of one side, and the paths of the other side that it has not any more; or why it was not.
pub type Measured = Result<(Privacy, Vec<String>), String>;

/// Counts rows before and after.
pub struct Watch {
    pub(super) root: Place,
    paths: Vec<String>,
    quasi: usize,
    hashing: Hashing,
    sides: Mutex<[Side; 2]>,
    /// Sides that were given up: nothing more is hashed for them.
    void: [AtomicBool; 2],
}

struct Side {
    measure: Option<Measure>,
    had: Vec<u64>,
    why: String,
}

/// Rows of one side, that are not counted yet.
pub(super) struct Rows {
    hashes: Vec<u128>,
    had: Vec<u64>,
    misfit: bool,
    void: bool,
}

impl Watch {
    /// What the plan wants to be measured; `None` if that is nothing.
    ///
    /// # Errors
    /// If *max_entries* is nothing.
    pub fn of(plan: &Plan, key: [u8; 16], max_entries: usize) -> Result<Option<Self>, ConfigError> {
        let quasi = plan.quasi_identifiers().len();
        if quasi == 0 {
            return Ok(None);
        }
        let paths: Vec<String> = plan.quasi_identifiers().iter().chain(plan.sensitive()).cloned().collect();
        let mut root = Place::default();
        for (at, path) in paths.iter().enumerate() {
            let mut place = &mut root;
            for step in steps(path)? {
                // The plan has none with several values.
                if let Step::Member(name) = step {
                    place = place.members.entry(name).or_default();
                }
            }
            place.at = Some(at);
        }
        let side = || {
            let measure = Measure::new(key, quasi, plan.sensitive().len(), max_entries)?;
            Ok::<_, ConfigError>(Side {
                measure: Some(measure),
                had: vec![0; paths.len()],
                why: String::new(),
            })
        };
        let (before, after) = (side()?, side()?);
        let Some(hashing) = before.measure.as_ref().map(Measure::hashing) else { return Ok(None) };
        Ok(Some(Self {
            root,
            quasi,
            hashing,
            sides: Mutex::new([before, after]),
            paths,
            void: Default::default(),
        }))
    }

    /// Values of a row: as many as these.
    pub(super) fn width(&self) -> usize {
        self.paths.len()
    }

    /// Where rows of the table before (0) or after (1) are gathered.
    pub(super) fn rows(&self, side: usize) -> Rows {
        Rows {
            hashes: Vec::new(),
            had: vec![0; self.width()],
            misfit: false,
            void: self.void.get(side).is_some_and(|void| void.load(Ordering::Relaxed)),
        }
    }

    /// Adds a row; `None` stands for what it does not have.
    pub(super) fn add(&self, rows: &mut Rows, cells: &[Option<Cell<'_>>]) {
        if rows.void {
            return;
        }
        for (had, cell) in rows.had.iter_mut().zip(cells) {
            *had += u64::from(cell.is_some());
            rows.misfit |= matches!(cell, Some(Cell::Other));
        }
        let all: Vec<Cell<'_>> = cells.iter().map(|cell| cell.unwrap_or(Cell::Null)).collect();
        let (quasi, sensitive) = all.split_at(self.quasi.min(all.len()));
        self.hashing.row(quasi, sensitive, &mut rows.hashes);
    }

    /// Counts these rows: of the table before (0) or after (1).
    pub(super) fn count(&self, at: usize, rows: &Rows) {
        let mut sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(side) = sides.get_mut(at) else { return };
        // Also where the measure is given up: what was before is asked of what is after.
        for (sum, had) in side.had.iter_mut().zip(&rows.had) {
            *sum += had;
        }
        let Some(measure) = side.measure.as_mut() else { return };
        let why = if rows.misfit {
            "a value that is measured is a list or a table, or a path leads on where a value is"
        } else if measure.add_hashed(&rows.hashes).is_err() {
            "more classes and values than are counted: take fewer or coarser quasi-identifiers, or allow more entries"
        } else {
            return;
        };
        side.why = why.to_owned();
        side.measure = None;
        if let Some(void) = self.void.get(at) {
            void.store(true, Ordering::Relaxed);
        }
    }

    /// What was measured before and after.
    pub fn measured(&self) -> [Measured; 2] {
        let sides = self.sides.lock().unwrap_or_else(PoisonError::into_inner);
        [0, 1].map(|at| {
            let Some(side) = sides.get(at) else { return Err(String::new()) };
            let Some(measure) = &side.measure else { return Err(side.why.clone()) };
            let privacy = measure.privacy().map_err(|_| side.why.clone())?;
            if privacy.rows == 0 {
                return Ok((privacy, Vec::new()));
            }
            let earlier = sides.first().filter(|_| at > 0);
            let mut dropped = Vec::new();
            for (number, path) in self.paths.iter().enumerate() {
                let had = |side: &Side| side.had.get(number).is_some_and(|had| *had > 0);
                if had(side) {
                    continue;
                }
                if !earlier.is_some_and(had) {
                    return Err(format!("no row has {path:?}"));
                }
                dropped.push(path.clone());
            }
            Ok((privacy, dropped))
        })
    }
}

impl Rows {
    /// A path leads on where a value is.
    pub fn misfit(&mut self) {
        self.misfit = true;
    }
}

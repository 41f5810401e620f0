//! Measures for Python: rows in, k-anonymity and its kin out.

use pyo3::exceptions::{PyOverflowError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::super::errors::guarded;
use super::values::{Own, refused};
use crate::anonymize::{Cell, Entry, Measure, Refused, Step, TooMany, steps};
use crate::crypto::fill_random;
use crate::error::ConfigError;

/// Counts rows by what their people may be told apart by. ``flask_rampart.anonymize.Measure`` says more.
///
/// >>> measure = AnonymizeMeasure(["zip"], ["illness"])
/// >>> measure.add([{"zip": "902", "illness": "flu"}, {"zip": "902", "illness": "cold"}])
/// >>> measure.result()
/// (2, 1, [(2, 1)], [(2, 2, 2.0, 0.0)])
#[pyclass(module = "flask_rampart._native")]
pub struct AnonymizeMeasure {
    core: Measure,
    quasi: Vec<Vec<Step>>,
    sensitive: Vec<Vec<Step>>,
    /// The paths as they were written, those of quasi-identifiers first, and how many rows had each.
    had: Vec<(String, u64)>,
}

#[pymethods]
impl AnonymizeMeasure {
    #[new]
    #[pyo3(signature = (quasi_identifiers, sensitive, *, max_entries = 1_000_000, key = None))]
    fn new(
        quasi_identifiers: Vec<String>,
        sensitive: Vec<String>,
        max_entries: usize,
        key: Option<[u8; 16]>,
    ) -> PyResult<Self> {
        guarded(|| {
            let key = match key {
                Some(key) => key,
                None => {
                    let mut key = [0; 16];
                    fill_random(&mut key).map_err(|_| ConfigError::new("the system has no random bytes"))?;
                    key
                }
            };
            let core = Measure::new(key, quasi_identifiers.len(), sensitive.len(), max_entries)?;
            let (quasi, known) = (places(&quasi_identifiers)?, places(&sensitive)?);
            let had = quasi_identifiers.into_iter().chain(sensitive).map(|path| (path, 0)).collect();
            Ok(Self { core, quasi, sensitive: known, had })
        })
    }

    /// Counts these rows. What a row has not is nothing.
    ///
    /// :raises OverflowError: for more classes and values than ``max_entries``; nothing can be measured then.
    fn add(&mut self, rows: &Bound<'_, PyAny>) -> PyResult<()> {
        guarded(|| {
            for row in rows.try_iter()? {
                self.add_row(&row?, 1)?;
            }
            Ok(())
        })
    }

    /// Counts so many rows that are alike in what is measured.
    ///
    /// :raises OverflowError: as :meth:`add`.
    fn add_times(&mut self, row: &Bound<'_, PyAny>, times: u64) -> PyResult<()> {
        guarded(|| self.add_row(row, times))
    }

    /// What was counted, as ``(class, column, value, rows)``: rows of a class, whose column and value are None; of these,
    /// those that have a value; and without a class, how many rows have a column at all. Classes and values are keyed hashes.
    ///
    /// :raises OverflowError: if there were more than ``max_entries``.
    #[allow(clippy::type_complexity, reason = "a tuple for Python, which names it")]
    fn entries(&self) -> PyResult<Vec<(Option<[u8; 16]>, Option<usize>, Option<[u8; 16]>, u64)>> {
        guarded(|| {
            let had = self.had.iter().enumerate().map(|(at, (_, rows))| (None, Some(at), None, *rows));
            let counted = self.core.entries().map_err(too_many)?.into_iter().map(|entry| {
                let value = entry.value.map(|(_, hash)| hash.to_be_bytes());
                (Some(entry.class.to_be_bytes()), entry.value.map(|(column, _)| column), value, entry.rows)
            });
            Ok(had.chain(counted).collect())
        })
    }

    /// Counts on from what another of the same key and columns counted.
    ///
    /// :raises ValueError: for what is no such.
    /// :raises OverflowError: as :meth:`add`.
    #[allow(clippy::type_complexity, reason = "a tuple of Python's")]
    fn add_entries(
        &mut self,
        entries: Vec<(Option<[u8; 16]>, Option<usize>, Option<[u8; 16]>, u64)>,
    ) -> PyResult<()> {
        guarded(|| {
            let wrong = || ConfigError::new("these are not the counts of one table by these columns");
            for (class, column, value, rows) in entries {
                let Some(class) = class.map(u128::from_be_bytes) else {
                    let (_, had) = column.and_then(|at| self.had.get_mut(at)).ok_or_else(wrong)?;
                    *had = had.saturating_add(rows);
                    continue;
                };
                let value = match (column, value) {
                    (None, None) => None,
                    (Some(column), Some(value)) => Some((column, u128::from_be_bytes(value))),
                    _ => return Err(wrong().into()),
                };
                self.core.add_entry(Entry { class, value, rows }).map_err(|error| match error {
                    Some(error) => error.into(),
                    None => too_many(TooMany),
                })?;
            }
            Ok(())
        })
    }

    /// Adds what another counted, of other rows, with the same key.
    fn merge(&mut self, other: PyRef<'_, Self>) -> PyResult<()> {
        guarded(|| {
            if (&self.quasi, &self.sensitive) != (&other.quasi, &other.sensitive) {
                return Err(
                    ConfigError::new("these were counted by other columns, or in another order").into()
                );
            }
            match self.core.merge(&other.core) {
                Ok(()) => {
                    for ((_, had), (_, more)) in self.had.iter_mut().zip(&other.had) {
                        *had += more;
                    }
                    Ok(())
                }
                Err(Some(error)) => Err(error.into()),
                Err(None) => Err(too_many(TooMany)),
            }
        })
    }

    /// Numbers of the paths that no row had so far, those of quasi-identifiers first.
    fn missing(&self) -> Vec<usize> {
        self.had.iter().enumerate().filter(|(_, (_, had))| *had == 0).map(|(at, _)| at).collect()
    }

    /// How many rows so far are in the class of this one.
    fn class_size(&self, row: &Bound<'_, PyAny>) -> PyResult<u64> {
        guarded(|| Ok(self.core.class_size(&cells(&found(row, &self.quasi)?))))
    }

    /// ``(rows, classes, sizes, sensitive)``: how many classes have each size, and of each sensitive column
    /// ``(values, distinct, entropy, closeness)``.
    ///
    /// :param absent: numbers of paths that no row need have, those of quasi-identifiers first.
    /// :raises ValueError: for another path that no row had: all would be of one class.
    #[allow(clippy::type_complexity, reason = "a tuple for Python, which names it")]
    #[pyo3(signature = (absent = Vec::new()))]
    fn result(&self, absent: Vec<usize>) -> PyResult<(u64, u64, Vec<(u64, u64)>, Vec<(u64, u64, f64, f64)>)> {
        guarded(|| {
            let privacy = self.core.privacy().map_err(too_many)?;
            if privacy.rows > 0
                && let Some(at) = self.missing().into_iter().find(|at| !absent.contains(at))
            {
                let path = self.had.get(at).map_or("", |(path, _)| path.as_str());
                return Err(ConfigError::new(format!(
                    "{path:?}: no row has it, so nothing can be said of it. Is it mistyped?"
                ))
                .into());
            }
            let sensitive =
                privacy.sensitive.iter().map(|of| (of.values, of.distinct, of.entropy, of.closeness));
            Ok((privacy.rows, privacy.classes, privacy.sizes, sensitive.collect()))
        })
    }
}

impl AnonymizeMeasure {
    fn add_row(&mut self, row: &Bound<'_, PyAny>, times: u64) -> PyResult<()> {
        let (quasi, sensitive) = (found(row, &self.quasi)?, found(row, &self.sensitive)?);
        // First: that there was such a path is known also where the measure is given up.
        for ((_, had), value) in self.had.iter_mut().zip(quasi.iter().chain(&sensitive)) {
            *had = had.saturating_add(u64::from(value.is_some()) * times);
        }
        self.core.add_times(&cells(&quasi), &cells(&sensitive), times).map_err(too_many)
    }
}

fn cells(own: &[Option<Own>]) -> Vec<Cell<'_>> {
    own.iter().map(|own| own.as_ref().map_or(Cell::Null, Own::cell)).collect()
}

fn places(paths: &[String]) -> Result<Vec<Vec<Step>>, ConfigError> {
    paths
        .iter()
        .map(|path| {
            let steps = steps(path)?;
            if steps.contains(&Step::Each) {
                return Err(ConfigError::new(format!("{path:?} leads to several values of a record")));
            }
            Ok(steps)
        })
        .collect()
}

fn found(row: &Bound<'_, PyAny>, places: &[Vec<Step>]) -> PyResult<Vec<Option<Own>>> {
    let row = row.cast::<PyDict>().map_err(|_| PyTypeError::new_err("a row is a dict"))?;
    places.iter().map(|steps| value_at(row, steps)).collect()
}

/// The value that a path leads to; `None` if the row has no such.
fn value_at(row: &Bound<'_, PyDict>, steps: &[Step]) -> PyResult<Option<Own>> {
    let mut value = row.clone().into_any();
    for step in steps {
        let Step::Member(name) = step else { return Ok(None) };
        if value.is_none() {
            return Ok(None);
        }
        // What is there and is no table has no such member in any row: all of them would be one value.
        let table = value.cast::<PyDict>().map_err(|_| refused(Refused::Kind, ""))?;
        let Some(member) = table.get_item(name)? else { return Ok(None) };
        value = member;
    }
    match Own::of(&value)? {
        // All of them would be one value, and look safer than they are.
        Own::Other => Err(refused(Refused::Kind, "")),
        own => Ok(Some(own)),
    }
}

fn too_many(_: TooMany) -> PyErr {
    PyOverflowError::new_err(
        "more classes and values than max_entries: take fewer or coarser quasi-identifiers, or allow more memory",
    )
}

//! Walks a record of Python's, and puts in each place what the plan says.
//!
//! 1. A place that a rule names is treated by that rule, whole; one that leads on to some is walked.
//! 2. What no rule names has the plan's default. Under `redact`, a secret name goes on below itself, whatever else is named there,
//!    and names that are values are redacted as values are.
//! 3. At most 64 levels. A function of the program's may change the record meanwhile: lists of what was there are walked.

use std::collections::HashMap;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use super::AnonymizePlan;
use super::values::{Own, is_list, made_of, refused};
use crate::anonymize::{Cell, Column, Fate, Made, Node, OnError, REDACTED, Refused, Unnamed, shown_name};

/// Deepest nesting of a record.
const DEPTH: usize = 64;

/// Redacted names of a table, and how often each is there already.
type Names = HashMap<String, usize>;

pub(super) struct Walk<'p> {
    plan: &'p AnonymizePlan,
    path: Vec<String>,
    /// Whether it is below a name whose values are secret: what no rule names there is, under `redact`.
    secret: bool,
    /// Whether a part of the value could not be read, and became nothing.
    lost: bool,
}

impl<'p> Walk<'p> {
    pub(super) fn new(plan: &'p AnonymizePlan, path: Vec<String>) -> Self {
        Self { plan, path, secret: false, lost: false }
    }

    pub(super) fn enter(&mut self, name: &str) {
        self.secret |= self.plan.core.unnamed() == Unnamed::Redact && self.plan.core.is_secret_name(name);
    }

    /// A record, or a table in one.
    pub(super) fn members<'py>(
        &mut self,
        node: &Node,
        table: &Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyDict>> {
        self.bounded()?;
        let out = PyDict::new(table.py());
        let mut names = Names::default();
        // A list of its own: a function of the program's may change the table meanwhile.
        for item in table.items() {
            let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item.extract()?;
            let Some(name) = key.cast::<PyString>().ok().and_then(|name| name.to_str().ok()) else {
                return Err(self.refused(Refused::Kind));
            };
            self.path.push(shown_name(name).to_owned());
            let above = self.secret;
            self.enter(name);
            let known = node.member(name);
            let made = match known {
                Some(node) => self.place(node, &value)?,
                None => self.unnamed(name, &value)?,
            };
            self.secret = above;
            self.path.pop();
            match made {
                None => {}
                Some(made) if known.is_none() && self.plan.core.unnamed() == Unnamed::Redact => {
                    self.put(&mut names, table, &out, &key, name, made)?;
                }
                Some(made) => out.set_item(key, made)?,
            }
        }
        Ok(out)
    }

    /// A value at a place that the plan knows; None if it is left out.
    fn place<'py>(&mut self, node: &Node, value: &Bound<'py, PyAny>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = value.py();
        if let Some(column) = self.plan.core.column(node) {
            let own = Own::of(value)?;
            let fate = column.treat(own.cell()).map_err(|why| self.refused(why))?;
            return self.carried_out(column, fate, value);
        }
        if value.is_none() {
            return Ok(Some(value.clone()));
        }
        match (value.cast::<PyDict>(), node.each()) {
            (Ok(table), _) if node.has_members() => Ok(Some(self.members(node, table)?.into_any())),
            (_, Some(each)) if is_list(value) => {
                self.bounded()?;
                let out = PyList::empty(py);
                self.path.push("[*]".to_owned());
                for item in value.try_iter()? {
                    if let Some(made) = self.place(each, &item?)? {
                        out.append(made)?;
                    }
                }
                self.path.pop();
                Ok(Some(out.into_any()))
            }
            _ => self.misshapen(value, None).map(Some),
        }
    }

    pub(super) fn unnamed<'py>(
        &mut self,
        name: &str,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        match self.plan.core.unnamed() {
            Unnamed::Drop => Ok(None),
            Unnamed::Keep => Ok(Some(value.clone())),
            Unnamed::Redact => self.redacted(name, value, None).map(Some),
            Unnamed::Refuse => Err(self.refused(Refused::Column)),
        }
    }

    pub(super) fn carried_out<'py>(
        &mut self,
        column: &Column,
        fate: Fate<'_>,
        value: &Bound<'py, PyAny>,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let py = value.py();
        match fate {
            Fate::Drop => Ok(None),
            Fate::Put(made) => made_of(made, value).map(Some),
            Fate::Redact => {
                self.lost = false;
                let made = self.parts_redacted(value, Some(column))?;
                if self.lost {
                    // Once for the value, however many parts of it are gone.
                    column.failed(Refused::Kind).map_err(|why| self.refused(why))?;
                }
                Ok(Some(made))
            }
            Fate::Custom(name) => {
                let function = self.plan.customs.bind(py).get_item(name)?;
                let failed = match function.map(|function| function.call1((value,))) {
                    Some(Ok(made)) => return Ok(Some(made)),
                    // Ctrl-C and the like are not the value's fault. What else it says may quote the value.
                    Some(Err(error)) if !error.is_instance_of::<pyo3::exceptions::PyException>(py) => {
                        return Err(error);
                    }
                    _ => column.failed(Refused::Custom),
                };
                made_of(failed.map_err(|why| self.refused(why))?, value).map(Some)
            }
        }
    }

    fn redacted<'py>(
        &mut self,
        name: &str,
        value: &Bound<'py, PyAny>,
        column: Option<&Column>,
    ) -> PyResult<Bound<'py, PyAny>> {
        if !value.is_none() && (self.secret || self.plan.core.is_secret_name(name)) {
            return Ok(PyString::new(value.py(), REDACTED).into_any());
        }
        let own = Own::of(value)?;
        match self.plan.core.redacted(own.cell()) {
            Fate::Put(made) => made_of(made, value),
            _ => self.parts_redacted(value, column),
        }
    }

    /// What has parts, each of them redacted; names as well, which may be values.
    fn parts_redacted<'py>(
        &mut self,
        value: &Bound<'py, PyAny>,
        column: Option<&Column>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let py = value.py();
        self.bounded()?;
        self.path.push("*".to_owned());
        let made = if let Ok(table) = value.cast::<PyDict>() {
            let out = PyDict::new(py);
            let mut names = Names::default();
            for item in table.items() {
                let (key, value): (Bound<'py, PyAny>, Bound<'py, PyAny>) = item.extract()?;
                let Some(name) = key.cast::<PyString>().ok().and_then(|name| name.to_str().ok()) else {
                    return Err(self.refused(Refused::Kind));
                };
                let made = self.redacted(name, &value, column)?;
                self.put(&mut names, table, &out, &key, name, made)?;
            }
            out.into_any()
        } else if is_list(value) {
            let out = PyList::empty(py);
            for item in value.try_iter()? {
                out.append(self.redacted("", &item?, column)?)?;
            }
            out.into_any()
        } else {
            self.misshapen(value, column)?
        };
        self.path.pop();
        Ok(made)
    }

    /// Puts a value under its name, which is redacted as well; where that name is taken, under one with a number.
    fn put<'py>(
        &self,
        names: &mut Names,
        table: &Bound<'py, PyDict>,
        out: &Bound<'py, PyDict>,
        key: &Bound<'py, PyAny>,
        name: &str,
        made: Bound<'py, PyAny>,
    ) -> PyResult<()> {
        let Fate::Put(Made::Text(clean)) = self.plan.core.redacted(Cell::Text(name)) else {
            return out.set_item(key, made);
        };
        // Counted on from the last, so that a table of nothing but such names takes no longer for it.
        let last = names.entry(clean.clone()).or_default();
        loop {
            *last += 1;
            let free = if *last == 1 { clean.clone() } else { format!("{clean}#{last}") };
            if !table.contains(&free)? && !out.contains(&free)? {
                return out.set_item(free, made);
            }
        }
    }

    fn misshapen<'py>(
        &mut self,
        value: &Bound<'py, PyAny>,
        column: Option<&Column>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let made = match column.map(Column::on_error) {
            None => self.plan.core.misshapen(),
            Some(OnError::Refuse) => Err(Refused::Kind),
            Some(OnError::Suppress) => {
                self.lost = true;
                Ok(Made::Null)
            }
        };
        made_of(made.map_err(|why| self.refused(why))?, value)
    }

    fn bounded(&self) -> PyResult<()> {
        if self.path.len() > DEPTH { Err(refused(Refused::Depth, "")) } else { Ok(()) }
    }

    fn refused(&self, why: Refused) -> PyErr {
        refused(why, &self.path.join(".").replace(".[*]", "[*]"))
    }
}

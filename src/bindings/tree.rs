//! Python's dicts and lists as what validation walks and changes.

use std::borrow::Cow;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};

use super::json::PyBuilder;
use super::sanitize::detached as unlocked;
use crate::validation::cleaners::Clean;
use crate::validation::parser::ParseError;
use crate::validation::{EachElement, EachMember, Fate, JsonRejection, Reason, Tree};

impl<'py: 'n, 'n> Tree for PyBuilder<'py, 'n> {
    fn members(
        &mut self,
        value: &mut Bound<'py, PyAny>,
        each: EachMember<'_, Self>,
    ) -> Result<(), ParseError<PyErr>> {
        let Ok(dict) = value.cast::<PyDict>() else { return Ok(()) };
        // Changed when it was read: a dict does not like both at once.
        let mut changes = Vec::new();
        for (key, mut member) in dict.iter() {
            // Another key is not JSON: the engine says so.
            let Ok(name) = key.cast::<PyString>() else { continue };
            match each(self, &unicode(name)?, &mut member)? {
                Fate::Kept => {}
                Fate::Changed => changes.push((key, Some(member))),
                Fate::Dropped => changes.push((key, None)),
            }
        }
        for (key, member) in changes {
            let done = match member {
                Some(member) => dict.set_item(key, member),
                None => dict.del_item(key),
            };
            done.map_err(ParseError::Fault)?;
        }
        Ok(())
    }

    fn elements(
        &mut self,
        value: &mut Bound<'py, PyAny>,
        each: EachElement<'_, Self>,
    ) -> Result<(), ParseError<PyErr>> {
        let Ok(list) = value.cast::<PyList>() else { return Ok(()) };
        for index in 0..list.len() {
            let mut element = list.get_item(index).map_err(ParseError::Fault)?;
            if each(self, index, &mut element)? == Fate::Changed {
                list.set_item(index, element).map_err(ParseError::Fault)?;
            }
        }
        Ok(())
    }

    fn text<'v>(&self, value: &'v Bound<'py, PyAny>) -> Result<Option<Cow<'v, str>>, ParseError<PyErr>> {
        value.cast::<PyString>().ok().map(unicode).transpose()
    }

    /// Other threads may run meanwhile: a text never changes, and nobody else holds what it stands in.
    fn clean(&self, clean: &Clean, text: &str) -> Option<String> {
        unlocked(self.py(), text.len(), || clean(text))
    }

    fn has(&mut self, value: &Bound<'py, PyAny>, name: &str) -> PyResult<Option<bool>> {
        value.cast::<PyDict>().ok().map(|dict| dict.contains(name)).transpose()
    }

    fn give(&mut self, object: &mut Bound<'py, PyAny>, name: &str, value: Bound<'py, PyAny>) -> PyResult<()> {
        object.cast::<PyDict>()?.set_item(PyString::intern(object.py(), name), value)
    }
}

/// A text made elsewhere may hold half of a surrogate pair: no JSON can, and no cleaner reads it.
fn unicode<'t>(text: &'t Bound<'_, PyString>) -> Result<Cow<'t, str>, ParseError<PyErr>> {
    text.to_str()
        .map(Cow::Borrowed)
        .map_err(|_| ParseError::Rejected(JsonRejection { reason: Reason::Surrogate, offset: None }))
}

/// A value of its own: what is done to it is not done to what it was made of. Its depth was measured.
pub(super) fn detached<'py>(value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    if let Ok(dict) = value.cast::<PyDict>() {
        let copy = PyDict::new(py);
        for (key, member) in dict.iter() {
            copy.set_item(key, detached(&member)?)?;
        }
        return Ok(copy.into_any());
    }
    let copies: Vec<_> = if let Ok(list) = value.cast::<PyList>() {
        list.iter().map(|element| detached(&element)).collect::<PyResult<_>>()?
    } else if let Ok(tuple) = value.cast::<PyTuple>() {
        tuple.iter().map(|element| detached(&element)).collect::<PyResult<_>>()?
    } else {
        return Ok(value.clone());
    };
    Ok(PyList::new(py, copies)?.into_any())
}

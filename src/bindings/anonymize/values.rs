//! Values of Python's, taken out of their objects and put back.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyFloat, PyInt, PyList, PyString, PyTuple, PyType};

use super::AnonymizeRefused;
use crate::anonymize::{Cell, Made, Refused, date};

/// A value, taken out of its object so that no interpreter is needed to look at it.
pub(super) enum Own {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Date(time::Date, String),
    Text(PyBackedStr),
    Long(String),
    Other,
}

/// Kinds that have one text of their own, wherever they are written.
struct Kinds {
    date: Py<PyType>,
    texts: [Py<PyType>; 2],
}

static KINDS: PyOnceLock<Kinds> = PyOnceLock::new();

impl Own {
    pub(super) fn of(value: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = value.py();
        if value.is_none() {
            return Ok(Self::Null);
        }
        if let Ok(text) = value.cast::<PyString>() {
            // Lone surrogates have no UTF-8, so no rule reads them.
            return Ok(PyBackedStr::try_from(text.clone()).map_or(Self::Other, Self::Text));
        }
        if let Ok(truth) = value.cast::<PyBool>() {
            return Ok(Self::Bool(truth.is_true()));
        }
        if value.is_instance_of::<PyInt>() {
            return Ok(match value.extract() {
                Ok(number) => Self::Int(number),
                // Thousands of digits have no text either, whatever this Python thinks of them (CVE-2020-10735).
                Err(_) => value
                    .str()
                    .ok()
                    .and_then(|text| text.extract().ok())
                    .filter(|text: &String| text.len() <= 4300)
                    .map_or(Self::Other, Self::Long),
            });
        }
        if value.is_instance_of::<PyFloat>() {
            return Ok(Self::Float(value.extract()?));
        }
        let kinds = KINDS.get_or_try_init(py, || {
            let kind = |module: &str, name: &str| {
                Ok::<_, PyErr>(py.import(module)?.getattr(name)?.cast_into::<PyType>()?.unbind())
            };
            Ok::<_, PyErr>(Kinds {
                date: kind("datetime", "date")?,
                texts: [kind("decimal", "Decimal")?, kind("uuid", "UUID")?],
            })
        })?;
        if value.is_instance(kinds.date.bind(py))? {
            let part = |name| value.getattr(name).and_then(|part| part.extract::<i32>());
            let parts = (|| {
                let day = date(
                    part(intern!(py, "year"))?,
                    u8::try_from(part(intern!(py, "month"))?)?,
                    u8::try_from(part(intern!(py, "day"))?)?,
                );
                Ok::<_, PyErr>((day, value.call_method0(intern!(py, "isoformat"))?.extract()?))
            })();
            // What has the kind of a date and is none, as in pandas.
            return Ok(match parts {
                Ok((Some(day), text)) => Self::Date(day, text),
                _ => Self::Other,
            });
        }
        for kind in &kinds.texts {
            if value.is_instance(kind.bind(py))? {
                return Ok(Self::Long(value.str()?.extract()?));
            }
        }
        Ok(Self::Other)
    }

    pub(super) fn cell(&self) -> Cell<'_> {
        match self {
            Self::Null => Cell::Null,
            Self::Bool(truth) => Cell::Bool(*truth),
            Self::Int(number) => Cell::Int(*number),
            Self::Float(number) => Cell::Float(*number),
            Self::Date(date, text) => Cell::Date(*date, text),
            Self::Text(text) => Cell::Text(text),
            Self::Long(text) => Cell::Text(text),
            Self::Other => Cell::Other,
        }
    }
}

pub(super) fn refused(why: Refused, column: &str) -> PyErr {
    AnonymizeRefused::new_err((why.code(), column.to_owned()))
}

pub(super) fn is_list(value: &Bound<'_, PyAny>) -> bool {
    value.is_instance_of::<PyList>() || value.is_instance_of::<PyTuple>()
}

pub(super) fn made_of<'py>(made: Made, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    Ok(match made {
        Made::Kept => value.clone(),
        Made::Null => py.None().into_bound(py),
        Made::Int(number) => number.into_pyobject(py)?.into_any(),
        Made::Float(number) => number.into_pyobject(py)?.into_any(),
        Made::Text(text) => text.into_pyobject(py)?.into_any(),
    })
}

//! The parts of a request that are text, for Python.

use std::borrow::Cow;

use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyAny, PyString};

use super::errors::guarded;
use super::json::PyBuilder;
use super::validation::{PyBounds, PySchema, read_unknown};
use crate::validation::{Broken, Parts, Place, Read};

/// A JSON Schema of a part of a request that is text: an object of what it may hold.
///
/// *place* is ``"query"``, ``"path"``, ``"headers"``, ``"cookies"`` or ``"form"``. *unknown* says what becomes of a name that the schema
/// does not know: ``"reject"``, ``"ignore"`` (it passes, as text) or ``"strip"``.
///
/// Texts become the types that the schema names, where JSON would write them so; lists and objects are written as OpenAPI 3.1 says
/// (section 4.8.12.3), by ``x-style`` and ``x-explode`` beside their type.
///
/// :raises ValueError: as :class:`Schema`; and if the schema names no members, or a list or object cannot be written there.
///
/// >>> schema = '{"properties": {"page": {"type": "integer", "minimum": 1, "default": 1}, "tag": {"type": "array"}}}'
/// >>> parts = Parts(schema, JsonBounds(), "query", "reject")
/// >>> parts.query("tag=a&tag=b"), parts.query("page=0"), parts.query("page=%")
/// ({'page': 1, 'tag': ['a', 'b']}, [('/page', 'minimum')], None)
#[pyclass(frozen, name = "Parts", module = "flask_rampart._native")]
pub struct PyParts {
    parts: Parts,
    schema: PySchema,
}

#[pymethods]
impl PyParts {
    #[new]
    fn new(py: Python<'_>, schema: &str, bounds: &PyBounds, place: &str, unknown: &str) -> PyResult<Self> {
        let place = match place {
            "query" => Place::Query,
            "path" => Place::Path,
            "headers" => Place::Headers,
            "cookies" => Place::Cookies,
            "form" => Place::Form,
            _ => return Err(PyValueError::new_err("a part is query, path, headers, cookies or form")),
        };
        let unknown = read_unknown(unknown)?;
        guarded(|| {
            let (schema, value) = PySchema::with_value(py, schema, bounds)?;
            let made = Self { parts: Parts::of(&value, place, unknown)?, schema };
            let mut builder = PyBuilder::new(py, Some(made.schema.names()));
            let mut empty = made.parts.pairs(std::iter::empty(), made.schema.bounds(), &mut builder)?;
            let weight = made.schema.prepare(&mut empty.value, empty.weight)?;
            let explanation = made.schema.broken(&empty.value, weight, false)?;
            let broken = explanation.map(|explanation| explanation.broken).unwrap_or_default();
            match broken.iter().find(|one| !one.pointer.is_empty() && one.rule != "required") {
                Some(one) => Err(PyValueError::new_err(format!(
                    "the default of {:?} is not what its schema says ({})",
                    one.pointer, one.rule
                ))),
                None => Ok(made),
            }
        })
    }

    /// The names that the schema knows.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.parts.names().collect()
    }

    /// Where the schema lets a text be as long as the request, or a list or object as large: JSON Pointers into it, at most 20.
    #[getter]
    fn unbounded(&self) -> &[String] {
        self.parts.unbounded()
    }

    /// Reads a query as it stands behind the question mark: a dict; or what is wrong with it, as a list of (JSON Pointer, keyword); or None
    /// if it cannot be taken apart: an escape that is none, or no UTF-8.
    fn query<'py>(&self, py: Python<'py>, query: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let mut builder = PyBuilder::new(py, Some(self.schema.names()));
            let read = match latin(query) {
                Some(text) => self.parts.query(&text, self.schema.bounds(), &mut builder)?,
                None => None,
            };
            match read {
                Some(read) => self.judged(py, read),
                None => py.None().into_bound_py_any(py),
            }
        })
    }

    /// Reads pairs of names and texts: a dict, or what is wrong with them.
    fn pairs<'py>(&self, py: Python<'py>, pairs: Vec<(String, String)>) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let mut builder = PyBuilder::new(py, Some(self.schema.names()));
            let pairs = pairs.into_iter().map(|(name, text)| (Cow::Owned(name), Cow::Owned(text)));
            self.judged(py, self.parts.pairs(pairs, self.schema.bounds(), &mut builder)?)
        })
    }
}

impl PyParts {
    fn judged<'py>(&self, py: Python<'py>, mut read: Read<Bound<'py, PyAny>>) -> PyResult<Bound<'py, PyAny>> {
        let weight = self.schema.prepare(&mut read.value, read.weight)?;
        let explanation = self.schema.broken(&read.value, weight, false)?;
        let mut broken = read.broken;
        if broken.is_empty() && explanation.is_none() {
            self.schema.complete(&mut read.value)?;
            return Ok(read.value);
        }
        // What could not be read is not missing as well.
        let others = explanation.map(|explanation| explanation.broken).unwrap_or_default().into_iter();
        let others: Vec<Broken> =
            others.filter(|one| broken.iter().all(|read| read.pointer != one.pointer)).collect();
        broken.extend(others);
        if broken.is_empty() {
            // Where to say why would cost too much: what is wrong is wrong all the same.
            broken.push(Broken { pointer: String::new(), rule: "schema".to_owned() });
        }
        let told: Vec<_> = broken.into_iter().map(|one| (one.pointer, one.rule)).collect();
        told.into_bound_py_any(py)
    }
}

/// As the bytes that a server has read: WSGI gives each as a character (PEP 3333). None if it did not.
fn latin<'t>(text: &'t Bound<'_, PyString>) -> Option<Cow<'t, [u8]>> {
    let text = text.to_cow().ok()?;
    if text.is_ascii() {
        return Some(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        });
    }
    let bytes: Option<Vec<u8>> =
        text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect();
    bytes.map(Cow::Owned)
}

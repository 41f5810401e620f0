//! Bounded JSON and JSON Schema for Python.

use jsonschema::json::{Pyo3, inspect};
use pyo3::Borrowed;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;

use super::cleaners::CLEANERS;
use super::errors::guarded;
use super::json::{Names, PyBuilder, measure};
use super::tree::detached;
use crate::validation::parser::ParseError;
use crate::validation::value::parse_value;
use crate::validation::{Bounds, Explanation, JsonRejection, Parsed, Schema, Unknown, parse};

pyo3::create_exception!(
    flask_rampart._native,
    JsonRejected,
    PyException,
    "A body that was refused before any schema saw it.

``code`` is stable: ``json.malformed``, ``json.encoding``, ``json.surrogate``, ``json.non_finite``,
``json.duplicate_key``, ``json.number_too_long``, ``json.too_deep``, ``json.too_many_keys`` or
``json.too_large``. ``offset`` is the byte at which it was noticed, or None. ``syntax`` is True only
where ``json.loads`` would have raised as well. The message holds nothing of the body."
);

pyo3::create_exception!(
    flask_rampart._native,
    SchemaRejected,
    PyException,
    "A body that is JSON, but not what the schema says. ``code`` is ``body.invalid``.

``errors`` is a list of (JSON Pointer, keyword), at most 20; ``truncated`` says that there may be
more. It may be empty where finding the place would cost too much. Neither values nor names that
only the peer knows are in it. ``document`` is the same as members of a JSON object:
``\"errors\":[{\"pointer\":\"/a\",\"rule\":\"type\"}]``."
);

/// How much JSON a body may hold. Each bound is inclusive; the body is refused beyond it.
///
/// ``max_bytes``: longest body. ``max_depth``: deepest nesting, at most 255. ``max_keys``: most object
/// members in the whole body. ``max_digits``: longest number in characters, at most 4300.
///
/// :raises ValueError: if a bound is zero or beyond what can be honoured.
///
/// >>> JsonBounds(max_depth=8).max_depth
/// 8
#[pyclass(frozen, name = "JsonBounds", module = "flask_rampart._native")]
pub struct PyBounds(Bounds);

#[pymethods]
impl PyBounds {
    #[new]
    #[pyo3(signature = (*, max_bytes = 1_048_576, max_depth = 64, max_keys = 10_000, max_digits = 309))]
    fn new(max_bytes: i64, max_depth: i64, max_keys: i64, max_digits: i64) -> PyResult<Self> {
        // A negative number is as wrong as zero, and is reported as such.
        let bound = |value: i64| usize::try_from(value).unwrap_or(0);
        Ok(Self(Bounds::new(bound(max_bytes), bound(max_depth), bound(max_keys), bound(max_digits))?))
    }

    /// Longest body, in bytes.
    #[getter]
    fn max_bytes(&self) -> usize {
        self.0.max_bytes()
    }

    /// Deepest nesting.
    #[getter]
    fn max_depth(&self) -> usize {
        self.0.max_depth()
    }

    /// Most object members in the whole body.
    #[getter]
    fn max_keys(&self) -> usize {
        self.0.max_keys()
    }

    /// Longest number, in characters without its sign.
    #[getter]
    fn max_digits(&self) -> usize {
        self.0.max_digits()
    }
}

/// Reads *data* as JSON, strictly (RFC 8259) and within *bounds*.
///
/// Integers are exact, floats correctly rounded. Refused beside malformed text: a member named twice,
/// numbers that are not finite, half of a surrogate pair, and any encoding but UTF-8 without a mark.
///
/// :raises JsonRejected: with a stable ``code``.
///
/// >>> parse_json(b'{"a": [1, 2.5, null]}', JsonBounds())
/// {'a': [1, 2.5, None]}
#[pyfunction]
pub fn parse_json<'py>(py: Python<'py>, data: &[u8], bounds: &PyBounds) -> PyResult<Bound<'py, PyAny>> {
    guarded(|| Ok(read(py, data, &bounds.0, None)?.value))
}

/// A JSON Schema, examined and compiled once.
///
/// *schema* is its JSON text; draft 4, 6, 7, 2019-09 or 2020-12 by its ``$schema``, 2020-12 without one.
/// In every draft formats are asserted, patterns run in linear time and references stay inside the text.
///
/// *unknown* says what becomes of a name that the schema does not know, in an object whose members it names: ``"reject"``,
/// ``"ignore"`` or ``"strip"``. ``default`` is put in where a member is absent, and ``x-clean`` cleans a string before it is
/// judged.
///
/// :raises ValueError: if the schema is not valid, refers to something outside itself, names an unknown
///     format, has a misspelt keyword or one that would check nothing, has a pattern that needs backtracking, or could
///     cost more than the body is long; or for a ``default`` or ``x-clean`` that cannot be meant.
///
/// >>> Schema('{"type": "object", "required": ["text"]}', JsonBounds()).check(b'{"text": "hello"}')
/// {'text': 'hello'}
/// >>> schema = '{"properties": {"name": {"type": "string", "x-clean": "text"}, "size": {"default": 1}}}'
/// >>> Schema(schema, JsonBounds(), "strip").check(b'{"name": "a\\u202eb", "is_admin": true}')
/// {'name': 'ab', 'size': 1}
#[pyclass(frozen, name = "Schema", module = "flask_rampart._native")]
pub struct PySchema {
    schema: Schema<Pyo3>,
    names: Names,
    bounds: Bounds,
}

#[pymethods]
impl PySchema {
    #[new]
    #[pyo3(signature = (schema, bounds, unknown = "ignore"))]
    fn new(py: Python<'_>, schema: &str, bounds: &PyBounds, unknown: &str) -> PyResult<Self> {
        let unknown = read_unknown(unknown)?;
        guarded(|| {
            let schema = Schema::with(schema, &bounds.0, unknown, &CLEANERS)?;
            let names = Names::new(py, schema.names());
            Ok(Self { schema, names, bounds: bounds.0 })
        })
    }

    /// Where the schema lets a string, array or object be as large as the whole body: JSON Pointers into it, at most 20.
    #[getter]
    fn unbounded(&self) -> &[String] {
        self.schema.unbounded()
    }

    /// Reads *data* and returns it if it is valid: stripped, cleaned and with its defaults, as the schema says.
    ///
    /// :raises JsonRejected: if it is not JSON within the bounds.
    /// :raises SchemaRejected: if it is not what the schema says.
    fn check<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let Parsed { value, weight, .. } = read(py, data, &self.bounds, Some(&self.names))?;
            // Nothing else holds these objects, and reading them runs no Python code.
            if self.schema.refines() {
                return self.refined(value, weight, false);
            }
            self.hold(&value, weight, false)?;
            Ok(value)
        })
    }

    /// The same without raising, which costs: *data*'s value, or the rejection that :meth:`check` raises. No body
    /// is an exception, so the two cannot be mistaken for one another.
    fn judge<'py>(&self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        self.check(py, data).or_else(|error| {
            if error.is_instance_of::<JsonRejected>(py) || error.is_instance_of::<SchemaRejected>(py) {
                return Ok(error.into_value(py).into_bound(py).into_any());
            }
            Err(error)
        })
    }

    /// Checks *value*, which is made of dicts, lists, strings, numbers, bools and None, and returns it; where the schema
    /// strips, cleans or has defaults, a copy of it that is as it says. What is given is never changed.
    ///
    /// :raises SchemaRejected: if it is not what the schema says.
    /// :raises JsonRejected: if it is beyond the bounds, such as an object that holds itself.
    /// :raises ValueError: if it holds an object of another type.
    fn check_value<'py>(&self, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let weight = measure(value, &self.bounds).map_err(|rejection| reject(value.py(), rejection))?;
            if self.schema.refines() {
                return self.refined(detached(value)?, weight, true);
            }
            self.hold(value, weight, true)?;
            Ok(value.clone())
        })
    }
}

impl PySchema {
    /// With what it was made of.
    pub(super) fn with_value(
        py: Python<'_>,
        schema: &str,
        bounds: &PyBounds,
    ) -> PyResult<(Self, serde_json::Value)> {
        let made = Self::new(py, schema, bounds, "ignore")?;
        let all = Bounds::new(schema.len().max(1), Bounds::DEEPEST, usize::MAX >> 1, Bounds::LONGEST_NUMBER)?;
        let parsed = parse_value(schema.as_bytes(), &all)
            .map_err(|rejection| PyValueError::new_err(rejection.to_string()))?;
        Ok((made, parsed.value))
    }

    pub(super) fn names(&self) -> &Names {
        &self.names
    }

    pub(super) fn bounds(&self) -> &Bounds {
        &self.bounds
    }

    /// What is done to a value before it is judged; gives its weight.
    pub(super) fn prepare<'py>(&self, value: &mut Bound<'py, PyAny>, weight: usize) -> PyResult<usize> {
        let py = value.py();
        let grown = self.schema.prepare(&mut PyBuilder::new(py, Some(&self.names)), value);
        Ok(weight.saturating_add(grown.map_err(|error| raise(py, error))?))
    }

    /// What is done to a value that was judged.
    pub(super) fn complete<'py>(&self, value: &mut Bound<'py, PyAny>) -> PyResult<()> {
        let py = value.py();
        let done = self.schema.complete(&mut PyBuilder::new(py, Some(&self.names)), value);
        done.map_err(|error| raise(py, error))
    }

    fn refined<'py>(
        &self,
        mut value: Bound<'py, PyAny>,
        weight: usize,
        holding: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        let weight = self.prepare(&mut value, weight)?;
        self.hold(&value, weight, holding)?;
        self.complete(&mut value)?;
        Ok(value)
    }

    /// Why *value* is not what the schema says; None if it is.
    pub(super) fn broken(
        &self,
        value: &Bound<'_, PyAny>,
        weight: usize,
        holding: bool,
    ) -> PyResult<Option<Explanation>> {
        let node = shorten(value.as_borrowed());
        if inspect(node, holding, || self.schema.is_valid(node))? {
            return Ok(None);
        }
        inspect(node, holding, || self.schema.explain(&node, weight)).map(Some)
    }

    fn hold(&self, value: &Bound<'_, PyAny>, weight: usize, holding: bool) -> PyResult<()> {
        match self.broken(value, weight, holding)? {
            None => Ok(()),
            Some(explanation) => Err(reject_schema(value.py(), explanation)),
        }
    }
}

/// The engine wants one lifetime for the object and for the interpreter.
fn shorten<'a, 'py: 'a>(value: Borrowed<'a, 'py, PyAny>) -> Borrowed<'a, 'a, PyAny> {
    value
}

fn read<'py>(
    py: Python<'py>,
    data: &[u8],
    bounds: &Bounds,
    names: Option<&Names>,
) -> PyResult<Parsed<Bound<'py, PyAny>>> {
    parse(data, bounds, &mut PyBuilder::new(py, names)).map_err(|error| raise(py, error))
}

fn raise(py: Python<'_>, error: ParseError<PyErr>) -> PyErr {
    match error {
        ParseError::Rejected(rejection) => reject(py, rejection),
        ParseError::Fault(error) => error,
    }
}

pub(super) fn read_unknown(unknown: &str) -> PyResult<Unknown> {
    match unknown {
        "reject" => Ok(Unknown::Reject),
        "ignore" => Ok(Unknown::Ignore),
        "strip" => Ok(Unknown::Strip),
        _ => Err(PyValueError::new_err("what is unknown is rejected, ignored or stripped")),
    }
}

#[cold]
pub(super) fn reject(py: Python<'_>, rejection: JsonRejection) -> PyErr {
    let error = JsonRejected::new_err(rejection.to_string());
    let value = error.value(py);
    let set = value
        .setattr(intern!(py, "code"), rejection.reason.code())
        .and_then(|()| value.setattr(intern!(py, "offset"), rejection.offset))
        .and_then(|()| value.setattr(intern!(py, "syntax"), rejection.reason.is_syntax()));
    set.err().unwrap_or(error)
}

#[cold]
fn reject_schema(py: Python<'_>, explanation: Explanation) -> PyErr {
    let document = explanation.document();
    let errors: Vec<(String, String)> =
        explanation.broken.into_iter().map(|broken| (broken.pointer, broken.rule)).collect();
    let error = SchemaRejected::new_err(intern!(py, "the body is not what the schema says").clone().unbind());
    let value = error.value(py);
    let set = value
        .setattr(intern!(py, "code"), intern!(py, "body.invalid"))
        .and_then(|()| value.setattr(intern!(py, "errors"), errors))
        .and_then(|()| value.setattr(intern!(py, "document"), document))
        .and_then(|()| value.setattr(intern!(py, "truncated"), explanation.truncated));
    set.err().unwrap_or(error)
}

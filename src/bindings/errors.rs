//! How a failure in the core becomes a Python exception.

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyType;

use crate::error::ConfigError;

impl From<ConfigError> for PyErr {
    fn from(error: ConfigError) -> Self {
        PyValueError::new_err(error.to_string())
    }
}

/// An ``IntegrityError`` of ``errors.py``: what was sealed was changed, or is not what it is taken for.
///
/// The class is Python's, so that it is one of a family that apps catch; it is asked for when it is first needed.
pub(crate) fn integrity(py: Python<'_>, reason: &'static str) -> PyErr {
    static KIND: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    match KIND.import(py, "flask_rampart.errors", "IntegrityError").and_then(|kind| kind.call1((reason,))) {
        Ok(error) => PyErr::from_value(error),
        Err(error) => error,
    }
}

/// Runs an entry point; a panic in it becomes a `RuntimeError`, on which the Python side refuses.
///
/// The message says nothing of the input, which may be secret. The panic's own text goes to
/// standard error by the default hook; no code of ours formats input into a panic.
pub(crate) fn guarded<T>(entry: impl FnOnce() -> PyResult<T>) -> PyResult<T> {
    match catch_unwind(AssertUnwindSafe(entry)) {
        Ok(result) => result,
        Err(_) => Err(PyRuntimeError::new_err("internal error in the native core; the request is refused")),
    }
}

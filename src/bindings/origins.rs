//! Origins for Python: text in, the origin as browsers send it out.

use pyo3::prelude::*;
use pyo3::types::PyString;

use super::errors::guarded;
use crate::origins::{Origin, Origins as Core};

/// An origin as browsers send it (RFC 6454 section 6.2); None for what is no origin, such as ``null`` or a URL with a path.
///
/// Scheme and host are put in lower case, a name beyond ASCII becomes its A-labels, the default port goes.
///
/// >>> parse_origin("HTTPS://Example.com:443"), parse_origin("https://example.com/"), parse_origin("null")
/// ('https://example.com', None, None)
#[pyfunction]
pub fn parse_origin(text: &Bound<'_, PyString>) -> PyResult<Option<String>> {
    guarded(|| {
        // A lone surrogate is in no origin.
        let Ok(text) = text.to_str() else { return Ok(None) };
        Ok(Origin::parse(text).map(|origin| origin.as_str().to_owned()))
    })
}

/// Origins that were listed.
///
/// Build one and share it: it is immutable, and safe to use from all threads.
///
/// :param listed: origins; ``https://*.example.com`` for all names below a domain; ``http://localhost:*`` for all ports.
/// :param patterns: regular expressions of Rust's ``regex`` crate; each must match the whole of an origin.
/// :raises ValueError: for what is no origin, and for what would let in strangers.
///
/// >>> origins = Origins(["https://*.example.com"], [])
/// >>> origins.has("https://a.example.com"), origins.has("https://a.example.com.evil.test")
/// (True, False)
/// >>> Origins(["https://*.co.uk"], [])
/// Traceback (most recent call last):
/// ValueError: "https://*.co.uk": that is a public suffix, ...
#[pyclass(frozen, name = "Origins", module = "flask_rampart._native")]
pub struct PyOrigins(Core);

#[pymethods]
impl PyOrigins {
    #[new]
    fn new(listed: Vec<String>, patterns: Vec<String>) -> PyResult<Self> {
        guarded(|| {
            Ok(Self(Core::new(listed.iter().map(String::as_str), patterns.iter().map(String::as_str))?))
        })
    }

    /// Whether the origin that a browser sent is one of these; linear in its length.
    fn has(&self, sent: &Bound<'_, PyString>) -> PyResult<bool> {
        guarded(|| Ok(sent.to_str().is_ok_and(|sent| self.0.has(sent))))
    }

    /// The first that is reached over plain HTTP from elsewhere; None if there is none.
    #[getter]
    fn insecure(&self) -> Option<&str> {
        self.0.insecure()
    }
}

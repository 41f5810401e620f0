//! Origins for Python: text in, the origin as browsers send it out.

use pyo3::prelude::*;

use super::errors::guarded;
use crate::origins::Origin;

/// An origin as browsers send it (RFC 6454 section 6.2); None for what is no origin, such as ``null`` or a URL with a path.
///
/// Scheme and host are put in lower case, a name beyond ASCII becomes its A-labels, the default port goes.
///
/// >>> parse_origin("HTTPS://Example.com:443"), parse_origin("https://example.com/"), parse_origin("null")
/// ('https://example.com', None, None)
#[pyfunction]
pub fn parse_origin(text: &Bound<'_, pyo3::types::PyString>) -> PyResult<Option<String>> {
    guarded(|| {
        // A lone surrogate is in no origin.
        let Ok(text) = text.to_str() else { return Ok(None) };
        Ok(Origin::parse(text).map(|origin| origin.as_str().to_owned()))
    })
}

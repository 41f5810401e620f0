//! The size of a request's head, before anything in it is read; and that it says once how its body ends.
//!
//! One call for each request, which looks at lengths and at no text. First it adds up the whole environ, which is more
//! than the head; only where that is too much does it look which names are header fields.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::credentials::text;
use super::errors::guarded;

/// How large the head of a request may be. Each bound is inclusive.
///
/// *max_headers*: header fields as WSGI shows them, where a field that was sent twice is one. *max_header_bytes*: their
/// names and values. *max_query*, *max_path*: bytes of the two, the path as it reads without escapes.
///
/// >>> bounds = HeadBounds(max_headers=100, max_header_bytes=32768, max_query=8192, max_path=8192)
/// >>> bounds.judge({"PATH_INFO": "/", "QUERY_STRING": "", "HTTP_X": "y"}) is None
/// True
/// >>> bounds.judge({"PATH_INFO": "/", "QUERY_STRING": "", "HTTP_X": "y" * 40000})
/// 'head.too_large'
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct HeadBounds {
    max_headers: usize,
    max_header_bytes: usize,
    max_query: usize,
    max_path: usize,
}

#[pymethods]
impl HeadBounds {
    #[new]
    #[pyo3(signature = (*, max_headers, max_header_bytes, max_query, max_path))]
    fn new(max_headers: usize, max_header_bytes: usize, max_query: usize, max_path: usize) -> Self {
        Self { max_headers, max_header_bytes, max_query, max_path }
    }

    /// The code of the refusal; None if it is within the bounds.
    ///
    /// The head is judged before the path and the query. ``request.malformed`` is a ``Transfer-Encoding`` beside a
    /// ``Content-Length``, or one that is not ``chunked``.
    fn judge(&self, environ: &Bound<'_, PyDict>) -> PyResult<Option<&'static str>> {
        guarded(|| {
            let py = environ.py();
            if !self.holds_all(environ) && !self.holds_head(environ) {
                return Ok(Some("head.too_large"));
            }
            let length =
                |name| -> PyResult<usize> { text(environ, name)?.as_ref().map_or(Ok(0), |text| text.len()) };
            if let Some(coding) = text(environ, intern!(py, "HTTP_TRANSFER_ENCODING"))? {
                let coding = coding.to_str()?.trim_ascii();
                // Which of the two counts, two servers read in two ways (RFC 9112 §6.1, §6.3).
                let both = !coding.is_empty() && length(intern!(py, "CONTENT_LENGTH"))? > 0;
                // Servers take `chunked` off, and leave the others to the app as if they were the body.
                if both || !["", "chunked", "identity"].iter().any(|known| coding.eq_ignore_ascii_case(known))
                {
                    return Ok(Some("request.malformed"));
                }
            }
            if length(intern!(py, "PATH_INFO"))? + length(intern!(py, "SCRIPT_NAME"))? > self.max_path {
                return Ok(Some("path.too_long"));
            }
            if length(intern!(py, "QUERY_STRING"))? > self.max_query {
                return Ok(Some("query.too_long"));
            }
            Ok(None)
        })
    }
}

impl HeadBounds {
    /// Whether the environ is so small that its header fields must be too.
    fn holds_all(&self, environ: &Bound<'_, PyDict>) -> bool {
        if environ.len() > self.max_headers {
            return false;
        }
        let mut bytes = 0_usize;
        for (name, value) in environ.iter() {
            bytes = bytes.saturating_add(size(&name)).saturating_add(size(&value));
        }
        bytes <= self.max_header_bytes
    }

    fn holds_head(&self, environ: &Bound<'_, PyDict>) -> bool {
        let (mut count, mut bytes) = (0_usize, 0_usize);
        for (name, value) in environ.iter() {
            let Some(field) = name.cast::<PyString>().ok().and_then(|name| field(name)) else { continue };
            let value = size(&value);
            // Servers give these two also where they were not sent.
            if value == 0 && !field.1 {
                continue;
            }
            count += 1;
            bytes = bytes.saturating_add(field.0).saturating_add(value);
        }
        count <= self.max_headers && bytes <= self.max_header_bytes
    }
}

/// The length of a field's name, and whether it is there only if it was sent; `None` for what is no field (PEP 3333).
fn field(name: &Bound<'_, PyString>) -> Option<(usize, bool)> {
    match name.to_str().ok()? {
        name @ ("CONTENT_TYPE" | "CONTENT_LENGTH") => Some((name.len(), false)),
        name => name.strip_prefix("HTTP_").map(|name| (name.len(), true)),
    }
}

/// Characters of a text, which in an environ are bytes each (PEP 3333); nothing of anything else.
fn size(value: &Bound<'_, PyAny>) -> usize {
    value.cast::<PyString>().ok().and_then(|text| text.len().ok()).unwrap_or(0)
}

//! Where a request carries a credential, for all rooms that look for one.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString, PyTuple};

use super::errors::guarded;
use crate::credential::{self, Credential};
use crate::tokens::bearer::{self, Bearer};

/// A refusal: its code, and the word for the log.
pub(super) type Refused = (&'static str, &'static str);

/// What *judge* says of the bearer token of a request (RFC 6750 §2.1); `None` if it carries none.
pub(super) fn with_bearer<T>(
    environ: &Bound<'_, PyDict>,
    judge: impl FnOnce(&str) -> Result<T, Refused>,
) -> PyResult<Option<Result<T, Refused>>> {
    with_token(environ, "bearer", judge)
}

/// The same by another scheme that carries a token; *scheme* is written in lower case.
pub(super) fn with_token<T>(
    environ: &Bound<'_, PyDict>,
    scheme: &str,
    judge: impl FnOnce(&str) -> Result<T, Refused>,
) -> PyResult<Option<Result<T, Refused>>> {
    let py = environ.py();
    let Some(field) = text(environ, intern!(py, "HTTP_AUTHORIZATION"))? else { return Ok(None) };
    let query = text(environ, intern!(py, "QUERY_STRING"))?;
    // Lone surrogates, which no server sends, are no part of a token.
    let query = query.as_ref().map(|query| query.to_string_lossy()).unwrap_or_default();
    Ok(match bearer::find_by(scheme, &field.to_string_lossy(), &query) {
        Bearer::None => None,
        Bearer::Malformed => Some(Err(("token.invalid", "scheme"))),
        Bearer::Ambiguous => Some(Err(("auth.ambiguous", "two credentials"))),
        Bearer::Token(token) => Some(judge(token)),
    })
}

/// Whether the ``Authorization`` of a request carries a credential of *scheme*, right or wrong (RFC 9110 §11.4).
///
/// :param scheme: in lower case, such as ``"bearer"``.
///
/// >>> carries({"HTTP_AUTHORIZATION": "Bearer abc"}, "bearer"), carries({"HTTP_AUTHORIZATION": "Bearer "}, "bearer")
/// (True, False)
#[pyfunction]
pub fn carries(environ: &Bound<'_, PyDict>, scheme: &str) -> PyResult<bool> {
    guarded(|| {
        let field = text(environ, intern!(environ.py(), "HTTP_AUTHORIZATION"))?;
        Ok(field.is_some_and(|field| credential::read(&field.to_string_lossy(), scheme) != Credential::None))
    })
}

/// A member of the environ that is a text. Another type is an error, on which the request is refused.
pub(super) fn text<'py>(
    environ: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyString>>> {
    Ok(environ.get_item(name)?.map(Bound::cast_into::<PyString>).transpose()?)
}

pub(super) fn words<'py>(py: Python<'py>, code: &str, reason: &str) -> PyResult<Bound<'py, PyTuple>> {
    PyTuple::new(py, [PyString::intern(py, code), PyString::intern(py, reason)])
}

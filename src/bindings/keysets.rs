//! `KeySet`, and whose verifier a token is for.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::credentials::{Refused, with_bearer, words};
use super::errors::guarded;
use super::tokens::PyKey;
use crate::error::ConfigError;
use crate::tokens::{self, Keyring, Reason, TokenError, unverified};

/// The keys that an issuer publishes, as a JWK set (RFC 7517 §5).
#[pyclass(frozen, name = "KeySet", module = "flask_rampart._native")]
pub struct PyKeySet(tokens::KeySet);

#[pymethods]
impl PyKeySet {
    /// Reads the JSON of a set; *algorithms* are those that its keys may be for, all asymmetric.
    ///
    /// A key without ``alg`` becomes one for each of them that fits its kind. What cannot be used is skipped.
    ///
    /// :raises ValueError: for more than 64 keys, for what is no JWK set, and for a set without a key that can be used.
    #[staticmethod]
    fn read(text: &[u8], algorithms: Vec<String>) -> PyResult<Self> {
        guarded(|| Ok(Self(tokens::KeySet::read(text, &algorithms)?)))
    }

    /// What was skipped: each a sentence with the place in the set and the reason.
    #[getter]
    fn skipped(&self) -> Vec<String> {
        self.0.skipped().to_vec()
    }

    fn __len__(&self) -> usize {
        self.0.keys().len()
    }
}

/// What a verifier may be given.
#[derive(FromPyObject)]
pub(super) enum Keys<'py> {
    /// Those that an issuer publishes.
    Set(Bound<'py, PyKeySet>),
    /// Those of the settings.
    List(Vec<Bound<'py, PyKey>>),
}

impl Keys<'_> {
    pub(super) fn ring(&self) -> Result<Keyring, ConfigError> {
        match self {
            Self::Set(set) => Ok(set.get().0.keys().clone()),
            Self::List(keys) => Keyring::new(keys.iter().map(|key| Arc::clone(&key.get().0)).collect()),
        }
    }
}

/// Which issuer the bearer token of a request *says* it is from, to choose its verifier: ``""`` if it names none, None if
/// the request carries no token, ``(code, reason)`` if it is refused. Nothing is proven by it.
#[pyfunction]
pub fn bearer_issuer<'py>(
    py: Python<'py>,
    environ: &Bound<'py, PyDict>,
) -> PyResult<Option<Bound<'py, PyAny>>> {
    guarded(|| with_bearer(environ, said)?.map(|said| answer(py, said)).transpose())
}

/// The same for a token.
#[pyfunction]
pub fn token_issuer<'py>(py: Python<'py>, token: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyAny>> {
    guarded(|| {
        // The length in characters comes first: making UTF-8 of it takes memory.
        if !token.len().is_ok_and(|length| length <= LONGEST_TOKEN) {
            return answer(py, Err(refused(Reason::Length)));
        }
        match token.to_str() {
            Ok(token) => answer(py, said(token)),
            Err(_) => answer(py, Err(refused(Reason::Encoding))),
        }
    })
}

pub(super) fn said(token: &str) -> Result<Option<String>, Refused> {
    unverified::issuer(token.as_bytes(), LONGEST_TOKEN).map_err(refused)
}

fn refused(reason: Reason) -> Refused {
    let error = TokenError::from(reason);
    (error.code(), error.reason())
}

pub(super) fn answer<'py>(
    py: Python<'py>,
    said: Result<Option<String>, Refused>,
) -> PyResult<Bound<'py, PyAny>> {
    Ok(match said {
        Ok(issuer) => PyString::new(py, issuer.as_deref().unwrap_or_default()).into_any(),
        Err((code, reason)) => words(py, code, reason)?.into_any(),
    })
}

/// Longest token: what verifiers take where nothing else is said.
const LONGEST_TOKEN: usize = 16_384;

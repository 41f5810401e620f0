//! `Revoked`, and the marks under which tokens are listed in it.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::guarded;
use super::verified::PyVerifiedToken;
use crate::error::ConfigError;
use crate::time::UnixTime;
use crate::tokens::Revoked;
use crate::tokens::revoked::{About, Mark};

/// What was revoked before its time: a copy, in this process, of what a store holds.
///
/// >>> revoked = Revoked()
/// >>> revoked.put(revocation_mark("subject", "", "ada"), 1_800_000_000.5, 1, 1_900_000_000.0)
/// >>> revoked.entry(revocation_mark("subject", "", "ada")), len(revoked)
/// ((1800000000.5, 1), 1)
#[pyclass(frozen, name = "Revoked", module = "flask_rampart._native")]
pub struct PyRevoked(Arc<Revoked>);

impl PyRevoked {
    pub(super) fn shared(&self) -> Arc<Revoked> {
        Arc::clone(&self.0)
    }
}

#[pymethods]
impl PyRevoked {
    #[new]
    fn new() -> Self {
        Self(Arc::default())
    }

    /// Lists a mark. An earlier word is never weakened.
    ///
    /// :param before: of a subject, what began earlier is revoked; in seconds since 1970-01-01 UTC.
    /// :param generation: of a subject, how often all that it had was revoked.
    /// :param until: from when on nothing that it names could be valid any more.
    /// :raises ValueError: for a mark that is not of 16 bytes.
    fn put(&self, mark: &[u8], before: f64, generation: u64, until: f64) -> PyResult<()> {
        guarded(|| {
            self.0.put(read(mark)?, before, generation, until);
            Ok(())
        })
    }

    /// Lists these, each ``(mark, before, generation, until)``, and nothing else.
    fn replace(&self, entries: Vec<(Vec<u8>, f64, u64, f64)>) -> PyResult<()> {
        guarded(|| {
            let mut read_entries = Vec::with_capacity(entries.len());
            for (mark, before, generation, until) in entries {
                read_entries.push((read(&mark)?, before, generation, until));
            }
            self.0.replace(read_entries.into_iter());
            Ok(())
        })
    }

    /// Drops what nothing valid needs at *now*.
    fn sweep(&self, now: f64) -> PyResult<()> {
        guarded(|| {
            self.0.sweep(UnixTime(now));
            Ok(())
        })
    }

    /// Whether a token that was verified is revoked by now.
    fn covers(&self, token: PyRef<'_, PyVerifiedToken>) -> PyResult<bool> {
        guarded(|| Ok(self.0.covers(|| token.0.marks())))
    }

    /// ``(before, generation)`` of a mark; None if it is not listed.
    fn entry(&self, mark: &[u8]) -> PyResult<Option<(f64, u64)>> {
        guarded(|| Ok(self.0.entry(&read(mark)?)))
    }

    fn __len__(&self) -> usize {
        self.0.len()
    }
}

/// The 16 bytes under which something of a realm is listed; they do not tell what.
///
/// :param realm: ``""`` for our own tokens; otherwise the issuer.
/// :param about: ``"token"`` (by ``jti``), ``"claims"`` (by the claims' text), ``"family"`` (by ``sid``) or
///     ``"subject"`` (by ``sub``).
/// :raises ValueError: for another word.
#[pyfunction]
pub fn revocation_mark<'py>(
    py: Python<'py>,
    about: &str,
    realm: &str,
    name: &str,
) -> PyResult<Bound<'py, PyBytes>> {
    guarded(|| {
        let about = match about {
            "claims" => About::Claims,
            "family" => About::Family,
            "subject" => About::Subject,
            "token" => About::Token,
            _ => {
                return Err(ConfigError::new(
                    "a mark is of a \"token\", \"claims\", \"family\" or \"subject\"",
                )
                .into());
            }
        };
        Ok(PyBytes::new(py, Mark::of(about, realm, name.as_bytes()).bytes()))
    })
}

fn read(mark: &[u8]) -> Result<Mark, ConfigError> {
    let bytes = mark.try_into().map_err(|_| ConfigError::new("a mark is of 16 bytes"))?;
    Ok(Mark::from_bytes(bytes))
}

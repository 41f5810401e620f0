//! Keysets that are sealed themselves: by a KMS, which is an object of Python, or under a passphrase.
//!
//! What a KMS raises is passed on as it is: its own errors say best why it is away.

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::integrity;
use crate::crypto::Failed;
use crate::secret::Secret;
use crate::vault::{Keyset, Protected, Unprotected};

/// Seals a keyset, and opens it again, to know that it can be.
pub(super) fn protected(
    kms: &Bound<'_, PyAny>,
    keyset: &Keyset,
    associated_data: &[u8],
) -> PyResult<Protected> {
    let py = kms.py();
    let associated = PyBytes::new(py, associated_data);
    let sealed = Protected::seal(
        keyset,
        |clear| {
            let made = kms.call_method1(intern!(py, "encrypt"), (PyBytes::new(py, clear), &associated))?;
            Ok(answer(&made)?.to_vec())
        },
        |sealed| decrypted(kms, sealed, &associated),
    );
    sealed.map_err(|error| wrapped(py, error))
}

/// Opens a keyset.
pub(super) fn unprotected(
    kms: &Bound<'_, PyAny>,
    sealed: &Protected,
    associated_data: &[u8],
) -> PyResult<Keyset> {
    let py = kms.py();
    let associated = PyBytes::new(py, associated_data);
    let opened = sealed.open(|sealed| decrypted(kms, sealed, &associated));
    opened.map_err(|error| wrapped(py, error))
}

fn decrypted(kms: &Bound<'_, PyAny>, sealed: &[u8], associated: &Bound<'_, PyBytes>) -> PyResult<Secret> {
    let py = kms.py();
    let clear = kms.call_method1(intern!(py, "decrypt"), (PyBytes::new(py, sealed), associated))?;
    Ok(Secret::new(answer(&clear)?.to_vec()))
}

fn answer<'a>(made: &'a Bound<'_, PyAny>) -> PyResult<&'a [u8]> {
    match made.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes()),
        Err(_) => Err(PyTypeError::new_err("a KMS' encrypt and decrypt return bytes")),
    }
}

fn wrapped(py: Python<'_>, error: Unprotected<PyErr>) -> PyErr {
    match error {
        Unprotected::Altered => integrity(py, "altered"),
        Unprotected::Config(error) => error.into(),
        Unprotected::Wrapping(error) => error,
    }
}

/// Why a passphrase has opened nothing, or sealed nothing.
pub(super) fn unlocked(py: Python<'_>, error: Unprotected<Failed>) -> PyErr {
    match error {
        Unprotected::Altered => integrity(py, "altered"),
        Unprotected::Wrapping(Failed) => integrity(py, "passphrase"),
        Unprotected::Config(error) => error.into(),
    }
}

//! Bodies out of their content coding, for Python.

use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::guarded;
use crate::codings::{Bounds, Coding, Decoder, Fault, Pulled};

pyo3::create_exception!(
    flask_rampart._native,
    CodingRejected,
    PyException,
    "A body that is not decoded. ``args`` is ``(code, reason)``; neither contains anything of the body.

The code is ``body.undecodable`` or ``body.too_large``."
);

/// One body on its way out of its content coding: fed as it comes, pulled as it is read.
///
/// *coding* is ``"gzip"``, ``"x-gzip"``, ``"deflate"`` (the zlib format) or ``"br"``. *max_bytes*: most that it may
/// decode to. *ratio*: most times the bytes that came so far, though always *floor* bytes.
///
/// :raises ValueError: for another coding, or bounds of zero.
///
/// >>> decoder = BodyDecoder("deflate", max_bytes=100)
/// >>> decoder.feed(bytes.fromhex("789ccb48cdc9c90700062c0215"))
/// >>> decoder.pull(64)
/// b'hello'
#[pyclass(name = "BodyDecoder", module = "flask_rampart._native")]
pub struct PyDecoder(Decoder);

#[pymethods]
impl PyDecoder {
    #[new]
    #[pyo3(signature = (coding, *, max_bytes, ratio = 100, floor = 65_536))]
    fn new(coding: &str, max_bytes: u64, ratio: u64, floor: u64) -> PyResult<Self> {
        let named = Coding::named(coding)
            .ok_or_else(|| PyValueError::new_err("a coding is one of gzip, x-gzip, deflate, br"))?;
        Ok(Self(Decoder::new(named, Bounds::new(max_bytes, ratio, floor)?)))
    }

    /// Adds what came next; no bytes are the end of the body. Not more than 16 KiB at a time, since a pull may have to go
    /// through all of it while no other thread runs.
    fn feed(&mut self, data: &[u8]) {
        self.0.feed(data);
    }

    /// Holds the rest of the body to other *max_bytes*.
    fn hold(&mut self, max_bytes: u64) {
        self.0.hold(max_bytes);
    }

    /// At most *most* decoded bytes, and at most 64 KiB: none at the end of the body, and None where more must be fed.
    ///
    /// :raises CodingRejected: where the body is not its coding, or too much.
    fn pull<'py>(&mut self, py: Python<'py>, most: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(|| {
            let room = most.clamp(1, STEP);
            // About a third of a millisecond of work: too little to let others run for.
            let mut out = vec![0; room];
            match self.0.pull(&mut out) {
                Ok(Pulled::Bytes(count)) => Ok(Some(PyBytes::new(py, &out[..count.min(room)]))),
                Ok(Pulled::End) => Ok(Some(PyBytes::new(py, b""))),
                Ok(Pulled::Hungry) => Ok(None),
                Err(fault) => Err(rejected(fault)),
            }
        })
    }
}

/// Most bytes of one step.
const STEP: usize = 64 * 1024;

#[cold]
fn rejected(fault: Fault) -> PyErr {
    CodingRejected::new_err((fault.code(), fault.reason()))
}

//! Bodies out of their content coding, for Python.

use std::time::{Duration, Instant};

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
pub struct PyDecoder {
    decoder: Decoder,
    /// Kept, since a pull often gives little of it.
    out: Vec<u8>,
}

#[pymethods]
impl PyDecoder {
    #[new]
    #[pyo3(signature = (coding, *, max_bytes, ratio = 100, floor = 65_536))]
    fn new(coding: &str, max_bytes: u64, ratio: u64, floor: u64) -> PyResult<Self> {
        let named = Coding::named(coding)
            .ok_or_else(|| PyValueError::new_err("a coding is one of gzip, x-gzip, deflate, br"))?;
        Ok(Self { decoder: Decoder::new(named, Bounds::new(max_bytes, ratio, floor)?), out: Vec::new() })
    }

    /// Adds what came next; no bytes are the end of the body.
    fn feed(&mut self, data: &[u8]) {
        self.decoder.feed(data);
    }

    /// Holds the rest of the body to other *max_bytes*.
    fn hold(&mut self, max_bytes: u64) {
        self.decoder.hold(max_bytes);
    }

    /// At most *most* decoded bytes, and at most 64 KiB: none at the end of the body, and None where more must be fed.
    ///
    /// :raises CodingRejected: where the body is not its coding, or too much.
    fn pull<'py>(&mut self, py: Python<'py>, most: usize) -> PyResult<Option<Bound<'py, PyBytes>>> {
        guarded(|| {
            let room = most.clamp(1, STEP);
            if self.out.len() < room {
                self.out.resize(room, 0);
            }
            let out = &mut self.out[..room];
            let (mut filled, mut since) = (0, Instant::now());
            loop {
                match self.decoder.pull(&mut out[filled..]) {
                    Ok(Pulled::Again) => {}
                    Ok(Pulled::Bytes(count)) => filled = (filled + count).min(room),
                    // What was given before it was known stands; it is said at the next pull.
                    _ if filled > 0 => break,
                    Ok(Pulled::End) => break,
                    Ok(Pulled::Hungry) => return Ok(None),
                    Err(fault) => return Err(rejected(fault)),
                }
                if filled == room {
                    break;
                }
                if since.elapsed() > LONGEST {
                    if filled > 0 {
                        break;
                    }
                    // Whole steps are too little to let others run for; of a body that says nothing, there is no end.
                    py.detach(|| ());
                    since = Instant::now();
                }
            }
            Ok(Some(PyBytes::new(py, &out[..filled])))
        })
    }
}

/// Most bytes of one step.
const STEP: usize = 64 * 1024;
/// After which others may run.
const LONGEST: Duration = Duration::from_micros(400);

#[cold]
fn rejected(fault: Fault) -> PyErr {
    CodingRejected::new_err((fault.code(), fault.reason()))
}

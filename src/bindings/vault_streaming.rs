//! `StreamSealer`, `StreamOpener` and `StreamFollower`: what is too long for memory, by the segment. The files are Python's.

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::errors::{guarded, integrity};
use super::vault::PyKeyset;
use crate::crypto::Failed;
use crate::vault::streaming::{Follower, Opener, Sealer};

/// Seals one stream, from its beginning to its end.
///
/// *keyset* is one for streaming AEAD, whose primary key seals; the same *associated_data* must be given to open it. It is
/// not pickled or copied, and must not be used on both sides of a fork.
///
/// :raises ValueError: if the keyset is for something else.
///
/// >>> keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
/// >>> sealer = StreamSealer(keyset, b"where")
/// >>> stream = sealer.header + sealer.push(b"some") + sealer.push(b"thing") + sealer.finish()
/// >>> opener = StreamOpener(keyset, stream, len(stream), b"where")
/// >>> first, offset, length, start = opener.span(0, 9)
/// >>> opener.open(first, stream[offset : offset + length])
/// b'something'
#[pyclass(name = "StreamSealer", module = "flask_rampart._native")]
pub struct PyStreamSealer(Sealer, u32);

#[pymethods]
impl PyStreamSealer {
    #[new]
    fn new(keyset: &PyKeyset, associated_data: &[u8]) -> PyResult<Self> {
        guarded(|| {
            let keys = keyset.streams()?;
            Ok(Self(keys.sealer(associated_data).map_err(unsealed)?, keys.primary()))
        })
    }

    /// The id of the key that seals it: the primary one when it was begun.
    #[getter]
    fn key_id(&self) -> u32 {
        self.1
    }

    /// What the stream begins with.
    #[getter]
    fn header<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, self.0.header())
    }

    /// What of the stream can be told now that *data* came: none or several segments. Up to one waits for what follows.
    ///
    /// :param start: *data* counts from here on,
    /// :param end: and up to here; its length if not given.
    /// :raises RuntimeError: after the end, or after 2**32 segments.
    /// :raises ValueError: if *data* has no such part.
    #[pyo3(signature = (data, start = 0, end = None))]
    fn push<'py>(
        &mut self,
        py: Python<'py>,
        data: &[u8],
        start: usize,
        end: Option<usize>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| {
            let part = data.get(start..end.unwrap_or(data.len()));
            self.sealed(
                py,
                part.ok_or_else(|| PyValueError::new_err("start and end are no part of data"))?,
                false,
            )
        })
    }

    /// The end of the stream. Nothing is sealed after it.
    ///
    /// :raises RuntimeError: after the end, or after 2**32 segments.
    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| self.sealed(py, &[], true))
    }

    fn __reduce__(&self) -> PyResult<()> {
        // Two sealers of one stream would use nonces twice.
        Err(PyTypeError::new_err("a sealer cannot be pickled or copied"))
    }
}

impl PyStreamSealer {
    fn sealed<'py>(&mut self, py: Python<'py>, data: &[u8], ends: bool) -> PyResult<Bound<'py, PyBytes>> {
        let length = self.0.tells(data.len(), ends).map_err(unsealed)?;
        // Into what is given out: nothing is copied behind the seal.
        PyBytes::new_with(py, length, |out| {
            detached(py, data.len(), || self.0.push(data, ends, out)).map_err(unsealed)
        })
    }
}

/// Opens one stream of known length, at any place.
///
/// *head* is what the stream begins with, ``StreamOpener.head(keyset)`` bytes or all that there are, and *length* how long it
/// is. The first segment is opened at once, by the first key of *keyset* that can.
///
/// That a stream was cut at a segment's border shows in its last segment alone: open that one before you believe the rest.
///
/// :raises IntegrityError: if no key opens it for *associated_data*.
/// :raises ValueError: if the keyset is for something else.
#[pyclass(frozen, name = "StreamOpener", module = "flask_rampart._native")]
pub struct PyStreamOpener(Opener);

#[pymethods]
impl PyStreamOpener {
    #[new]
    fn new(
        py: Python<'_>,
        keyset: &PyKeyset,
        head: &[u8],
        length: u64,
        associated_data: &[u8],
    ) -> PyResult<Self> {
        guarded(|| {
            let keys = keyset.streams()?;
            let opened = detached(py, head.len(), || keys.opener(associated_data, head, length));
            opened.map(Self).map_err(|_| integrity(py, "altered"))
        })
    }

    /// How many bytes of a stream have to be seen to know its key.
    ///
    /// :raises ValueError: if the keyset is for something else.
    #[staticmethod]
    fn head(keyset: &PyKeyset) -> PyResult<usize> {
        guarded(|| Ok(keyset.streams()?.head()))
    }

    /// Bytes of plaintext.
    #[getter]
    fn length(&self) -> u64 {
        self.0.length()
    }

    /// Whether the keyset's primary key sealed it, or else an older one.
    #[getter]
    fn by_primary(&self) -> bool {
        self.0.is_by_primary()
    }

    /// Which segments hold the *most* bytes from position *at* on: ``(first, offset, length, start)``, the number of the first,
    /// where they begin in the stream, how long they are there, and the position of their first byte of plaintext. The
    /// last segment for what is beyond the end.
    fn span(&self, at: u64, most: usize) -> PyResult<(u64, u64, usize, u64)> {
        guarded(|| {
            let span =
                self.0.span(at, most).map_err(|_| PyRuntimeError::new_err("too many bytes at once"))?;
            Ok((span.first, span.offset, span.bytes, span.start))
        })
    }

    /// What the segments of *run* say, the first of which is number *first*: as ``span`` has told.
    ///
    /// :raises IntegrityError: if one of them is not what was sealed at this place.
    fn open<'py>(&self, py: Python<'py>, first: u64, run: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| {
            let length = self.0.holds(first, run.len()).map_err(|_| integrity(py, "altered"))?;
            PyBytes::new_with(py, length, |out| {
                detached(py, run.len(), || self.0.open(first, run, out)).map_err(|_| integrity(py, "altered"))
            })
        })
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("an opener cannot be pickled or copied"))
    }
}

/// Opens one stream as it comes, of which nobody knows how long it is.
///
/// What it gives out is authentic at its place. That the stream is whole is known when ``finish`` has returned.
///
/// :raises ValueError: if the keyset is for something else.
///
/// >>> keyset = Keyset.generate("AES256_GCM_HKDF_4KB")
/// >>> sealer = StreamSealer(keyset, b"where")
/// >>> stream = sealer.header + sealer.push(b"something") + sealer.finish()
/// >>> follower = StreamFollower(keyset, b"where")
/// >>> follower.push(stream) + follower.finish()
/// b'something'
#[pyclass(name = "StreamFollower", module = "flask_rampart._native")]
pub struct PyStreamFollower(Follower);

#[pymethods]
impl PyStreamFollower {
    #[new]
    fn new(keyset: &PyKeyset, associated_data: &[u8]) -> PyResult<Self> {
        guarded(|| Ok(Self(Follower::new(keyset.streams()?, associated_data))))
    }

    /// What can be told now that *data* came: none or several segments. Up to one waits for what follows.
    ///
    /// :raises IntegrityError: if a segment does not open; and ever after.
    fn push<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| {
            let length = self.0.push(data).map_err(|_| integrity(py, "altered"))?;
            if length == 0 { Ok(PyBytes::new(py, &[])) } else { self.told(py, length) }
        })
    }

    /// The last segment: all of the stream was authentic, and nothing is missing.
    ///
    /// :raises IntegrityError: if this is not where it ended.
    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| {
            let length = self.0.finish().map_err(|_| integrity(py, "altered"))?;
            self.told(py, length)
        })
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a follower cannot be pickled or copied"))
    }
}

impl PyStreamFollower {
    fn told<'py>(&mut self, py: Python<'py>, length: usize) -> PyResult<Bound<'py, PyBytes>> {
        PyBytes::new_with(py, length, |out| {
            detached(py, length, || self.0.tell(out)).map_err(|_| integrity(py, "altered"))
        })
    }
}

/// Above this, about half a millisecond of work with its copies, other threads may run meanwhile.
const DETACH: usize = 512 * 1024;

fn detached<T: Send>(py: Python<'_>, length: usize, work: impl FnOnce() -> T + Send) -> T {
    if length > DETACH { py.detach(work) } else { work() }
}

fn unsealed(_: Failed) -> PyErr {
    PyRuntimeError::new_err(
        "nothing is sealed: the stream has ended, is too long, or the system gives no random bytes",
    )
}

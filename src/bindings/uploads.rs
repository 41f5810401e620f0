//! Forms and files for Python.

use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::{PyException, PyOSError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::errors::guarded;
use crate::uploads::{
    ArchiveBounds, Event, Flaw, FormBounds, Gone, Multipart, Source, Stop, Wanted, boundary, fields, judge,
    kinds,
};

pyo3::create_exception!(
    flask_rampart._native,
    FormRejected,
    PyException,
    "A form that is not read. ``too_large`` says that it is beyond a bound, and else it is malformed. The message is
for the log, and holds nothing of the form."
);

/// Takes a form apart as its bytes come in (RFC 7578), strictly and within bounds.
///
/// *content_type* is that of the request, with its boundary. *parts*, *fields* and *files* are how many of each there may be; *field* and
/// *file* how many bytes one has. Each bound is inclusive.
///
/// :raises FormRejected: for a content type without one boundary.
///
/// >>> form = MultipartForm("multipart/form-data; boundary=x", parts=9, fields=9, files=9, field=99, file=99)
/// >>> form.feed(b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--\r\n')
/// [('a', '1')]
/// >>> form.finish()
#[pyclass(name = "MultipartForm", module = "flask_rampart._native")]
pub struct PyMultipart(
    // Boxed: it searches by vectors of 32 bytes, and Python aligns its objects to 16.
    Box<Multipart>,
);

#[pymethods]
impl PyMultipart {
    #[new]
    #[pyo3(signature = (content_type, *, parts, fields, files, field, file))]
    fn new(
        py: Python<'_>,
        content_type: &str,
        parts: usize,
        fields: usize,
        files: usize,
        field: usize,
        file: u64,
    ) -> PyResult<Self> {
        guarded(|| {
            let boundary = boundary(content_type).map_err(|flaw| reject(py, flaw))?;
            let bounds = FormBounds { parts, fields, files, field, file };
            Ok(Self(Box::new(Multipart::new(&boundary, bounds))))
        })
    }

    /// Reads the next bytes. What they say, in order: ``(name, text)`` for a field; ``(name, filename, head)`` where a file begins, *head* as a
    /// list of pairs; bytes of that file; None where it ends.
    ///
    /// :raises FormRejected: from there on at every call.
    fn feed<'py>(&mut self, py: Python<'py>, data: &[u8]) -> PyResult<Bound<'py, PyList>> {
        guarded(|| {
            let told = PyList::empty(py);
            let said = self.0.feed(data, |event| match event {
                Event::Field(name, text) => told.append((name, text)),
                Event::File(head) => {
                    told.append((&head.name, &head.filename, head.fields.clone().into_bound_py_any(py)?))
                }
                Event::Data(data) => told.append(PyBytes::new(py, data)),
                Event::FileEnd => told.append(py.None()),
            });
            match said {
                Ok(()) => Ok(told),
                Err(Stop::Flaw(flaw)) => Err(reject(py, flaw)),
                Err(Stop::Receiver(error)) => Err(error),
            }
        })
    }

    /// The form has ended.
    ///
    /// :raises FormRejected: if its closing boundary did not come.
    fn finish(&mut self, py: Python<'_>) -> PyResult<()> {
        guarded(|| self.0.finish().map_err(|flaw| reject(py, flaw)))
    }
}

/// The fields of a form that was sent as ``application/x-www-form-urlencoded``: pairs of name and text, at most *most* of at most *longest*
/// bytes each.
///
/// :raises FormRejected: for an escape that is none, and what is not UTF-8.
///
/// >>> form_fields(b"a=1+2&a=%C3%A9", most=9, longest=99)
/// [('a', '1 2'), ('a', 'é')]
#[pyfunction]
#[pyo3(signature = (body, *, most, longest))]
pub fn form_fields<'py>(
    py: Python<'py>,
    body: &[u8],
    most: usize,
    longest: usize,
) -> PyResult<Bound<'py, PyAny>> {
    guarded(|| {
        let read = fields(body, most, longest).map_err(|flaw| reject(py, flaw))?;
        read.into_bound_py_any(py)
    })
}

#[cold]
fn reject(py: Python<'_>, flaw: Flaw) -> PyErr {
    let (reason, too_large) = match flaw {
        Flaw::Malformed(reason) => (reason, false),
        Flaw::TooLarge(reason) => (reason, true),
    };
    let error = FormRejected::new_err(reason);
    let set = error.value(py).setattr(intern!(py, "too_large"), too_large);
    set.err().unwrap_or(error)
}

/// What a file may be: judges what is in it.
///
/// *types* are media types; *max_pixels* and *max_frames* are of an image; *max_entries*, *max_bytes*, *max_entry_bytes*, *max_ratio* and
/// *nested* of an archive.
///
/// :raises ValueError: for a type that is not told apart.
///
/// >>> import io
/// >>> texts = FileJudge(["text/csv", "text/plain"], max_pixels=1, max_frames=1, max_entries=1, max_bytes=1, max_entry_bytes=1,
/// ...                   max_ratio=1, nested=False)
/// >>> [texts.judge(io.BytesIO(data), len(data)) for data in (b"a,b\n1,2\n", b"hello", b"<html>")]
/// [('text/csv', '.csv', None), ('text/plain', '.txt', None), ('', '', ('type', 'another type'))]
#[pyclass(frozen, name = "FileJudge", module = "flask_rampart._native")]
pub struct PyJudge(Wanted);

#[pymethods]
impl PyJudge {
    #[new]
    #[pyo3(signature = (types, *, max_pixels, max_frames, max_entries, max_bytes, max_entry_bytes, max_ratio, nested))]
    #[allow(clippy::too_many_arguments)] // as keywords
    fn new(
        types: Vec<String>,
        max_pixels: u64,
        max_frames: u64,
        max_entries: u64,
        max_bytes: u64,
        max_entry_bytes: u64,
        max_ratio: u64,
        nested: bool,
    ) -> PyResult<Self> {
        let archive = ArchiveBounds {
            entries: max_entries,
            bytes: max_bytes,
            entry: max_entry_bytes,
            ratio: max_ratio,
            nested,
        };
        guarded(|| Ok(Self(Wanted::new(&types, archive, max_pixels, max_frames)?)))
    }

    /// The type of a file of *size* bytes, how the name of such a file ends, and None; or two empty texts, and which rule it breaks and why.
    /// *stream* is read from anywhere, and is left there.
    ///
    /// :raises OSError: if it cannot be read, or is shorter.
    fn judge(&self, py: Python<'_>, stream: Bound<'_, PyAny>, size: u64) -> PyResult<Judged> {
        let mut source = Stream { stream: stream.unbind(), error: None };
        guarded(|| {
            // Small ones are judged before another thread could take over.
            let said = if size > DETACH {
                py.detach(|| judge(&mut source, size, &self.0))
            } else {
                judge(&mut source, size, &self.0)
            };
            match said {
                Ok(Ok(kind)) => Ok((kind.name, kind.extension, None)),
                Ok(Err(refused)) => Ok(("", "", Some((refused.rule, refused.reason)))),
                Err(Gone) => Err(source
                    .error
                    .take()
                    .unwrap_or_else(|| PyOSError::new_err("the file is shorter than it was"))),
            }
        })
    }
}

type Judged = (&'static str, &'static str, Option<(&'static str, &'static str)>);

/// Above this, other threads may run while a file is looked through.
const DETACH: u64 = 64 * 1024;

/// A file object of Python's, which may be in memory, on disk, or anywhere. The interpreter is held only while it reads.
struct Stream {
    stream: Py<PyAny>,
    error: Option<PyErr>,
}

impl Source for Stream {
    fn read_at(&mut self, offset: u64, into: &mut [u8]) -> Result<usize, Gone> {
        let read = Python::attach(|py| -> PyResult<usize> {
            let stream = self.stream.bind(py);
            stream.call_method1(intern!(py, "seek"), (offset,))?;
            let mut filled = 0;
            while let Some(room) = into.get_mut(filled..).filter(|room| !room.is_empty()) {
                let data: Bound<'_, PyBytes> =
                    stream.call_method1(intern!(py, "read"), (room.len(),))?.cast_into()?;
                let data = data.as_bytes();
                match (room.get_mut(..data.len()), data) {
                    (_, []) => break,
                    (Some(room), data) => room.copy_from_slice(data),
                    (None, _) => return Err(PyOSError::new_err("more was read than was asked for")),
                }
                filled += data.len();
            }
            Ok(filled)
        });
        read.map_err(|error| {
            self.error = Some(error);
            Gone
        })
    }
}

/// The media types that files are told apart by.
///
/// >>> "image/png" in file_types()
/// True
#[pyfunction]
pub fn file_types() -> Vec<&'static str> {
    kinds().iter().map(|kind| kind.name).collect()
}

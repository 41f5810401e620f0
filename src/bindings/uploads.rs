//! Forms for Python.

use pyo3::IntoPyObjectExt as _;
use pyo3::exceptions::PyException;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::errors::guarded;
use crate::uploads::{Event, Flaw, FormBounds, Multipart, Stop, boundary, fields};

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

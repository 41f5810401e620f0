//! Streams of redaction for Python: chunks in, what may leave out.

use std::sync::Arc;

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

use super::errors::guarded;
use super::redaction::{Redactor, from_bytes, surrogates_as_bytes};
use crate::redaction::{Finding, Receiver, Redactor as Core, Stream};

/// One text that is redacted as it arrives, all of it ``str`` or all ``bytes``.
///
/// What leaves is what ``redact`` makes of the whole text, however it is cut. At most :attr:`hold` bytes are held back. After
/// whatever was raised, the stream is over: it gives nothing any more.
///
/// :param redactor: what finds.
/// :param values: finds of up to so many bytes are held, and :meth:`pieces` gives their values; 0: none.
///
/// >>> stream = RedactionStream(Redactor())
/// >>> stream.feed("to ada@exam") + stream.feed("ple.com") + stream.finish()
/// 'to [REDACTED:EMAIL_ADDRESS]'
#[pyclass(module = "flask_rampart._native")]
pub struct RedactionStream {
    redactor: Arc<Core>,
    stream: Stream,
    is_text: Option<bool>,
    found: Vec<(Finding, (usize, usize))>,
    count: usize,
}

#[pymethods]
impl RedactionStream {
    #[new]
    #[pyo3(signature = (redactor, *, values = 0))]
    fn new(redactor: &Redactor, values: usize) -> Self {
        let redactor = Arc::clone(&redactor.core);
        let stream = Stream::new(Arc::clone(&redactor), values);
        Self { redactor, stream, is_text: None, found: Vec::new(), count: 0 }
    }

    /// What may leave now that *chunk* is there, secrets replaced by marks.
    ///
    /// :raises ValueError: if the stream is over.
    /// :raises TypeError: if *chunk* is not of the kind that the others were; the stream is over then.
    fn feed<'py>(&mut self, chunk: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.marked(chunk.py(), Some(chunk))
    }

    /// The rest: the text is over.
    ///
    /// :raises ValueError: if the stream is over already.
    fn finish<'py>(&mut self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        self.marked(py, None)
    }

    /// The same as pieces: texts, and for each find ``(entity, quote, value)``. *quote* is to be put on both sides of what
    /// takes the place of *value*, which is ``None`` if it was too long to be held. Without *chunk*, the rest.
    #[pyo3(signature = (chunk = None))]
    fn pieces<'py>(
        &mut self,
        py: Python<'py>,
        chunk: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyList>> {
        self.or_over(|stream| {
            let mut out =
                Pieces { redactor: Arc::clone(&stream.redactor), pieces: Vec::new(), ends: Vec::new() };
            stream.take(chunk, &mut out)?;
            stream.note(out.ends);
            let list = PyList::empty(py);
            for piece in out.pieces {
                match piece {
                    Piece::Text(text) => list.append(stream.given(py, &text)?)?,
                    Piece::Find { entity, quote, value } => {
                        let value = value.map(|value| stream.given(py, &value)).transpose()?;
                        list.append((entity, stream.given(py, &quote)?, value))?;
                    }
                }
            }
            Ok(list)
        })
    }

    /// Nothing leaves any more.
    fn end(&mut self) {
        self.stream.end();
    }

    /// Whether the stream is over.
    #[getter]
    fn is_over(&self) -> bool {
        self.stream.is_over()
    }

    /// Whether it is of text; ``None`` before the first chunk.
    #[getter]
    fn is_text(&self) -> Option<bool> {
        self.is_text
    }

    /// The most that is ever held back, in bytes: no fewer than characters.
    #[getter]
    fn hold(&self) -> usize {
        self.stream.hold()
    }

    /// Characters that are held back now; of bytes, bytes.
    #[getter]
    fn held(&self) -> usize {
        let held = self.stream.held();
        if self.is_text == Some(false) {
            return held.len();
        }
        held.iter().filter(|byte| **byte & 0xC0 != 0x80).count()
    }

    /// What was found, and how much: ``([(entity, start, end, rule), …], count)``. At most 1000 are kept. Offsets are of the
    /// whole text, in code points; of bytes, in bytes.
    #[getter]
    fn findings(&self) -> (Vec<(&str, usize, usize, &str)>, usize) {
        let told = |(finding, (start, end)): &(Finding, (usize, usize))| {
            (self.redactor.entity(finding), *start, *end, self.redactor.rule(finding))
        };
        (self.found.iter().map(told).collect(), self.count)
    }
}

impl RedactionStream {
    fn marked<'py>(
        &mut self,
        py: Python<'py>,
        chunk: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.or_over(|stream| {
            let mut out =
                Marked { redactor: Arc::clone(&stream.redactor), out: Vec::new(), ends: Vec::new() };
            stream.take(chunk, &mut out)?;
            stream.note(out.ends);
            stream.given(py, &out.out)
        })
    }

    /// Does *work*; if that fails, nothing leaves any more.
    fn or_over<T>(&mut self, work: impl FnOnce(&mut Self) -> PyResult<T>) -> PyResult<T> {
        let done = guarded(|| work(self));
        if done.is_err() {
            self.stream.end();
        }
        done
    }

    /// Takes *chunk*, or the end.
    fn take(&mut self, chunk: Option<&Bound<'_, PyAny>>, out: &mut impl Receiver) -> PyResult<()> {
        let Some(chunk) = chunk else { return self.stream.finish(out).map_err(|_| over()) };
        let text = chunk.cast::<PyString>().ok();
        if self.stream.is_over() {
            return Err(over());
        }
        let known = text.is_some() || chunk.cast::<PyBytes>().is_ok();
        if !known || self.is_text.is_some_and(|is_text| is_text != text.is_some()) {
            let given = chunk.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "a stream is of str or of bytes, the same throughout; this chunk is {given}"
            )));
        }
        self.is_text = Some(text.is_some());
        let encoded;
        let bytes = match text {
            Some(text) => match text.to_str() {
                Ok(plain) => plain.as_bytes(),
                Err(_) => {
                    encoded = surrogates_as_bytes(text)?;
                    encoded.as_bytes()
                }
            },
            None => chunk.cast::<PyBytes>()?.as_bytes(),
        };
        self.stream.feed(bytes, out).map_err(|_| over())
    }

    fn note(&mut self, ends: Ends) {
        self.count += ends.len();
        for (finding, bytes, points) in ends {
            if self.found.len() < MOST_FOUND {
                self.found.push((finding, if self.is_text == Some(false) { bytes } else { points }));
            }
        }
    }

    fn given<'py>(&self, py: Python<'py>, bytes: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        if self.is_text == Some(false) {
            return Ok(PyBytes::new(py, bytes).into_any());
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(PyString::new(py, text).into_any()),
            Err(_) => Ok(from_bytes(&PyBytes::new(py, bytes))?.into_any()),
        }
    }
}

fn over() -> PyErr {
    PyValueError::new_err("the stream is over: it was finished, or has failed")
}

/// So many findings are kept of a stream.
const MOST_FOUND: usize = 1000;

type Ends = Vec<(Finding, (usize, usize), (usize, usize))>;

/// Writes marks.
struct Marked {
    redactor: Arc<Core>,
    out: Vec<u8>,
    ends: Ends,
}

impl Receiver for Marked {
    fn text(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
    }

    fn find(&mut self, finding: &Finding, _: Option<&[u8]>) {
        self.redactor.mark(finding, &mut self.out);
    }

    fn end(&mut self, finding: &Finding, bytes: (usize, usize), points: (usize, usize)) {
        self.ends.push((*finding, bytes, points));
    }
}

enum Piece {
    Text(Vec<u8>),
    Find { entity: String, quote: Vec<u8>, value: Option<Vec<u8>> },
}

/// Leaves it to Python what takes the place of a find.
struct Pieces {
    redactor: Arc<Core>,
    pieces: Vec<Piece>,
    ends: Ends,
}

impl Receiver for Pieces {
    fn text(&mut self, text: &[u8]) {
        self.pieces.push(Piece::Text(text.to_vec()));
    }

    fn find(&mut self, finding: &Finding, value: Option<&[u8]>) {
        let entity = self.redactor.entity(finding).to_owned();
        self.pieces.push(Piece::Find { entity, quote: finding.quote(), value: value.map(<[u8]>::to_vec) });
    }

    fn end(&mut self, finding: &Finding, bytes: (usize, usize), points: (usize, usize)) {
        self.ends.push((*finding, bytes, points));
    }
}

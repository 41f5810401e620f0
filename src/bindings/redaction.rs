//! Redaction for Python: text and bytes in, the same without secrets out.

use std::borrow::Cow;
use std::sync::Arc;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::errors::guarded;
use crate::redaction::{Finding, Identifier, Redactor as Core};

/// Finds secrets in text and replaces them by ``[REDACTED:<ENTITY>]``.
///
/// Found are the values of secret names (``password=…``, ``"api_key": "…"``, ``Cookie: …``, also
/// percent-encoded), tokens of known services, JWTs, private keys, payment card numbers, e-mail addresses and
/// passwords in URLs. Names stay readable, values do not. Replacing twice is replacing once.
///
/// Build one and share it: it is immutable, and safe to use from all threads. The time is linear in the
/// text's length, whatever the text says. The GIL is released for texts above 128 KiB.
///
/// :param names: further names whose values are secret, compared by words: ``"license_key"`` also covers
///     ``X-License-Key`` and ``customerLicenseKey``. At most 1000, each of 3 letters to 64 bytes.
/// :param entities: identifiers to find as well, off by default: ``"IBAN_CODE"``, ``"UK_NHS"``, …, the first of
///     each of :meth:`identifiers`.
/// :raises ValueError: at once, if a name is empty, too short, too long or no name, or an entity is unknown.
///
/// >>> redactor = Redactor(names=["license_key"])
/// >>> redactor.redact('{"user": "ann@example.org", "licenseKey": "abc"}')
/// '{"user": "[REDACTED:EMAIL_ADDRESS]", "licenseKey": "[REDACTED:SECRET]"}'
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct Redactor {
    pub(super) core: Arc<Core>,
    /// What findings can be called, in alphabetical order: ``("API_KEY", "AUTHORIZATION", …)``.
    #[pyo3(get)]
    entities: Py<PyTuple>,
}

#[pymethods]
impl Redactor {
    #[new]
    #[pyo3(signature = (*, names = None, entities = None))]
    fn new(
        py: Python<'_>,
        names: Option<&Bound<'_, PyAny>>,
        entities: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Self> {
        let names = texts(names, "names")?;
        let entities = texts(entities, "entities")?;
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let entities: Vec<&str> = entities.iter().map(String::as_str).collect();
        let core = guarded(|| Ok(Arc::new(Core::with_entities(&names, &entities)?)))?;
        let entities = PyTuple::new(py, core.entities())?.unbind();
        Ok(Self { core, entities })
    }

    /// *text* with its secrets replaced; the same object if it has none. Any text is taken: lone
    /// surrogates are ordinary characters and stay. Raises for no text.
    ///
    /// >>> Redactor().redact("password=hunter2 from 192.0.2.1")
    /// 'password=[REDACTED:PASSWORD] from 192.0.2.1'
    fn redact<'py>(&self, text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyString>> {
        let py = text.py();
        guarded(|| {
            if let Ok(plain) = text.to_str() {
                return Ok(match detached(py, plain.len(), || self.core.redact(plain)) {
                    Cow::Borrowed(_) => text.clone(),
                    Cow::Owned(clean) => PyString::new(py, &clean),
                });
            }
            let encoded = surrogates_as_bytes(text)?;
            let bytes = encoded.as_bytes();
            match detached(py, bytes.len(), || self.core.redact_bytes(bytes)) {
                Cow::Borrowed(_) => Ok(text.clone()),
                Cow::Owned(clean) => from_bytes(&PyBytes::new(py, &clean)),
            }
        })
    }

    /// The same for bytes in UTF-8 or any other encoding that contains ASCII; the same object if clean.
    ///
    /// >>> Redactor().redact_bytes(b"\xff token=abc")
    /// b'\xff token=[REDACTED:TOKEN]'
    fn redact_bytes<'py>(&self, data: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyBytes>> {
        let py = data.py();
        guarded(|| {
            let bytes = data.as_bytes();
            Ok(match detached(py, bytes.len(), || self.core.redact_bytes(bytes)) {
                Cow::Borrowed(_) => data.clone(),
                Cow::Owned(clean) => PyBytes::new(py, &clean),
            })
        })
    }

    /// What is secret in *text*: ``(entity, start, end)`` from left to right, without overlaps. Offsets count
    /// code points, so ``text[start:end]`` is the secret.
    ///
    /// >>> Redactor().scan("pin: 1234")
    /// [('PIN', 5, 9)]
    fn scan(&self, text: &Bound<'_, PyString>) -> PyResult<Vec<(&'static str, usize, usize)>> {
        let py = text.py();
        guarded(|| {
            let encoded;
            let bytes = match text.to_str() {
                Ok(plain) => plain.as_bytes(),
                Err(_) => {
                    encoded = surrogates_as_bytes(text)?;
                    encoded.as_bytes()
                }
            };
            Ok(detached(py, bytes.len(), || in_code_points(bytes, &self.core.scan_bytes(bytes))))
        })
    }

    /// The identifiers that can be selected: ``(entity, country, words, sample, harmless)``. *country* is an ISO 3166-1
    /// code or empty; one of *words* has to stand shortly before the number, unless its form is unmistakable; in
    /// *sample* it is found, in *harmless* it is not.
    ///
    /// >>> {entity: sample for entity, _, _, sample, _ in Redactor.identifiers()}["UK_NHS"]
    /// 'NHS number 943 476 5919'
    #[staticmethod]
    fn identifiers() -> Vec<(&'static str, &'static str, Vec<&'static str>, &'static str, &'static str)> {
        let row = |row: Identifier| (row.entity, row.country, row.words.to_vec(), row.sample, row.harmless);
        Core::identifiers().map(row).collect()
    }

    /// Whether values of *name* are secret. Case, ``-``, ``_`` and camel case make no difference.
    ///
    /// >>> redactor = Redactor()
    /// >>> [redactor.is_secret_name(name) for name in ("X-Api-Key", "clientSecret", "max_tokens")]
    /// [True, True, False]
    fn is_secret_name(&self, name: &Bound<'_, PyString>) -> PyResult<bool> {
        guarded(|| Ok(self.core.is_secret_name(&name.to_string_lossy())))
    }
}

fn texts(given: Option<&Bound<'_, PyAny>>, what: &str) -> PyResult<Vec<String>> {
    match given {
        // A text is a sequence of its letters, each a name that would be refused for a confusing reason.
        Some(one) if one.is_instance_of::<PyString>() => {
            Err(PyTypeError::new_err(format!("{what} is a sequence of names, not one text")))
        }
        Some(several) => several.try_iter()?.map(|name| name?.extract()).collect(),
        None => Ok(Vec::new()),
    }
}

/// Above this, about half a millisecond of work, other threads may run meanwhile.
const DETACH: usize = 128 * 1024;

fn detached<T: Send>(py: Python<'_>, length: usize, work: impl FnOnce() -> T + Send) -> T {
    if length > DETACH { py.detach(work) } else { work() }
}

/// A text that UTF-8 cannot hold, its lone surrogates as three bytes each.
fn surrogates_as_bytes<'py>(text: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyBytes>> {
    let py = text.py();
    Ok(text.call_method1(intern!(py, "encode"), ("utf-8", "surrogatepass"))?.cast_into()?)
}

/// The way back. Finds start and end at characters; were one ever not to, a log line with a broken character is
/// better than a client that can make logging raise.
fn from_bytes<'py>(clean: &Bound<'py, PyBytes>) -> PyResult<Bound<'py, PyString>> {
    let decode = intern!(clean.py(), "decode");
    let text = clean.call_method1(decode, ("utf-8", "surrogatepass"));
    Ok(text.or_else(|_| clean.call_method1(decode, ("utf-8", "replace")))?.cast_into()?)
}

fn in_code_points(text: &[u8], findings: &[Finding]) -> Vec<(&'static str, usize, usize)> {
    let (mut at, mut points) = (0, 0);
    let mut count = |to: usize| {
        points += text[at..to].iter().filter(|byte| **byte & 0xC0 != 0x80).count();
        at = to;
        points
    };
    findings.iter().map(|found| (found.entity, count(found.start), count(found.end))).collect()
}

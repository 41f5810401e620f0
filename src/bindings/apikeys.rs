//! `KeyBook`, `KeyCandidate` and `VerifiedKey`.
//!
//! Everything here takes less than a microsecond or two, so the GIL is kept.

use std::borrow::Borrow;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict, PyFrozenSet, PyInt, PyString, PyTuple};

use super::clock::Clock;
use super::credentials::text;
use super::errors::guarded;
use super::json::PyBuilder;
use crate::apikeys::carry::{self, Carried};
use crate::apikeys::grant::judge;
use crate::apikeys::{Book, Candidate, Format, Grant, Reason, Recall, Verified};
use crate::crypto::{fill_random, sha256};
use crate::time::UnixTime;
use crate::validation::Bounds;
use crate::validation::parser::parse;

/// Enough for a key but once in 10^16; the book then draws again.
const RANDOM: usize = 64;
const DRAWS: usize = 8;

/// What is remembered of a key: the grant, and what Python is given of it.
struct Made {
    grant: Grant,
    claims: Box<str>,
    scopes: PyOnceLock<Py<PyFrozenSet>>,
    roles: PyOnceLock<Py<PyFrozenSet>>,
}

impl Borrow<Grant> for Made {
    fn borrow(&self) -> &Grant {
        &self.grant
    }
}

fn not_copied() -> PyErr {
    PyTypeError::new_err("keys and what was verified of them cannot be pickled or copied")
}

fn refused<'py>(py: Python<'py>, code: &str, reason: &str) -> PyResult<Bound<'py, PyAny>> {
    Ok(PyTuple::new(py, [PyString::intern(py, code), PyString::intern(py, reason)])?.into_any())
}

fn invalid<'py>(py: Python<'py>, reason: Reason) -> PyResult<Bound<'py, PyAny>> {
    refused(py, "key.invalid", reason.word())
}

/// Makes API keys, and decides whether one may be trusted now. The rules are in ``src/apikeys``.
///
/// :param prefix: what the keys begin with, such as ``"rk"``: 1 to 16 lower-case letters and digits.
/// :param environment: ``"live"`` or ``"test"``; keys of the other are refused.
/// :param remembered: most keys remembered as checked. Expiry is still checked each time.
/// :raises ValueError: if a prefix or an environment cannot be used.
///
/// >>> book = KeyBook("rk", "live", Clock.manual(1_800_000_000.0))
/// >>> key, key_id, digest = book.new_key()
/// >>> key.startswith("rk_live_" + key_id), len(key), len(digest)
/// (True, 56, 32)
/// >>> candidate = book.judge(key, 0)
/// >>> verified = book.admit(candidate, 0, digest=digest, principal="ada", scopes=["read"])
/// >>> verified.id, sorted(verified.scopes), book.judge(key, 0).token_id == key_id
/// ('ada', ['read'], True)
#[pyclass(frozen, name = "KeyBook", module = "flask_rampart._native")]
pub struct PyKeyBook {
    format: Format,
    book: Book<Made>,
    clock: Py<Clock>,
}

#[pymethods]
impl PyKeyBook {
    #[new]
    #[pyo3(signature = (prefix, environment, clock, *, remembered=16_384))]
    fn new(prefix: &str, environment: &str, clock: Py<Clock>, remembered: u32) -> PyResult<Self> {
        guarded(|| {
            let format = Format::new(prefix, environment)?;
            Ok(Self { format, book: Book::new(remembered as usize), clock })
        })
    }

    /// A new key: ``(key, id, SHA-256 of the key)``. The key is nowhere kept.
    ///
    /// :raises RuntimeError: if the system gives no random bytes.
    fn new_key<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyString>, String, Bound<'py, PyBytes>)> {
        guarded(|| {
            for _ in 0..DRAWS {
                let mut random = zeroize::Zeroizing::new([0; RANDOM]);
                fill_random(&mut *random).map_err(|_| no_random())?;
                let Some(key) = self.format.generate(&*random) else { continue };
                let key = key.expose();
                let candidate = self.format.read(key).map_err(|_| no_random())?;
                let text = std::str::from_utf8(key).map_err(|_| no_random())?;
                return Ok((
                    PyString::new(py, text),
                    candidate.id().to_owned(),
                    PyBytes::new(py, &sha256(key)),
                ));
            }
            Err(no_random())
        })
    }

    /// Whose API key a request carries, in state *sequence* of the records.
    ///
    /// *environ* is the request's (PEP 3333). None if it carries no key; a :class:`VerifiedKey`; ``(code, reason)`` if it
    /// is refused; a :class:`KeyCandidate` if its record must be asked (see :meth:`admit`); the book's own sequence, an
    /// ``int``, if that is another (see :meth:`advance`).
    fn authenticate<'py>(
        &self,
        py: Python<'py>,
        environ: &Bound<'py, PyDict>,
        sequence: u64,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        guarded(|| {
            let field = text(environ, intern!(py, "HTTP_X_API_KEY"))?;
            let authorization = text(environ, intern!(py, "HTTP_AUTHORIZATION"))?;
            if field.is_none() && authorization.is_none() {
                return Ok(None);
            }
            // Lone surrogates, which no server sends, are no part of a key.
            let field = field.as_ref().map(|field| field.to_string_lossy()).unwrap_or_default();
            let authorization = authorization.as_ref().map(|text| text.to_string_lossy()).unwrap_or_default();
            match carry::find(&field, &authorization) {
                Carried::None => Ok(None),
                Carried::Malformed => refused(py, "key.invalid", "scheme").map(Some),
                Carried::Ambiguous => refused(py, "auth.ambiguous", "two credentials").map(Some),
                Carried::Key(key) => self.verdict(py, key, sequence).map(Some),
            }
        })
    }

    /// Whether a request carries an API key, or something that claims to be one.
    fn carries(&self, py: Python<'_>, environ: &Bound<'_, PyDict>) -> PyResult<bool> {
        guarded(|| {
            let field = text(environ, intern!(py, "HTTP_X_API_KEY"))?;
            let authorization = text(environ, intern!(py, "HTTP_AUTHORIZATION"))?;
            let field = field.as_ref().map(|field| field.to_string_lossy()).unwrap_or_default();
            let authorization = authorization.as_ref().map(|text| text.to_string_lossy()).unwrap_or_default();
            Ok(carry::find(&field, &authorization) != Carried::None)
        })
    }

    /// The same for a key by itself; never None.
    fn judge<'py>(
        &self,
        py: Python<'py>,
        key: &Bound<'py, PyString>,
        sequence: u64,
    ) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| self.verdict(py, &key.to_string_lossy(), sequence))
    }

    /// Judges a candidate by its record: a :class:`VerifiedKey`, or ``(code, reason)``.
    ///
    /// :param sequence: of the records, from before this one was read; it is remembered if the book is still true of it.
    ///     None: not remembered.
    /// :param digest: the SHA-256 of the whole key.
    /// :param expires: seconds since 1970-01-01 UTC from which on it is refused.
    /// :param claims: a JSON object.
    /// :raises ValueError: if the digest has not 32 bytes or the principal is empty.
    #[pyo3(signature = (candidate, sequence, *, digest, principal, scopes=vec![], roles=vec![], claims="{}", expires=None, revoked=false))]
    #[allow(clippy::too_many_arguments)]
    fn admit<'py>(
        &self,
        py: Python<'py>,
        candidate: &PyKeyCandidate,
        sequence: Option<u64>,
        digest: &[u8],
        principal: &str,
        scopes: Vec<String>,
        roles: Vec<String>,
        claims: &str,
        expires: Option<f64>,
        revoked: bool,
    ) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let digest = digest.try_into().map_err(|_| PyValueError::new_err("a SHA-256 has 32 bytes"))?;
            if principal.is_empty() || expires.is_some_and(f64::is_nan) {
                return Err(PyValueError::new_err("a record names its principal, and its end is a number"));
            }
            let grant = Grant {
                id: candidate.0.id().into(),
                digest,
                expires: expires.map(UnixTime),
                revoked,
                principal: principal.into(),
                scopes,
                roles,
                noted: AtomicU64::new(0),
            };
            let made =
                Made { grant, claims: claims.into(), scopes: PyOnceLock::new(), roles: PyOnceLock::new() };
            let now = self.clock.get().unix();
            match judge(&candidate.0, Arc::new(made), now) {
                Ok(verified) => {
                    if let Some(sequence) = sequence {
                        self.book.remember(&candidate.0, &verified, sequence);
                    }
                    Ok(Bound::new(py, PyVerifiedKey::new(verified, now))?.into_any())
                }
                Err(reason) => invalid(py, reason),
            }
        })
    }

    /// Goes on from state *since* of the records to state *sequence*, and forgets what *changed*: ids, or None for all.
    fn advance(&self, since: u64, sequence: u64, changed: Option<Vec<String>>) {
        self.book.advance(since, sequence, changed.as_deref());
    }

    /// Keys remembered now.
    fn __len__(&self) -> usize {
        self.book.len()
    }

    fn __bool__(&self) -> bool {
        true
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(not_copied())
    }
}

fn no_random() -> PyErr {
    PyRuntimeError::new_err("the system gives no random bytes")
}

impl PyKeyBook {
    fn verdict<'py>(&self, py: Python<'py>, key: &str, sequence: u64) -> PyResult<Bound<'py, PyAny>> {
        let candidate = match self.format.read(key.as_bytes()) {
            Ok(candidate) => candidate,
            Err(reason) => return invalid(py, reason),
        };
        let now = self.clock.get().unix();
        match self.book.recall(&candidate, sequence, now) {
            Recall::Verified(verified) => Ok(Bound::new(py, PyVerifiedKey::new(verified, now))?.into_any()),
            Recall::Refused(reason) => invalid(py, reason),
            Recall::Unseen => Ok(Bound::new(py, PyKeyCandidate(candidate))?.into_any()),
            Recall::Stale(own) => Ok(PyInt::new(py, own).into_any()),
        }
    }
}

/// A key of the right form and checksum, whose record must be asked. Only ``KeyBook`` makes one.
#[pyclass(frozen, name = "KeyCandidate", module = "flask_rampart._native")]
pub struct PyKeyCandidate(Candidate);

#[pymethods]
impl PyKeyCandidate {
    /// The key's public name.
    #[getter]
    fn id(&self) -> &str {
        self.0.id()
    }

    fn __repr__(&self) -> String {
        format!("<KeyCandidate {:?}>", self.0.id())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(not_copied())
    }
}

/// A key that was checked against its record. Only ``KeyBook`` makes one. It holds no part of the secret.
#[pyclass(frozen, name = "VerifiedKey", module = "flask_rampart._native")]
pub struct PyVerifiedKey {
    made: Verified<Made>,
    due: bool,
}

impl PyVerifiedKey {
    fn new(made: Verified<Made>, now: UnixTime) -> Self {
        let due = made.grant().grant.is_due(now);
        Self { made, due }
    }
}

#[pymethods]
impl PyVerifiedKey {
    /// Whom a request with this key is made by: its owner, or else the id of the first key of its line.
    #[getter("id")]
    fn principal(&self) -> &str {
        &self.made.grant().grant.principal
    }

    /// The scheme of the credential: ``"api_key"``.
    #[getter]
    fn kind(&self, py: Python<'_>) -> Py<PyString> {
        intern!(py, "api_key").clone().unbind()
    }

    /// What the key may be used for.
    #[getter]
    fn scopes(&self, py: Python<'_>) -> PyResult<Py<PyFrozenSet>> {
        let made = self.made.grant();
        let set = made.scopes.get_or_try_init(py, || frozen(py, &made.grant.scopes))?;
        Ok(set.clone_ref(py))
    }

    /// What its holder is.
    #[getter]
    fn roles(&self, py: Python<'_>) -> PyResult<Py<PyFrozenSet>> {
        let made = self.made.grant();
        let set = made.roles.get_or_try_init(py, || frozen(py, &made.grant.roles))?;
        Ok(set.clone_ref(py))
    }

    /// The metadata that the key was created with, as a dict that is made anew each time.
    #[getter]
    fn claims<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        guarded(|| {
            let text = self.made.grant().claims.as_bytes();
            let most = text.len().max(1);
            let bounds = Bounds::new(most, Bounds::DEEPEST, most, Bounds::LONGEST_NUMBER)?;
            parse(text, &bounds, &mut PyBuilder::new(py, None))
                .map(|parsed| parsed.value)
                .map_err(|_| PyRuntimeError::new_err("the metadata of this key cannot be read"))
        })
    }

    /// None: a key is vouched for by the app itself.
    #[getter]
    fn issuer(&self) -> Option<&str> {
        None
    }

    /// The key's public name.
    #[getter]
    fn token_id(&self) -> Option<&str> {
        Some(&self.made.grant().grant.id)
    }

    /// Whether the caller should note that the key is being used: True for one check in a minute.
    #[getter]
    fn due(&self) -> bool {
        self.due
    }

    fn __repr__(&self) -> String {
        format!("<VerifiedKey {:?} of {:?}>", self.made.grant().grant.id, self.principal())
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(not_copied())
    }
}

fn frozen(py: Python<'_>, words: &[String]) -> PyResult<Py<PyFrozenSet>> {
    Ok(PyFrozenSet::new(py, words)?.unbind())
}

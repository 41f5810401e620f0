//! `Keyset` and `KeysetKey`: keys that seal and open, in the formats of Tink.
//!
//! A keyset is changed in place, under a lock that is never held while Python runs or the GIL is given away. What seals is
//! built from it when it is first needed, and built anew after a change.

use std::sync::{Arc, PoisonError, RwLock};

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString, PyTuple};

use super::errors::{guarded, integrity};
use super::vault_told::KeysetKey;
use super::vault_wrapping::{protected, unlocked, unprotected};
use crate::crypto::{self, Failed};
use crate::error::ConfigError;
use crate::vault::streaming::StreamKeys;
use crate::vault::{
    Aead, Cipher, Costs, DeterministicAead, Keyset, OutputPrefix, Prf, Primitive, Protected, Sealer, Status,
    Template, passphrase,
};

/// Keys that seal and open, one of which is primary, in the formats of Google's Tink.
///
/// The primary key seals; every enabled key opens. A keyset is for one thing: ``"AEAD"``, ``"deterministic AEAD"``,
/// ``"PRF"`` or ``"streaming AEAD"``, by its keys' template. Changes are made in place, and seen by all threads at once.
/// Key material is wiped when it is dropped; a keyset is not pickled, copied or printed.
///
/// >>> keyset = Keyset.generate("AES256_GCM")
/// >>> sealed = keyset.seal(b"42 Main Street", b"users.address:7")
/// >>> keyset.open(sealed, b"users.address:7")
/// b'42 Main Street'
/// >>> old = keyset.primary
/// >>> new = keyset.rotate("AES256_GCM_SIV")
/// >>> keyset.open(sealed, b"users.address:7")
/// b'42 Main Street'
/// >>> keyset.destroy(old)
/// >>> keyset.open(sealed, b"users.address:7")
/// Traceback (most recent call last):
/// flask_rampart.errors.IntegrityError: what was sealed cannot be opened: no key that may open it bears its id
#[pyclass(frozen, name = "Keyset", module = "flask_rampart._native")]
pub struct PyKeyset(RwLock<Held>);

struct Held {
    keyset: Keyset,
    aead: Option<Arc<Aead>>,
    daead: Option<Arc<DeterministicAead>>,
    prf: Option<Arc<Prf>>,
    streams: Option<Arc<StreamKeys>>,
}

#[pymethods]
impl PyKeyset {
    /// A keyset of one new key.
    ///
    /// :param template: one of ``keyset_templates()``, such as ``"AES256_GCM"``.
    /// :param prefix: ``"TINK"``, ``"CRUNCHY"`` or ``"RAW"``; Tink's own choice if not given.
    /// :raises ValueError: for a template or prefix that there is not.
    #[staticmethod]
    #[pyo3(signature = (template, *, prefix = None))]
    fn generate(template: &str, prefix: Option<&str>) -> PyResult<Self> {
        guarded(|| {
            Ok(Self::of(Keyset::generate(
                Template::named(template)?,
                prefix.map(OutputPrefix::named).transpose()?,
                &mut random,
            )?))
        })
    }

    /// Reads a keyset in Tink's JSON form, in clear.
    ///
    /// :raises ValueError: if it is none, or cannot be used. Nothing of the text is in the message.
    #[staticmethod]
    fn from_cleartext_json(text: &str) -> PyResult<Self> {
        guarded(|| Ok(Self::of(Keyset::from_json(text)?)))
    }

    /// Reads a keyset in Tink's binary form, in clear.
    ///
    /// :raises ValueError: if it is none, or cannot be used.
    #[staticmethod]
    fn from_cleartext_binary(data: &[u8]) -> PyResult<Self> {
        guarded(|| Ok(Self::of(Keyset::from_binary(data)?)))
    }

    /// The keyset in Tink's JSON form, **in clear**: whoever reads it reads everything that it has sealed.
    fn to_cleartext_json<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyString>> {
        guarded(|| {
            let json = self.read(|held| held.keyset.to_json());
            let text = std::str::from_utf8(json.expose()).map_err(|_| failed())?;
            Ok(PyString::new(py, text))
        })
    }

    /// The keyset in Tink's binary form, **in clear**.
    fn to_cleartext_binary<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| Ok(PyBytes::new(py, self.read(|held| held.keyset.to_binary()).expose())))
    }

    /// Reads a keyset in Tink's JSON form that was sealed by a KMS.
    ///
    /// :param kms: has ``decrypt(ciphertext, associated_data)``, as Tink's ``Aead`` has. What it raises is passed on.
    /// :raises IntegrityError: if what stands beside the sealed part is not what was sealed.
    /// :raises ValueError: if the text, or what the KMS gave, is no keyset that can be used.
    #[staticmethod]
    #[pyo3(signature = (text, kms, *, associated_data = &b""[..]))]
    fn from_encrypted_json(text: &str, kms: &Bound<'_, PyAny>, associated_data: &[u8]) -> PyResult<Self> {
        guarded(|| Ok(Self::of(unprotected(kms, &Protected::from_json(text)?, associated_data)?)))
    }

    /// Reads a keyset in Tink's binary form that was sealed by a KMS. See ``from_encrypted_json``.
    #[staticmethod]
    #[pyo3(signature = (data, kms, *, associated_data = &b""[..]))]
    fn from_encrypted_binary(data: &[u8], kms: &Bound<'_, PyAny>, associated_data: &[u8]) -> PyResult<Self> {
        guarded(|| Ok(Self::of(unprotected(kms, &Protected::from_binary(data)?, associated_data)?)))
    }

    /// The keyset in Tink's JSON form, sealed by a KMS.
    ///
    /// :param kms: has ``encrypt(plaintext, associated_data)`` and ``decrypt(ciphertext, associated_data)``: what was
    ///     sealed is opened again, to know that it can be.
    /// :param associated_data: the same must be given to read it.
    /// :raises IntegrityError: if another keyset comes back.
    #[pyo3(signature = (kms, *, associated_data = &b""[..]))]
    fn to_encrypted_json(&self, kms: &Bound<'_, PyAny>, associated_data: &[u8]) -> PyResult<String> {
        guarded(|| Ok(self.protected(kms, associated_data)?.to_json()))
    }

    /// The keyset in Tink's binary form, sealed by a KMS. See ``to_encrypted_json``.
    #[pyo3(signature = (kms, *, associated_data = &b""[..]))]
    fn to_encrypted_binary<'py>(
        &self,
        kms: &Bound<'py, PyAny>,
        associated_data: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| Ok(PyBytes::new(kms.py(), &self.protected(kms, associated_data)?.to_binary())))
    }

    /// Reads a keyset under a passphrase, as ``to_passphrase_json`` writes it. Takes a good part of a second.
    ///
    /// :raises IntegrityError: if the passphrase does not open it: it is another, or the text was changed.
    /// :raises ValueError: if it is none.
    #[staticmethod]
    fn from_passphrase_json(py: Python<'_>, text: &str, passphrase: &[u8]) -> PyResult<Self> {
        guarded(|| {
            let opened = py.detach(|| passphrase::open(text, passphrase));
            opened.map(Self::of).map_err(|error| unlocked(py, error))
        })
    }

    /// The keyset under a passphrase, as JSON: Tink's encrypted keyset, and by which costs of Argon2id it is opened.
    ///
    /// :param passphrase: at least 12 bytes.
    /// :param memory: of Argon2id, in KiB: 19456 to 1048576.
    /// :param passes: over the memory, 2 to 64, and 4 GiB in all.
    /// :param lanes: 1 to 16.
    /// :raises ValueError: for a passphrase that is too short, or costs out of these bounds.
    #[pyo3(signature = (passphrase, *, memory = 65536, passes = 3, lanes = 4))]
    fn to_passphrase_json(
        &self,
        py: Python<'_>,
        passphrase: &[u8],
        memory: u32,
        passes: u32,
        lanes: u32,
    ) -> PyResult<String> {
        guarded(|| {
            let keyset = self.read(|held| held.keyset.snapshot());
            let costs = Costs { memory, passes, lanes };
            let sealed = py.detach(|| passphrase::seal(&keyset, passphrase, costs, &mut random));
            sealed.map_err(|error| unlocked(py, error))
        })
    }

    /// The id of the key that seals.
    #[getter]
    fn primary(&self) -> u32 {
        self.read(|held| held.keyset.primary())
    }

    /// What it is for: ``"AEAD"``, ``"deterministic AEAD"``, ``"PRF"``, ``"streaming AEAD"``; None if its primary key is of
    /// a type that is not known here.
    #[getter]
    fn primitive(&self) -> Option<&'static str> {
        self.read(|held| held.keyset.primitive().map(|found| found.name()))
    }

    /// Its keys, without their material, in the order in which they were added.
    ///
    /// >>> [key.status for key in Keyset.generate("AES128_GCM").info()]
    /// ['ENABLED']
    fn info<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        guarded(|| {
            let keys: Vec<KeysetKey> = self.read(|held| {
                held.keyset.keys().iter().map(|key| KeysetKey::of(key, held.keyset.primary())).collect()
            });
            let keys = keys.into_iter().map(|key| Py::new(py, key)).collect::<PyResult<Vec<_>>>()?;
            PyTuple::new(py, keys)
        })
    }

    /// Adds a new enabled key, which opens and does not yet seal; its id.
    ///
    /// :raises ValueError: for a template that there is not, or that is for something else than this keyset.
    #[pyo3(signature = (template, *, prefix = None))]
    fn add(&self, template: &str, prefix: Option<&str>) -> PyResult<u32> {
        self.change(|keyset| {
            let prefix = prefix.map(OutputPrefix::named).transpose()?;
            keyset.add(Template::named(template)?, prefix, &mut random)
        })
    }

    /// Adds a new key and makes it primary; its id. The old ones still open.
    ///
    /// :raises ValueError: as ``add``.
    #[pyo3(signature = (template, *, prefix = None))]
    fn rotate(&self, template: &str, prefix: Option<&str>) -> PyResult<u32> {
        self.change(|keyset| {
            let prefix = prefix.map(OutputPrefix::named).transpose()?;
            keyset.rotate(Template::named(template)?, prefix, &mut random)
        })
    }

    /// Makes an enabled key primary: it seals from now on.
    ///
    /// :raises ValueError: if there is no such key, or it is not enabled.
    fn promote(&self, key_id: u32) -> PyResult<()> {
        self.change(|keyset| keyset.promote(key_id))
    }

    /// Disables a key: it no longer opens, until it is enabled.
    ///
    /// :raises ValueError: if there is no such key, or it is primary or destroyed.
    fn disable(&self, key_id: u32) -> PyResult<()> {
        self.change(|keyset| keyset.disable(key_id))
    }

    /// Enables a key that was disabled.
    ///
    /// :raises ValueError: if there is no such key, or it was destroyed.
    fn enable(&self, key_id: u32) -> PyResult<()> {
        self.change(|keyset| keyset.enable(key_id))
    }

    /// Destroys a key for good: its material is wiped, and what it sealed cannot be opened by anybody. Also one that is
    /// enabled, as Tink does: to see first what is still sealed by it, disable it, which can be taken back.
    ///
    /// :raises ValueError: if there is no such key, or it is primary or was destroyed before.
    fn destroy(&self, key_id: u32) -> PyResult<()> {
        self.change(|keyset| keyset.destroy(key_id))
    }

    /// *data*, sealed by the primary key of an AEAD keyset, for *associated_data*. Other each time.
    ///
    /// :raises ValueError: if this keyset is for something else.
    fn seal<'py>(
        &self,
        data: &Bound<'py, PyBytes>,
        associated_data: &Bound<'py, PyBytes>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| seal(&*self.aead()?, data, associated_data))
    }

    /// What *sealed* says.
    ///
    /// :raises IntegrityError: if it was changed or cut, is of another *associated_data*, or no enabled key sealed it.
    /// :raises ValueError: if this keyset is for something else.
    fn open<'py>(
        &self,
        sealed: &Bound<'py, PyBytes>,
        associated_data: &Bound<'py, PyBytes>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| open(&*self.aead()?, sealed, associated_data))
    }

    /// *data*, sealed by the primary key of a deterministic keyset: the same each time, so that it can be searched for.
    ///
    /// :raises ValueError: if this keyset is for something else.
    fn seal_deterministic<'py>(
        &self,
        data: &Bound<'py, PyBytes>,
        associated_data: &Bound<'py, PyBytes>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| seal(&*self.daead()?, data, associated_data))
    }

    /// What was sealed by ``seal_deterministic`` says.
    ///
    /// :raises IntegrityError: as ``open``.
    /// :raises ValueError: if this keyset is for something else.
    fn open_deterministic<'py>(
        &self,
        sealed: &Bound<'py, PyBytes>,
        associated_data: &Bound<'py, PyBytes>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| open(&*self.daead()?, sealed, associated_data))
    }

    /// The blind index of *value* for *purpose*, by the primary key of a PRF keyset: 16 bytes.
    ///
    /// :raises ValueError: if this keyset is for something else.
    ///
    /// >>> keyset = Keyset.generate("HKDF_SHA256")
    /// >>> keyset.blind_index("users.email", b"ada") == keyset.blind_index("users.email", b"ada")
    /// True
    /// >>> keyset.blind_index("users.email", b"ada") == keyset.blind_index("users.name", b"ada")
    /// False
    fn blind_index<'py>(
        &self,
        py: Python<'py>,
        purpose: &str,
        value: &[u8],
    ) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| {
            let index = self.prf()?.index(purpose, value).map_err(|_| failed())?;
            Ok(PyBytes::new(py, &index))
        })
    }

    /// The blind indexes of *value* by all enabled keys, the primary's first: what to look for after a rotation.
    ///
    /// :raises ValueError: if this keyset is for something else.
    fn blind_indexes<'py>(
        &self,
        py: Python<'py>,
        purpose: &str,
        value: &[u8],
    ) -> PyResult<Vec<Bound<'py, PyBytes>>> {
        guarded(|| {
            let indexes = self.prf()?.indexes(purpose, value).map_err(|_| failed())?;
            Ok(indexes.iter().map(|index| PyBytes::new(py, index)).collect())
        })
    }

    fn __len__(&self) -> usize {
        self.read(|held| held.keyset.keys().len())
    }

    fn __repr__(&self) -> String {
        self.read(|held| {
            let kind = held.keyset.primitive().map_or("unknown", |found| found.name());
            let usable = held.keyset.keys().iter().filter(|key| key.status() == Status::Enabled).count();
            format!("<Keyset for {kind}, primary {}, {usable} enabled>", held.keyset.primary())
        })
    }

    fn __reduce__(&self) -> PyResult<()> {
        Err(PyTypeError::new_err("a keyset cannot be pickled or copied"))
    }
}

impl PyKeyset {
    fn of(keyset: Keyset) -> Self {
        Self(RwLock::new(Held { keyset, aead: None, daead: None, prf: None, streams: None }))
    }

    fn read<T>(&self, of: impl FnOnce(&Held) -> T) -> T {
        of(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, how: impl FnOnce(&mut Keyset) -> Result<T, ConfigError>) -> PyResult<T> {
        guarded(|| {
            let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
            // Before the change: what was built of the old keys is not used again, whatever comes of it.
            (held.aead, held.daead, held.prf, held.streams) = (None, None, None, None);
            Ok(how(&mut held.keyset)?)
        })
    }

    /// What was built of the keys, or builds it now.
    fn built<T>(
        &self,
        place: impl Fn(&mut Held) -> &mut Option<Arc<T>>,
        known: impl FnOnce(&Held) -> Option<Arc<T>>,
        build: impl FnOnce(&Keyset) -> Result<T, ConfigError>,
    ) -> PyResult<Arc<T>> {
        if let Some(found) = self.read(known) {
            return Ok(found);
        }
        let mut held = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let made = Arc::new(build(&held.keyset)?);
        *place(&mut held) = Some(Arc::clone(&made));
        Ok(made)
    }

    pub(super) fn primitive_of(&self) -> Option<Primitive> {
        self.read(|held| held.keyset.primitive())
    }

    pub(super) fn fingerprint(&self) -> Option<[u8; 16]> {
        self.read(|held| held.keyset.fingerprint())
    }

    pub(super) fn aead(&self) -> PyResult<Arc<Aead>> {
        self.built(|held| &mut held.aead, |held| held.aead.clone(), Aead::new)
    }

    pub(super) fn daead(&self) -> PyResult<Arc<DeterministicAead>> {
        self.built(|held| &mut held.daead, |held| held.daead.clone(), DeterministicAead::new)
    }

    fn prf(&self) -> PyResult<Arc<Prf>> {
        self.built(|held| &mut held.prf, |held| held.prf.clone(), Prf::new)
    }

    pub(super) fn streams(&self) -> PyResult<Arc<StreamKeys>> {
        self.built(|held| &mut held.streams, |held| held.streams.clone(), StreamKeys::new)
    }

    fn protected(&self, kms: &Bound<'_, PyAny>, associated_data: &[u8]) -> PyResult<Protected> {
        protected(kms, &self.read(|held| held.keyset.snapshot()), associated_data)
    }
}

fn seal<'py, C: Cipher + Sync>(
    sealer: &Sealer<C>,
    data: &Bound<'py, PyBytes>,
    associated_data: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (py, plain, associated) = (data.py(), data.as_bytes(), associated_data.as_bytes());
    let length = sealer.sealed_len(plain.len()).ok_or_else(too_long)?;
    PyBytes::new_with(py, length, |out| {
        let work = || sealer.seal_into(plain, associated, &mut random, out);
        detached(py, length.saturating_add(associated.len()), work).map_err(|_| failed())
    })
}

fn open<'py, C: Cipher + Sync>(
    sealer: &Sealer<C>,
    sealed: &Bound<'py, PyBytes>,
    associated_data: &Bound<'py, PyBytes>,
) -> PyResult<Bound<'py, PyBytes>> {
    let (py, bytes, associated) = (sealed.py(), sealed.as_bytes(), associated_data.as_bytes());
    for attempt in sealer.attempts(bytes) {
        let mut opened = false;
        let plain = PyBytes::new_with(py, attempt.plaintext_len(), |out| {
            let work = || attempt.open_into(associated, out);
            opened = detached(py, bytes.len().saturating_add(associated.len()), work).is_ok();
            Ok(())
        })?;
        // Otherwise it was wiped, and is dropped here.
        if opened {
            return Ok(plain);
        }
    }
    Err(integrity(py, sealer.reason(bytes).word()))
}

/// Above this, about half a millisecond of work, other threads may run meanwhile.
const DETACH: usize = 1024 * 1024;

fn detached<T: Send>(py: Python<'_>, length: usize, work: impl FnOnce() -> T + Send) -> T {
    if length > DETACH { py.detach(work) } else { work() }
}

fn random(out: &mut [u8]) -> Result<(), Failed> {
    crypto::fill_random(out)
}

fn too_long() -> PyErr {
    PyValueError::new_err("this is too long to be sealed in one piece")
}

fn failed() -> PyErr {
    PyRuntimeError::new_err("nothing was sealed: the system gives no random bytes, or the text is too long")
}

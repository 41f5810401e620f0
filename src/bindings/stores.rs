//! The stores of counters, for Python.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use ring::rand::{SecureRandom, SystemRandom};

use crate::limits::{self, Seed};

use super::clock::Clock;

/// Where counters are kept: in a file that all workers of the host map, or in the memory of this process.
///
/// A store never holds more than its capacity and never forgets a counter that is not full. When it is full of them,
/// further keys share overflow counters, which are stricter.
///
/// >>> store = LimitStore.local(Clock.manual(1_800_000_000.0), keys=1000)
/// >>> store.kind, store.capacity, store.used()
/// ('memory', 1000, 0)
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct LimitStore {
    pub(super) store: Arc<limits::Store>,
    pub(super) clock: Py<Clock>,
}

#[pymethods]
impl LimitStore {
    /// The counters in *directory*/*name*, shared by every process that opens them: exact for the host, kept
    /// over restarts, void after a reboot.
    ///
    /// :param directory: an absolute path to a local directory of the user's own, mode 0700; created so if
    ///     missing. Best under ``/dev/shm`` or ``/run``.
    /// :param bytes: size of the table, 16.5 to a counter; allocated at once. While other workers use the file,
    ///     its present size is kept.
    /// :raises ValueError: if the directory or file could be another user's or under another's control, or cannot be
    ///     allocated; the message says the cure.
    #[staticmethod]
    #[pyo3(signature = (directory, name, clock, *, bytes=8_388_608))]
    fn shared(
        py: Python<'_>,
        directory: PathBuf,
        name: &str,
        clock: Bound<'_, Clock>,
        bytes: u64,
    ) -> PyResult<Self> {
        let boot = boot_id(clock.get())?;
        let seed = random_seed()?;
        // Waits for other processes that open the same file, and allocates it.
        let store = py.detach(|| limits::Store::shared(&directory, name, bytes, &boot, seed))?;
        Ok(Self { store: Arc::new(store), clock: clock.unbind() })
    }

    /// The counters in *directory*/*name* as they are, whatever their size, to look at; None if nobody has made them since the host
    /// began.
    ///
    /// :raises ValueError: if the directory or file could be another user's or under another's control.
    #[staticmethod]
    fn existing(
        py: Python<'_>,
        directory: PathBuf,
        name: &str,
        clock: Bound<'_, Clock>,
    ) -> PyResult<Option<Self>> {
        let boot = boot_id(clock.get())?;
        let store = py.detach(|| limits::Store::existing(&directory, name, &boot))?;
        Ok(store.map(|store| Self { store: Arc::new(store), clock: clock.unbind() }))
    }

    /// Counters of this process alone: each worker counts for itself.
    ///
    /// :param keys: counters to hold at most. Memory, about 40 bytes each, is taken as they come.
    /// :param seed: 16 bytes that the names of counters are hashed with; random, if not given.
    /// :raises ValueError: unless *keys* is between 1 and 2**28, and *seed* of 16 bytes.
    #[staticmethod]
    #[pyo3(signature = (clock, *, keys=262_144, seed=None))]
    fn local(clock: Bound<'_, Clock>, keys: u32, seed: Option<Vec<u8>>) -> PyResult<Self> {
        let seed = match seed {
            None => random_seed()?,
            Some(bytes) => seed_of(bytes)?,
        };
        let store = limits::Store::local(keys, seed)?;
        Ok(Self { store: Arc::new(store), clock: clock.unbind() })
    }

    /// To be called in a forked child: it does not keep alive what is in progress in its parent.
    fn forget_parent(&self) {
        self.store.forget_parent();
    }

    /// ``"shm"`` or ``"memory"``.
    #[getter]
    fn kind(&self) -> &'static str {
        if self.store.path().is_some() { "shm" } else { "memory" }
    }

    /// The shared file, or None.
    #[getter]
    fn path(&self) -> Option<Cow<'_, str>> {
        self.store.path().map(|path| path.to_string_lossy())
    }

    /// How many counters have a place of their own.
    #[getter]
    fn capacity(&self) -> usize {
        self.store.capacity()
    }

    /// How many counters are not full. Looks at every one, which takes milliseconds: for status, not for requests.
    fn used(&self, py: Python<'_>) -> usize {
        let now = self.clock.get().host();
        py.detach(|| self.store.used(now))
    }

    /// A name for *data* in 32 hexadecimal digits that does not tell it, the same in all workers: for logs.
    fn keyed(&self, data: &[u8]) -> String {
        format!("{:032x}", self.store.seed().keyed(data))
    }

    fn __repr__(&self) -> String {
        format!("LimitStore({:?}, capacity={})", self.kind(), self.capacity())
    }
}

/// Names this boot, so that counters of an earlier one, whose clock began anew, are not believed.
pub(super) fn boot_id(clock: &Clock) -> PyResult<Vec<u8>> {
    if clock.is_manual() {
        return Ok(b"a manual clock".to_vec());
    }
    std::fs::read("/proc/sys/kernel/random/boot_id").map_err(|error| {
        PyValueError::new_err(format!(
            "this system does not name its boots ({error}), so counters cannot be shared safely. Use the store in memory or Redis"
        ))
    })
}

impl LimitStore {
    pub(super) fn parts(&self, py: Python<'_>) -> (Arc<limits::Store>, Py<Clock>) {
        (self.store.clone(), self.clock.clone_ref(py))
    }
}

pub(super) fn seed_of(bytes: Vec<u8>) -> PyResult<Seed> {
    let bytes = bytes.try_into().map_err(|_| PyValueError::new_err("a seed has 16 bytes"))?;
    Ok(Seed::new(bytes))
}

pub(super) fn random_seed() -> PyResult<Seed> {
    let mut seed = [0; 16];
    SystemRandom::new()
        .fill(&mut seed)
        .map_err(|_| PyValueError::new_err("the system has no random bytes"))?;
    Ok(Seed::new(seed))
}

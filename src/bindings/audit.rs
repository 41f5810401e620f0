//! The audit log for Python: a writer, and what verifies and proves.

mod record;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::clock::Clock;
use super::errors::guarded;
use super::redaction::Redactor;
use crate::audit::{self, Log, Report, Setup, Signer, State, Tap, Verifier, Verify, When};
use crate::error::ConfigError;
use crate::redaction::Redactor as Core;
use record::Outcome;

/// One writer of an audit log: a chain of records, a file of its own, signed checkpoints.
///
/// *key* is the text of a private key (``PRIVATE+KEY+...``); *sync*, *checkpoint* and *keep* are seconds, *max_file* bytes, at least 1,024. Each of *taps*
/// gets the lines as well. *noticed* is called with the name of each file that this process is the first to see changed by somebody: by
/// the log's own thread, or by who calls :meth:`tend`, :meth:`checkpoint` or :meth:`close`. *failed* is called with what that thread could
/// not do, an ``OSError``, each time that it tries.
///
/// :raises ValueError: for a key that cannot be read or a number out of range.
/// :raises OSError: if the directory cannot be used.
#[pyclass(frozen, module = "flask_rampart._native", weakref)]
pub struct AuditLog {
    current: RwLock<Arc<Log>>,
    redactor: Arc<Core>,
    clock: Py<Clock>,
    noticed: Option<Py<PyAny>>,
    failed: Option<Py<PyAny>>,
}

#[pymethods]
impl AuditLog {
    #[new]
    #[pyo3(signature = (directory, key, redactor, clock, *, host, max_file, sync, checkpoint, keep = None, taps = Vec::new(), noticed = None, failed = None))]
    #[allow(clippy::too_many_arguments)] // Keywords of a constructor that Python's settings fill.
    fn new(
        py: Python<'_>,
        directory: PathBuf,
        key: &str,
        redactor: &Redactor,
        clock: Py<Clock>,
        host: String,
        max_file: u64,
        sync: f64,
        checkpoint: f64,
        keep: Option<f64>,
        taps: Vec<PyRef<'_, AuditTap>>,
        noticed: Option<Py<PyAny>>,
        failed: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        if max_file < LEAST_FILE {
            return Err(PyValueError::new_err("a file of an audit log has at least 1,024 bytes"));
        }
        let told = clock.clone_ref(py);
        let setup = Setup {
            directory,
            signer: Signer::parse(key).map_err(wrong)?,
            host,
            max_file,
            max_page: BOOK_PAGE,
            sync: seconds(sync)?,
            checkpoint: seconds(checkpoint)?,
            keep: keep.map(seconds).transpose()?,
            clock: Box::new(move || told.get().unix()),
        };
        let taps = cores(&taps);
        let log = py.detach(|| Log::tapped(Arc::new(setup), taps))?;
        Ok(Self {
            current: RwLock::new(Arc::new(log)),
            redactor: Arc::clone(&redactor.core),
            clock,
            noticed,
            failed,
        })
    }

    /// Adds a record and gives its number. With *now*, the system has it when this returns.
    ///
    /// *fields* are texts, whole and real numbers, truth values, None, and lists, tuples and dicts of these, at most 4 deep and 256 in all. Texts are
    /// redacted, but those of *plain*, which are ours: ids, codes, rules. Each is cut to 2,048 characters, and what comes when the record has 192 KiB is
    /// left out: then ``audit_cut`` says how much.
    ///
    /// Of an *exchange*, what a record says of a request stands around these.
    ///
    /// :raises OSError: if it is not written: it waits, or was dropped and counted; or if this process was forked off and has not renewed the log.
    /// :raises ValueError: for an event that begins with ``audit_``, a name that a record has already, or too many fields.
    #[pyo3(signature = (event, fields = None, plain = None, *, exchange = None, now = true))]
    fn append(
        &self,
        py: Python<'_>,
        event: &str,
        fields: Option<&Bound<'_, PyDict>>,
        plain: Option<&Bound<'_, PyDict>>,
        exchange: Option<&Bound<'_, PyAny>>,
        now: bool,
    ) -> PyResult<u64> {
        guarded(|| {
            if event.starts_with("audit_") {
                return Err(PyValueError::new_err("events that begin with audit_ are the audit log's own"));
            }
            let members = record::compose(&self.redactor, exchange, plain, fields)?;
            self.put(py, event, &members, if now { When::Now } else { When::Soon })
        })
    }

    /// Adds the record that a view was admitted, and has the end of its answer recorded, if the *exchange* sees that. *plain* and *fields* as for
    /// :meth:`append`; *failed* is called with the exception if the end cannot be recorded.
    ///
    /// :raises OSError: as for :meth:`append`. Then the end is recorded only if *always* says so.
    #[pyo3(signature = (event, exchange, plain, fields, failed, *, always))]
    #[allow(clippy::too_many_arguments)] // Called from one place.
    fn admit(
        slf: &Bound<'_, Self>,
        event: &Bound<'_, PyString>,
        exchange: &Bound<'_, PyAny>,
        plain: &Bound<'_, PyDict>,
        fields: Option<&Bound<'_, PyDict>>,
        failed: Py<PyAny>,
        always: bool,
    ) -> PyResult<()> {
        guarded(|| {
            let (py, log) = (slf.py(), slf.get());
            let members = record::compose(&log.redactor, Some(exchange), Some(plain), fields)?;
            let written = log.put(py, &event.to_string_lossy(), &members, When::Now).map(drop);
            if (written.is_ok() || always) && exchange.getattr(intern!(py, "sees_answer"))?.is_truthy()? {
                let end = AuditEnd {
                    log: slf.clone().unbind(),
                    event: event.clone().unbind(),
                    exchange: Mutex::new(Some(exchange.clone().unbind())),
                    failed,
                };
                let waiting: Bound<'_, PyTuple> = exchange.getattr(intern!(py, "at_end"))?.cast_into()?;
                let own = PyTuple::new(py, [Bound::new(py, end)?])?;
                exchange.setattr(intern!(py, "at_end"), waiting.add(own)?)?;
            }
            written
        })
    }

    /// Records that so many *records* did not reach a *sink*.
    ///
    /// :raises OSError: as for :meth:`append`.
    fn lost(&self, py: Python<'_>, sink: &str, records: u64) -> PyResult<()> {
        let current = self.current();
        Ok(py.detach(|| current.lost(sink, records))?)
    }

    /// Which writer this is: 32 hexadecimal digits.
    #[getter]
    fn writer(&self) -> String {
        self.current().writer().to_owned()
    }

    /// Starts the thread that syncs and signs. It has the caller's signal mask: block signals meanwhile.
    fn start(&self, py: Python<'_>) -> bool {
        let noticed = self.noticed.as_ref().map(|noticed| noticed.clone_ref(py));
        let failed = self.failed.as_ref().map(|failed| failed.clone_ref(py));
        self.current().start(
            move |files| {
                if let Some(noticed) = &noticed {
                    // None while the interpreter ends.
                    let _ = Python::try_attach(|py| tell(py, noticed, files));
                }
            },
            move |error| {
                if let Some(failed) = &failed {
                    let _ = Python::try_attach(|py| {
                        if let Err(raised) = failed.call1(py, (PyErr::from(error).into_value(py),)) {
                            raised.write_unraisable(py, None);
                        }
                    });
                }
            },
        )
    }

    /// Writes, syncs, and signs and changes files when it is time.
    ///
    /// :raises OSError: what the system said.
    fn tend(&self, py: Python<'_>) -> PyResult<()> {
        let current = self.current();
        let done = py.detach(|| current.tend());
        self.tell(py, &current);
        Ok(done?)
    }

    /// Signs how far the log has come.
    ///
    /// :raises OSError: what the system said; if the log is closed.
    fn checkpoint(&self, py: Python<'_>) -> PyResult<()> {
        let current = self.current();
        let done = py.detach(|| current.checkpoint());
        self.tell(py, &current);
        Ok(done?)
    }

    /// Signs, and says that no more follows.
    ///
    /// :raises OSError: what the system said.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let current = self.current();
        let done = py.detach(|| current.close());
        self.tell(py, &current);
        Ok(done?)
    }

    /// To be called in a process that was just forked off, before it appends: it gets a writer and taps of its own.
    ///
    /// :raises OSError: if the directory cannot be used.
    #[pyo3(signature = (taps = Vec::new()))]
    fn renew(&self, taps: Vec<PyRef<'_, AuditTap>>) -> PyResult<()> {
        let fresh = Arc::new(self.current().renewed(cores(&taps))?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }
}

impl AuditLog {
    fn current(&self) -> Arc<Log> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells what was noticed.
    fn tell(&self, py: Python<'_>, log: &Log) {
        if let Some(noticed) = &self.noticed {
            tell(py, noticed, log.noticed());
        }
    }

    fn put(&self, py: Python<'_>, event: &str, members: &[u8], when: When) -> PyResult<u64> {
        let current = self.current();
        let at = self.clock.get().unix();
        // Nothing is waited for, so the other threads have nothing to gain; and to get its turn back among them may take milliseconds.
        if let Some(done) = current.append_at_once(at, event, members, when) {
            return Ok(done?);
        }
        // A disk that is behind must not hold up the threads that write nothing.
        Ok(py.detach(|| current.append(at, event, members, when))?)
    }
}

/// Records how an answer ended, when it is called for the first time. It holds the exchange until then, which holds it.
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct AuditEnd {
    log: Py<AuditLog>,
    event: Py<PyString>,
    exchange: Mutex<Option<Py<PyAny>>>,
    failed: Py<PyAny>,
}

#[pymethods]
impl AuditEnd {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let Some(exchange) = self.taken() else { return Ok(()) };
        let exchange = exchange.bind(py);
        let outcome = exchange.getattr(intern!(py, "outcome"))?;
        if outcome.is_none() { Ok(()) } else { self.record(exchange, outcome.extract()?) }
    }
}

impl AuditEnd {
    /// As when it is called, by who knows how the answer ended.
    pub(super) fn ended(&self, py: Python<'_>, outcome: Outcome) -> PyResult<()> {
        self.taken().map_or(Ok(()), |exchange| self.record(exchange.bind(py), outcome))
    }

    fn taken(&self) -> Option<Py<PyAny>> {
        self.exchange.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn record(&self, exchange: &Bound<'_, PyAny>, outcome: Outcome) -> PyResult<()> {
        let py = exchange.py();
        let written = guarded(|| {
            let members = record::ending(exchange, outcome)?;
            let event = self.event.bind(py);
            self.log.get().put(py, &event.to_string_lossy(), &members, When::Soon).map(drop)
        });
        if let Err(error) = written {
            self.failed.call1(py, (error,))?;
        }
        Ok(())
    }
}

/// A bounded queue that gets each line of a log that it is given to: at most *lines*, of *size* bytes together. What comes when it is full is dropped and
/// counted. One of *checkpoints* gets these alone, and drops the oldest.
///
/// >>> AuditTap(8, 4096).take(8)
/// ([], 0)
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct AuditTap(Arc<Tap>);

#[pymethods]
impl AuditTap {
    #[new]
    #[pyo3(signature = (lines, size, *, checkpoints = false))]
    fn new(lines: usize, size: usize, checkpoints: bool) -> Self {
        Self(Arc::new(if checkpoints { Tap::of_checkpoints(lines) } else { Tap::new(lines, size) }))
    }

    /// How many lines were dropped so far.
    #[getter]
    fn dropped(&self) -> u64 {
        self.0.dropped()
    }

    /// The oldest lines, at most *most*, each with its line break, and how many were dropped since the last call.
    fn take<'py>(&self, py: Python<'py>, most: usize) -> (Vec<Bound<'py, PyBytes>>, u64) {
        let taken = self.0.take(most);
        (taken.lines.iter().map(|line| PyBytes::new(py, line)).collect(), taken.dropped)
    }
}

/// Calls `noticed` with each name. What it raises is nobody's to catch.
fn tell(py: Python<'_>, noticed: &Py<PyAny>, files: Vec<String>) {
    for file in files {
        if let Err(error) = noticed.call1(py, (file,)) {
            error.write_unraisable(py, None);
        }
    }
}

fn cores(taps: &[PyRef<'_, AuditTap>]) -> Vec<Arc<Tap>> {
    taps.iter().map(|tap| Arc::clone(&tap.0)).collect()
}

/// A new private key of this name, as text.
///
/// :raises ValueError: for a name that no key can have.
///
/// >>> audit_generate_key("api.example.com/audit").startswith("PRIVATE+KEY+api.example.com/audit+")
/// True
#[pyfunction]
pub fn audit_generate_key(name: &str) -> PyResult<String> {
    let text = Signer::generate(name).map_err(wrong)?.to_text();
    Ok(String::from_utf8_lossy(text.expose()).into_owned())
}

/// The public key of a private one, as text.
///
/// :raises ValueError: for what cannot be read.
#[pyfunction]
pub fn audit_public_key(key: &str) -> PyResult<String> {
    Ok(Signer::parse(key).map_err(wrong)?.verifier().to_text())
}

/// Whether the log in a directory was begun with this private key; so is none.
///
/// :raises ValueError: for what cannot be read.
/// :raises OSError: if the log cannot be read.
#[pyfunction]
pub fn audit_is_of(directory: PathBuf, key: &str) -> PyResult<bool> {
    Ok(audit::is_of(&directory, &Signer::parse(key).map_err(wrong)?)?)
}

/// Verifies a log by its private or its public key. *known* are notes of checkpoints that were kept elsewhere; *log* is which log it has to be.
///
/// A dict of ``log`` (which log it is, as the origin of its checkpoints says; None if its book does not say it), ``elsewhere`` (by log, how many of the notes are
/// of others, and were not held against it), ``records``, ``unsigned`` (how many of them no checkpoint covers), ``heads`` and ``heads_signed`` (lines of the book, and up to which a
/// checkpoint covers them), ``others``, ``writers`` (each a dict), ``faults`` (each ``(file, line, code, from, to)``, at most 1,000), ``more`` (how many faults
/// beside), ``unchecked`` (how many of the notes are of what was removed after its time) and ``refused`` (the places in *known* of the notes that this key
/// has not signed).
///
/// :raises ValueError: for a key that cannot be read.
/// :raises OSError: if there is no log, or it cannot be read.
#[pyfunction]
#[pyo3(signature = (directory, key, known = Vec::new(), log = None))]
pub fn audit_verify(
    py: Python<'_>,
    directory: PathBuf,
    key: &str,
    known: Vec<String>,
    log: Option<&str>,
) -> PyResult<Py<PyDict>> {
    guarded(|| {
        let mut verify = if key.trim_start().starts_with("PRIVATE+KEY+") {
            Verify::with(&Signer::parse(key).map_err(wrong)?)
        } else {
            Verify::public(Verifier::parse(key).map_err(wrong)?)
        };
        if let Some(log) = log {
            verify.of_log(log);
        }
        // One that is not ours must not keep the others from being held against the log.
        let refused: Vec<usize> =
            known.iter().enumerate().filter_map(|(at, note)| (!verify.known(note)).then_some(at)).collect();
        let found = told(py, &py.detach(|| verify.run(&directory))?)?;
        found.bind(py).set_item("refused", refused)?;
        Ok(found)
    })
}

fn told(py: Python<'_>, report: &Report) -> PyResult<Py<PyDict>> {
    let told = PyDict::new(py);
    told.set_item("log", &report.log)?;
    told.set_item("elsewhere", &report.elsewhere)?;
    told.set_item("records", report.records())?;
    told.set_item("unsigned", report.unsigned())?;
    told.set_item("heads", report.heads)?;
    told.set_item("heads_signed", report.heads_signed)?;
    told.set_item("others", &report.others)?;
    told.set_item("more", report.more)?;
    told.set_item("unchecked", report.unchecked)?;
    let writers = PyList::empty(py);
    for one in &report.writers {
        let writer = PyDict::new(py);
        writer.set_item("writer", &one.writer)?;
        writer.set_item("files", one.files)?;
        writer.set_item("records", one.records)?;
        writer.set_item("checkpoints", one.checkpoints)?;
        writer.set_item("signed", one.signed)?;
        writer.set_item("unsigned", one.unsigned)?;
        writer.set_item("torn", one.torn)?;
        let state = match one.state {
            State::Closed => "closed",
            State::Left => "left",
            State::Lost => "lost",
            State::Running => "running",
        };
        writer.set_item("state", state)?;
        writers.append(writer)?;
    }
    told.set_item("writers", writers)?;
    let faults = PyList::empty(py);
    for fault in &report.faults {
        let (from, to) = fault.kind.range();
        faults.append((&fault.file, fault.line, fault.kind.code(), from, to))?;
    }
    told.set_item("faults", faults)?;
    Ok(told.unbind())
}

/// The proof, as JSON, that record *seq* of *writer* was there when the log was next signed; None if there is none.
///
/// :raises ValueError: for a key that cannot be read.
/// :raises OSError: if the log cannot be read.
#[pyfunction]
pub fn audit_prove(
    py: Python<'_>,
    directory: PathBuf,
    writer: &str,
    seq: u64,
    key: &str,
) -> PyResult<Option<String>> {
    let verifier = Verifier::parse(key).map_err(wrong)?;
    guarded(|| {
        let proof = py.detach(|| audit::prove(&directory, writer, seq, &verifier))?;
        Ok(proof.map(|proof| proof.to_string()))
    })
}

/// The record that a proof shows, as JSON, with the log's name and its size then; None if the proof does not hold.
///
/// :raises ValueError: for a key that cannot be read.
#[pyfunction]
pub fn audit_check(proof: &str, key: &str) -> PyResult<Option<(String, String, u64)>> {
    let verifier = Verifier::parse(key).map_err(wrong)?;
    guarded(|| {
        let Ok(proof) = serde_json::from_str(proof) else { return Ok(None) };
        let shown = audit::check(&proof, &verifier);
        Ok(shown.map(|(record, point)| (record.to_string(), point.origin, point.size)))
    })
}

fn seconds(value: f64) -> PyResult<Duration> {
    // A century; and not less than a millisecond, or the thread would do nothing else.
    if (0.001..=3.2e9).contains(&value) {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err(PyValueError::new_err("an audit log's times are 0.001 to 3.2e9 seconds"))
    }
}

fn wrong(error: ConfigError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Smaller files would be all openings.
const LEAST_FILE: u64 = 1024;
/// Some 12,000 lines, which are read in a few milliseconds by whoever begins.
const BOOK_PAGE: u64 = 4 << 20;

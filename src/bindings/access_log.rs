//! The access log for Python: a line rendered, and a place where lines go.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use pyo3::exceptions::{PyOSError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString, PyTuple};

use super::clock::Clock;
use super::errors::guarded;
use super::redaction::Redactor;
use crate::redaction::{Access, Failure, Outlet, Sink, render};

/// Renders the access log: one line of JSON for each request, without secrets and on one line whatever the
/// client sent (CWE-117).
///
/// >>> line = AccessLine(Redactor(), Clock.manual(1_795_460_400.0))
/// >>> line.render("01J", "192.0.2.7", "GET", None, "/?token=abc", 404, 210, 17, None, [])
/// b'{"time":"2026-11-23T19:00:00.000000Z","request_id":"01J","client":"192.0.2.7","method":"GET","route":null,"target":"/?token=[REDACTED:TOKEN]","status":404,"us":210,"bytes":17,"principal":null,"codes":[],"complete":true}\n'
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct AccessLine {
    redactor: Py<Redactor>,
    clock: Py<Clock>,
}

#[pymethods]
impl AccessLine {
    #[new]
    fn new(redactor: Py<Redactor>, clock: Py<Clock>) -> Self {
        Self { redactor, clock }
    }

    /// The line for one request, with its line break, as UTF-8.
    ///
    /// Any contents are taken. Every text is redacted, then cut: *target* (path and query as they came) to 2048
    /// characters, the others to 512; of *codes*, the first 32 are shown. Lone surrogates become U+FFFD.
    /// Numbers beyond 64 bits become the largest of 64 bits. *micros* is the request's duration in microseconds,
    /// *size* the body's bytes, *complete* whether the answer was sent to its end.
    #[pyo3(signature = (request_id, client, method, route, target, status, micros, size, principal, codes, complete = true))]
    #[allow(clippy::too_many_arguments)] // The fields of a line, given once, by position: a dict would cost more than the line.
    fn render<'py>(
        &self,
        py: Python<'py>,
        request_id: &Bound<'py, PyString>,
        client: Option<&Bound<'py, PyString>>,
        method: &Bound<'py, PyString>,
        route: Option<&Bound<'py, PyString>>,
        target: &Bound<'py, PyString>,
        status: &Bound<'py, PyAny>,
        micros: &Bound<'py, PyAny>,
        size: Option<&Bound<'py, PyAny>>,
        principal: Option<&Bound<'py, PyString>>,
        codes: &Bound<'py, PyAny>,
        complete: bool,
    ) -> PyResult<Bound<'py, PyBytes>> {
        guarded(|| {
            let codes: Vec<Bound<'py, PyString>> = match codes.len()? {
                0 => Vec::new(),
                _ => codes.try_iter()?.map(|code| Ok(code?.cast_into()?)).collect::<PyResult<_>>()?,
            };
            let codes: Vec<Cow<'_, str>> = codes.iter().map(lossy).collect();
            let codes: Vec<&str> = codes.iter().map(AsRef::as_ref).collect();
            let (client, route, principal) = (client.map(lossy), route.map(lossy), principal.map(lossy));
            let access = Access {
                request_id: &lossy(request_id),
                client: client.as_deref(),
                method: &lossy(method),
                route: route.as_deref(),
                target: &lossy(target),
                status: whole(status)?,
                micros: whole(micros)?,
                size: size.map(whole).transpose()?,
                principal: principal.as_deref(),
                codes: &codes,
                complete,
            };
            let mut line = Vec::new();
            render(&mut line, &self.redactor.get().core, &access, self.clock.get().unix());
            Ok(PyBytes::new(py, &line))
        })
    }
}

/// What is told of a request, as Python has it.
pub(super) struct Record<'a, 'py> {
    /// The request's (PEP 3333).
    pub(super) environ: &'a Bound<'py, PyDict>,
    pub(super) request_id: &'a Bound<'py, PyString>,
    pub(super) route: Option<&'a Bound<'py, PyString>>,
    pub(super) status: i64,
    pub(super) micros: i64,
    pub(super) size: Option<i64>,
    pub(super) principal: Option<&'a Bound<'py, PyString>>,
    pub(super) codes: &'a Bound<'py, PyTuple>,
    pub(super) complete: bool,
}

/// Where requests go: gathered for *delay* seconds, redacted and rendered, written in order, appended whole.
///
/// *where* is ``"stdout"``, ``"stderr"`` (the process's own streams, not what ``sys.stderr`` was replaced by), or a
/// file's path. A file that was renamed or removed is begun anew. With a *delay* of 0, or when 64 KiB
/// are waiting, lines are written before the request ends.
///
/// :raises ValueError: unless *delay* is 0 to 60.
/// :raises OSError: if the file cannot be opened.
#[pyclass(frozen, module = "flask_rampart._native", weakref)]
pub struct AccessSink {
    current: RwLock<Arc<Sink>>,
    clock: Py<Clock>,
}

#[pymethods]
impl AccessSink {
    #[new]
    fn new(redactor: &Redactor, clock: Py<Clock>, r#where: PathBuf, delay: f64) -> PyResult<Self> {
        if !(0.0..=60.0).contains(&delay) {
            return Err(PyValueError::new_err("a delay is 0 to 60 seconds"));
        }
        let outlet = match r#where.to_str() {
            Some("stdout") => Outlet::Stdout,
            Some("stderr") => Outlet::Stderr,
            _ => Outlet::File(r#where),
        };
        let sink = Sink::new(Arc::clone(&redactor.core), outlet, Duration::from_secs_f64(delay))?;
        Ok(Self { current: RwLock::new(Arc::new(sink)), clock })
    }

    /// Starts the thread that writes, if it is not there. Without it, lines are written before the request ends.
    ///
    /// The thread has the caller's signal mask: block signals meanwhile, or it takes the process's.
    fn start(&self) {
        self.current().start();
    }

    /// Writes what waits, before it returns.
    ///
    /// :raises OSError: if lines could not be written since the last call.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let current = self.current();
        py.detach(|| current.flush()).map_err(told)
    }

    /// To be called in a process that was just forked off: what waits is the parent's to write.
    fn renew(&self) {
        let fresh = Arc::new(self.current().renewed());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
    }
}

impl AccessSink {
    /// Takes one request.
    ///
    /// # Errors
    /// `OSError` if lines could not be written since the last call; this one is taken all the same.
    pub(super) fn record(&self, py: Python<'_>, record: &Record<'_, '_>) -> PyResult<()> {
        let (current, is_due) = guarded(|| {
            let environ = record.environ;
            let client = text(environ, intern!(py, "REMOTE_ADDR"))?;
            let method = text(environ, intern!(py, "REQUEST_METHOD"))?;
            let mut target = String::new();
            for part in [intern!(py, "SCRIPT_NAME"), intern!(py, "PATH_INFO")] {
                // Paths come as bytes in latin-1 (PEP 3333), and are shown as they came.
                if let Some(part) = text(environ, part)? {
                    target.push_str(&lossy(&part));
                }
            }
            if let Some(query) = text(environ, intern!(py, "QUERY_STRING"))? {
                let query = lossy(&query);
                if !query.is_empty() {
                    target.push('?');
                    target.push_str(&query);
                }
            }
            let codes: Vec<Bound<'_, PyString>> =
                record.codes.iter().map(|code| Ok(code.cast_into()?)).collect::<PyResult<_>>()?;
            let codes: Vec<Cow<'_, str>> = codes.iter().map(lossy).collect();
            let codes: Vec<&str> = codes.iter().map(AsRef::as_ref).collect();
            let (client, method) = (client.as_ref().map(lossy), method.as_ref().map(lossy));
            let (route, principal) = (record.route.map(lossy), record.principal.map(lossy));
            let access = Access {
                request_id: &lossy(record.request_id),
                client: client.as_deref(),
                method: method.as_deref().unwrap_or_default(),
                route: route.as_deref(),
                target: &target,
                status: record.status,
                micros: record.micros,
                size: record.size,
                principal: principal.as_deref(),
                codes: &codes,
                complete: record.complete,
            };
            let current = self.current();
            let is_due = current.write(&access, self.clock.get().unix()).map_err(told)?;
            Ok((current, is_due))
        })?;
        if is_due { py.detach(|| current.flush()).map_err(told) } else { Ok(()) }
    }

    /// Whether [`start`](Self::start) is to be called.
    pub(super) fn needs_thread(&self) -> bool {
        self.current().needs_thread()
    }

    fn current(&self) -> Arc<Sink> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What is no text is left out: the server is at fault, and the line still tells the rest.
fn text<'py>(
    environ: &Bound<'py, PyDict>,
    name: &Bound<'py, PyString>,
) -> PyResult<Option<Bound<'py, PyString>>> {
    Ok(environ.get_item(name)?.and_then(|value| value.cast_into().ok()))
}

fn told(failure: Failure) -> PyErr {
    PyOSError::new_err(format!("{}; lines lost: {}", failure.error, failure.lost))
}

fn lossy<'a>(text: &'a Bound<'_, PyString>) -> Cow<'a, str> {
    text.to_str().map_or_else(|_| text.to_string_lossy(), Cow::Borrowed)
}

/// An integer, held to 64 bits.
fn whole(value: &Bound<'_, PyAny>) -> PyResult<i64> {
    value.extract().or_else(|error: PyErr| {
        if error.is_instance_of::<PyTypeError>(value.py()) {
            return Err(error);
        }
        Ok(if value.lt(0)? { i64::MIN } else { i64::MAX })
    })
}

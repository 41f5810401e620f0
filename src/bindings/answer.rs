//! An answer on its way out: the headers that it gets (`leaving`), and the line that is written when it has left.
//!
//! It is in Rust because every request passes it four times: as `start_response`, as the body's iterator
//! twice or more, and at the end. What it decides is decided elsewhere (`headers`, `redaction`).
//!
//! Python code runs while a method here does (the app's generator, the server's `start_response`) and may
//! call back into the same answer, so no lock is held across a call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyString, PyTuple};

use super::access_log::{AccessSink, Record};
use super::audit::AuditEnd;
use super::clock::Clock;
use super::cookies::PyCookiePolicy;
use super::headers::PyHeaderPolicy;
use super::metrics::MetricTable;
use super::monitor::Monitor;

mod ended;
mod leaving;

pub(super) use ended::{Ended, Told};

/// What all answers of an app have in common.
///
/// :param headers: added to each answer.
/// :param sink: where the access log goes, with *log*; None where there is none.
/// :param log: has ``say(exchange, status, micros, size, complete)``, for the stream that *own* is not in its place of,
///     ``start()``, which starts the sink's thread, and ``failed(error)``. None may raise.
/// :param cookies: what their cookies go through; None leaves them as they are.
/// :param draft: whether answers carry ``RateLimit`` and ``RateLimit-Policy``.
/// :param legacy: a clock, if answers carry ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (in seconds since 1970).
/// :param closed: called with the exchange and ``"nonce"`` or ``"personal"`` where an answer was to be shared by caches and
///     was closed to them. May not raise.
/// :param metrics: where each request is counted, when it has ended; None where nothing is.
/// :param monitor: told of each answer that has ended.
/// :param own: ``("stderr", stream)``: lines go to *sink* only while ``sys.stderr`` is that stream; None for a file.
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct Answers {
    headers: Py<PyHeaderPolicy>,
    cookies: Option<Py<PyCookiePolicy>>,
    log: Option<Log>,
    tells: Tells,
    closed: Option<Py<PyAny>>,
    metrics: Option<Py<MetricTable>>,
    monitor: Option<Py<Monitor>>,
    /// What :meth:`arrived` counts from.
    origin: Instant,
}

/// Which fields say what is left of a quota.
struct Tells {
    draft: bool,
    /// Told with the clock that ``X-RateLimit-Reset`` goes by.
    legacy: Option<Py<Clock>>,
}

struct Log {
    sink: Py<AccessSink>,
    log: Py<PyAny>,
    own: Option<(Py<PyString>, Py<PyAny>)>,
    sys: Py<PyModule>,
}

#[pymethods]
impl Answers {
    #[new]
    #[pyo3(signature = (headers, *, cookies=None, sink=None, log=None, own=None, draft=true, legacy=None, closed=None, metrics=None, monitor=None))]
    #[expect(clippy::too_many_arguments, reason = "each is given by its name")]
    fn new(
        py: Python<'_>,
        headers: Py<PyHeaderPolicy>,
        cookies: Option<Py<PyCookiePolicy>>,
        sink: Option<Py<AccessSink>>,
        log: Option<Py<PyAny>>,
        own: Option<(Py<PyString>, Py<PyAny>)>,
        draft: bool,
        legacy: Option<Py<Clock>>,
        closed: Option<Py<PyAny>>,
        metrics: Option<Py<MetricTable>>,
        monitor: Option<Py<Monitor>>,
    ) -> PyResult<Self> {
        let log = match (sink, log) {
            (Some(sink), Some(log)) => {
                Some(Log { sink, log, own, sys: py.import(intern!(py, "sys"))?.unbind() })
            }
            (None, None) => None,
            _ => return Err(PyValueError::new_err("sink and log are given together, or neither")),
        };
        let (tells, origin) = (Tells { draft, legacy }, Instant::now());
        Ok(Self { headers, cookies, log, tells, closed, metrics, monitor, origin })
    }

    /// This moment, for an :class:`Answer` that is made later.
    fn arrived(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    // The log knows its app, whose middleware holds this.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.headers)?;
        visit.call(&self.closed)?;
        visit.call(&self.monitor)?;
        visit.call(&self.cookies)?;
        visit.call(&self.metrics)?;
        if let Some(log) = &self.log {
            visit.call(&log.sink)?;
            visit.call(&log.log)?;
            visit.call(log.own.as_ref().map(|(_, own)| own))?;
        }
        Ok(())
    }
}

/// One answer: give it to the app as ``start_response``, then to the server as the body.
///
/// It adds the headers of the policy, ``X-Request-Id``, and ``RateLimit`` with ``RateLimit-Policy`` where limits were
/// asked; each kind only where the app set none of it. When the body is exhausted or closed, whichever comes first, the
/// access line is written, once.
///
/// :param exchange: the request's, with ``id``, ``environ``, ``route``, ``principal``, ``codes``, ``nonce``, ``headers``,
///     ``refusal``, ``limits``, ``sends``, ``crossing``, ``deliberate``, ``tried``; it gets ``has_begun`` and, for who waits at its end, ``outcome``.
/// :param start_response: the server's (PEP 3333).
/// :param arrived: when the request came, as ``answers.arrived()`` said; None for now.
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct Answer {
    answers: Py<Answers>,
    exchange: Py<PyAny>,
    environ: Py<PyDict>,
    id: Py<PyString>,
    start_response: Py<PyAny>,
    started: Instant,
    state: Mutex<State>,
}

struct State {
    status: i64,
    /// Bytes of the body so far; `None` where the server sends it without us.
    size: Option<i64>,
    /// Whether the server has got a chunk of the body, and sent the head with it.
    is_under_way: bool,
    has_ended: bool,
    /// The headers that the server was given.
    sent: Option<Py<PyList>>,
    body: Option<Py<PyAny>>,
    chunks: Option<Py<PyIterator>>,
}

/// How an answer came to its end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Complete,
    /// The app raised.
    Failed,
    /// The server asked for no more of it.
    Left,
}

#[pymethods]
impl Answer {
    #[new]
    #[pyo3(signature = (answers, exchange, start_response, arrived=None))]
    fn new(
        answers: Py<Answers>,
        exchange: &Bound<'_, PyAny>,
        start_response: Py<PyAny>,
        arrived: Option<u64>,
    ) -> PyResult<Self> {
        let py = exchange.py();
        let origin = answers.get().origin;
        let started = arrived.and_then(|nanos| origin.checked_add(Duration::from_nanos(nanos)));
        Ok(Self {
            answers,
            started: started.unwrap_or_else(Instant::now),
            environ: exchange.getattr(intern!(py, "environ"))?.cast_into()?.unbind(),
            id: exchange.getattr(intern!(py, "id"))?.cast_into()?.unbind(),
            exchange: exchange.clone().unbind(),
            start_response,
            state: Mutex::new(State {
                status: 0,
                size: Some(0),
                is_under_way: false,
                has_ended: false,
                sent: None,
                body: None,
                chunks: None,
            }),
        })
    }

    /// ``start_response`` (PEP 3333), with more headers. Returns a ``write`` that is the server's own.
    ///
    /// :raises ValueError: for a status line with a control character, which would begin a header or a second
    ///     answer (CWE-113), or with a character beyond Latin-1; for a status of the 1xx, after which a client takes the
    ///     body for the next answer, but for the 101 that a request with ``Upgrade`` asked for; and for headers that
    ///     cannot be sent.
    #[pyo3(signature = (status, headers, exc_info=None))]
    fn __call__<'py>(
        slf: &Bound<'py, Self>,
        status: &Bound<'py, PyString>,
        headers: &Bound<'py, PyList>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Writer> {
        let (py, this) = (slf.py(), slf.get());
        let plain = |line: &&str| !line.contains(|c: char| c.is_control() || c > '\u{ff}');
        let Some(line) = status.to_str().ok().filter(plain) else {
            return Err(PyValueError::new_err(
                "the status line has a control character, or one beyond Latin-1",
            ));
        };
        let code = code(line);
        if (100..200).contains(&code)
            && !(code == 101 && this.environ.bind(py).contains(intern!(py, "HTTP_UPGRADE"))?)
        {
            return Err(PyValueError::new_err("a status of the 1xx is no answer (RFC 9110 section 15.2)"));
        }
        // A subclass may say something else when a server formats it: what was judged is what is sent.
        let judged;
        let status = if status.is_exact_instance_of::<PyString>() {
            status
        } else {
            judged = PyString::new(py, line);
            &judged
        };
        this.tell(py, code);
        let sent = this.headers(py, code, headers)?;
        let start_response = this.start_response.bind(py);
        let write = match exc_info {
            None => start_response.call1((status, &sent)),
            Some(exc_info) => start_response.call1((status, &sent, exc_info)),
        }?;
        // Not before: what the server did not take was not sent.
        let mut state = this.state();
        state.status = code;
        let before = state.sent.replace(sent.unbind());
        drop(state);
        drop(before);
        this.exchange.bind(py).setattr(intern!(py, "has_begun"), true)?;
        Ok(Writer { answer: slf.clone().unbind(), write: write.unbind() })
    }

    /// Takes the body that the app returned. Returns itself, which the server iterates.
    fn of<'py>(slf: Bound<'py, Self>, body: Bound<'py, PyAny>) -> PyResult<Bound<'py, Self>> {
        let chunks = body.try_iter()?.unbind();
        {
            let mut state = slf.get().state();
            state.body = Some(body.unbind());
            state.chunks = Some(chunks);
        }
        Ok(slf)
    }

    /// Notes the end, once: writes the access line. Without a status, or without a first chunk, an answer that is not complete has
    /// 500 by now.
    ///
    /// :param complete: whether all of it was sent.
    /// :param size: bytes of the body, -1 if they are not known; None leaves what was counted.
    #[pyo3(signature = (complete, size=None))]
    fn end(&self, py: Python<'_>, complete: bool, size: Option<i64>) {
        self.finish(py, if complete { End::Complete } else { End::Failed }, size);
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let chunks = self.state().chunks.as_ref().map(|chunks| chunks.clone_ref(py));
        let Some(chunks) = chunks else { return Ok(None) };
        match chunks.into_bound(py).next() {
            Some(Ok(chunk)) => {
                self.passed(&chunk);
                Ok(Some(chunk))
            }
            None => {
                self.finish(py, End::Complete, None);
                Ok(None)
            }
            Some(Err(error)) => {
                self.finish(py, End::Failed, None);
                Err(error)
            }
        }
    }

    /// Called by the server when it is done, or when the client has gone (PEP 3333).
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let body = {
            let mut state = self.state();
            state.chunks = None;
            state.body.take()
        };
        let closed = match &body {
            Some(body) => close(body.bind(py)),
            None => Ok(()),
        };
        // A HEAD answer is never read, and is complete all the same.
        let is_complete = is_head(self.environ.bind(py));
        self.finish(py, if is_complete { End::Complete } else { End::Left }, None);
        closed
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.exchange)?;
        visit.call(&self.environ)?;
        visit.call(&self.start_response)?;
        // Whoever holds the lock is at work, and not garbage.
        if let Ok(state) = self.state.try_lock() {
            visit.call(&state.body)?;
            visit.call(&state.sent)?;
            visit.call(&state.chunks)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let mut state = self.state();
        let taken = (state.body.take(), state.chunks.take(), state.sent.take());
        drop(state);
        drop(taken);
    }
}

/// The server's ``write`` (PEP 3333): what goes through it is part of the answer.
#[pyclass(frozen, module = "flask_rampart._native")]
struct Writer {
    answer: Py<Answer>,
    write: Py<PyAny>,
}

#[pymethods]
impl Writer {
    fn __call__<'py>(&self, chunk: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        self.answer.get().passed(chunk);
        self.write.bind(chunk.py()).call1((chunk,))
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.answer)?;
        visit.call(&self.write)
    }
}

impl Answer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a chunk of the body that goes to the server.
    fn passed(&self, chunk: &Bound<'_, PyAny>) {
        let length = chunk.len().map_or(0, |length| i64::try_from(length).unwrap_or(i64::MAX));
        let mut state = self.state();
        state.size = state.size.map(|size| size.saturating_add(length));
        // Also of an empty chunk: most servers send the head with the first, however long it is.
        let is_first = !std::mem::replace(&mut state.is_under_way, true);
        let status = state.status;
        drop(state);
        if is_first {
            self.leave(chunk.py(), status);
        }
    }

    /// Ends it, once: tells who waits for that, counts it, and writes its line.
    fn finish(&self, py: Python<'_>, end: End, size: Option<i64>) {
        let complete = end == End::Complete;
        let (status, size, is_under_way, sent, has_failed) = {
            let mut state = self.state();
            if state.has_ended {
                return;
            }
            state.has_ended = true;
            // A server sends the head with the first chunk (PEP 3333): what fails before it is answered 500 by the server.
            let has_failed = (state.status == 0 && !complete) || (end == End::Failed && !state.is_under_way);
            if has_failed {
                state.status = 500;
            }
            match size {
                Some(-1) => state.size = None,
                Some(size) => state.size = Some(size),
                None => {}
            }
            (state.status, state.size, state.is_under_way, state.sent.take(), has_failed)
        };
        if has_failed {
            self.tell(py, status);
        }
        if !is_under_way {
            self.leave(py, status);
        }
        // Once, for all who are told: to ask what time it is costs more than what is done with it.
        let took = self.started.elapsed();
        self.release(py, status, size, complete, took);
        let answers = self.answers.get();
        if answers.metrics.is_none() && answers.monitor.is_none() && answers.log.is_none() {
            return;
        }
        let (exchange, environ) = (self.exchange.bind(py), self.environ.bind(py));
        let told = match Told::of(exchange) {
            Ok(told) => told,
            Err(error) => return self.failed(py, error),
        };
        let mut now = None;
        if let Some(metrics) = &answers.metrics {
            let aborted = end == End::Left || (end == End::Failed && is_under_way);
            let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
            match metrics.get().count(exchange, environ, &told, status, micros, aborted) {
                Ok(counted) => now = Some(counted),
                Err(error) => error.write_unraisable(py, None),
            }
        }
        if let Some(monitor) = &answers.monitor {
            // What the server sends itself is as long as the app said that it is.
            let size = size.or_else(|| if is_head(environ) { None } else { declared(sent?.bind(py)) });
            let ended = Ended { exchange, environ, id: self.id.bind(py), status, size, now };
            monitor.get().observe(&ended, &told);
        }
        if let Some(log) = &answers.log
            && let Err(error) = self.log(py, log, &told, status, size, complete, took)
        {
            self.failed(py, error);
        }
    }

    /// Tells that the end of an answer could not be told.
    fn failed(&self, py: Python<'_>, error: PyErr) {
        let Some(log) = &self.answers.get().log else { return error.write_unraisable(py, None) };
        let told = log.log.bind(py).call_method1(intern!(py, "failed"), (error.into_value(py),));
        if let Err(error) = told {
            error.write_unraisable(py, None);
        }
    }

    /// Tells whoever waits for the status, before anybody else learns of it: what counts failures is settled by then.
    fn tell(&self, py: Python<'_>, status: i64) {
        let waiting = self.exchange.bind(py).getattr(intern!(py, "at_status"));
        self.call_all(waiting, status);
    }

    /// Tells whoever waits for the status that the client gets: once, when it can be no other any more.
    fn leave(&self, py: Python<'_>, status: i64) {
        let waiting = self.exchange.bind(py).getattr(intern!(py, "at_leaving"));
        self.call_all(waiting, status);
    }

    /// Ends what lasts as long as the answer, and says how it ended to who waits for that.
    fn release(&self, py: Python<'_>, status: i64, size: Option<i64>, complete: bool, took: Duration) {
        let exchange = self.exchange.bind(py);
        let Ok(waiting) = exchange.getattr(intern!(py, "at_end")) else { return };
        let Ok(waiting) = waiting.cast_into::<PyTuple>() else { return };
        if waiting.is_empty() {
            return;
        }
        let outcome = (status, size, complete, i64::try_from(took.as_micros()).unwrap_or(i64::MAX));
        let mut is_said = false;
        for function in &waiting {
            let called = match function.cast::<AuditEnd>() {
                // It is told, and need not ask.
                Ok(end) => end.get().ended(py, outcome),
                Err(_) => {
                    let said =
                        if is_said { Ok(()) } else { exchange.setattr(intern!(py, "outcome"), outcome) };
                    is_said = true;
                    let called = function.call0().map(drop);
                    said.and(called)
                }
            };
            if let Err(error) = called {
                // The answer is on its way.
                error.write_unraisable(py, Some(&function));
            }
        }
    }

    fn call_all(&self, waiting: PyResult<Bound<'_, PyAny>>, status: i64) {
        let Ok(waiting) = waiting.and_then(|waiting| Ok(waiting.cast_into::<PyTuple>()?)) else { return };
        for function in &waiting {
            if let Err(error) = function.call1((status,)) {
                // The answer is on its way; what was charged stays charged.
                error.write_unraisable(waiting.py(), Some(&function));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what an answer was, told once")]
    fn log(
        &self,
        py: Python<'_>,
        log: &Log,
        told: &Told<'_>,
        status: i64,
        size: Option<i64>,
        complete: bool,
        took: Duration,
    ) -> PyResult<()> {
        let exchange = self.exchange.bind(py);
        let micros = i64::try_from(took.as_micros()).unwrap_or(i64::MAX);
        if let Some((name, own)) = &log.own
            && !log.sys.bind(py).getattr(name.bind(py)).is_ok_and(|stream| stream.is(own))
        {
            let given = (exchange, status, micros, size, complete);
            return log.log.bind(py).call_method1(intern!(py, "say"), given).map(drop);
        }
        if log.sink.get().needs_thread() {
            log.log.bind(py).call_method0(intern!(py, "start"))?;
        }
        let principal = match &told.principal {
            Some(principal) => Some(principal.getattr(intern!(py, "id"))?),
            None => None,
        };
        log.sink.get().record(
            py,
            &Record {
                environ: self.environ.bind(py),
                request_id: self.id.bind(py),
                route: told.route.as_ref(),
                status,
                micros,
                size,
                principal: principal.as_ref().and_then(|id| id.cast().ok()),
                codes: &told.codes,
                complete,
            },
        )
    }
}

fn close(body: &Bound<'_, PyAny>) -> PyResult<()> {
    match body.getattr_opt(intern!(body.py(), "close"))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}

fn is_head(environ: &Bound<'_, PyDict>) -> bool {
    let method = environ.get_item(intern!(environ.py(), "REQUEST_METHOD"));
    method.ok().flatten().is_some_and(|method| method.eq("HEAD").unwrap_or(false))
}

/// What `Content-Length` says.
fn declared(sent: &Bound<'_, PyList>) -> Option<i64> {
    sent.iter().find_map(|field| {
        let (name, value): (String, String) = field.extract().ok()?;
        if name.eq_ignore_ascii_case("Content-Length") { value.trim().parse().ok() } else { None }
    })
}

/// What is no status at all, which is for the server to judge, is 0.
fn code(status: &str) -> i64 {
    match status.as_bytes().first_chunk::<3>() {
        Some(digits) if digits.iter().all(u8::is_ascii_digit) => {
            digits.iter().fold(0, |code, digit| code * 10 + i64::from(digit - b'0'))
        }
        _ => 0,
    }
}

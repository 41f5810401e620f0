//! An answer on its way out: the headers that it gets, and the line that is written when it has left.
//!
//! It is in Rust because every request passes it four times: as `start_response`, as the body's iterator
//! twice or more, and at the end. What it decides is decided elsewhere (`headers`, `redaction`).
//!
//! Python code runs while a method here does (the app's generator, the server's `start_response`) and may
//! call back into the same answer, so no lock is held across a call.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyIterator, PyList, PyString, PyTuple};

use super::access_log::{AccessSink, Record};
use super::clock::Clock;
use super::cookies::{PyCookiePolicy, is_cookie};
use super::headers::{Own, PyHeaderPolicy};
use super::limits::Verdict;
use crate::headers::{Reason, may_be_pinned, may_be_sent, varies_by_cookie};

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
/// :param own: ``("stderr", stream)``: lines go to *sink* only while ``sys.stderr`` is that stream; None for a file.
#[pyclass(frozen, module = "flask_rampart._native")]
pub struct Answers {
    headers: Py<PyHeaderPolicy>,
    cookies: Option<Py<PyCookiePolicy>>,
    log: Option<Log>,
    tells: Tells,
    closed: Option<Py<PyAny>>,
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
    #[pyo3(signature = (headers, *, cookies=None, sink=None, log=None, own=None, draft=true, legacy=None, closed=None))]
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
    ) -> PyResult<Self> {
        let log = match (sink, log) {
            (Some(sink), Some(log)) => {
                Some(Log { sink, log, own, sys: py.import(intern!(py, "sys"))?.unbind() })
            }
            (None, None) => None,
            _ => return Err(PyValueError::new_err("sink and log are given together, or neither")),
        };
        Ok(Self { headers, cookies, log, tells: Tells { draft, legacy }, closed })
    }

    // The log knows its app, whose middleware holds this.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.headers)?;
        visit.call(&self.closed)?;
        visit.call(&self.cookies)?;
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
///     ``refusal``, ``limits``, ``sends``, ``crossing``; it gets ``has_begun``.
/// :param start_response: the server's (PEP 3333).
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
    has_ended: bool,
    body: Option<Py<PyAny>>,
    chunks: Option<Py<PyIterator>>,
}

#[pymethods]
impl Answer {
    #[new]
    fn new(answers: Py<Answers>, exchange: &Bound<'_, PyAny>, start_response: Py<PyAny>) -> PyResult<Self> {
        let py = exchange.py();
        Ok(Self {
            answers,
            environ: exchange.getattr(intern!(py, "environ"))?.cast_into()?.unbind(),
            id: exchange.getattr(intern!(py, "id"))?.cast_into()?.unbind(),
            exchange: exchange.clone().unbind(),
            start_response,
            started: Instant::now(),
            state: Mutex::new(State { status: 0, size: Some(0), has_ended: false, body: None, chunks: None }),
        })
    }

    /// ``start_response`` (PEP 3333), with more headers. Returns what the server's own returns.
    ///
    /// :raises ValueError: for a status line with a control character, which would begin a header or a second
    ///     answer (CWE-113), or with a character beyond Latin-1; for a status of the 1xx, after which a client takes the
    ///     body for the next answer, but for the 101 that a request with ``Upgrade`` asked for; and for headers that
    ///     cannot be sent.
    #[pyo3(signature = (status, headers, exc_info=None))]
    fn __call__<'py>(
        &self,
        py: Python<'py>,
        status: &Bound<'py, PyString>,
        headers: &Bound<'py, PyList>,
        exc_info: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let plain = |line: &&str| !line.contains(|c: char| c.is_control() || c > '\u{ff}');
        let Some(line) = status.to_str().ok().filter(plain) else {
            return Err(PyValueError::new_err(
                "the status line has a control character, or one beyond Latin-1",
            ));
        };
        let code = code(line);
        if (100..200).contains(&code)
            && !(code == 101 && self.environ.bind(py).contains(intern!(py, "HTTP_UPGRADE"))?)
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
        self.tell(py, code);
        let sent = self.headers(py, code, headers)?;
        let start_response = self.start_response.bind(py);
        let write = match exc_info {
            None => start_response.call1((status, sent)),
            Some(exc_info) => start_response.call1((status, sent, exc_info)),
        }?;
        // Not before: what the server did not take was not sent.
        self.state().status = code;
        self.exchange.bind(py).setattr(intern!(py, "has_begun"), true)?;
        Ok(write)
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

    /// Notes the end, once: writes the access line. Without a status, the answer has 500 by now.
    ///
    /// :param complete: whether all of it was sent.
    /// :param size: bytes of the body, -1 if they are not known; None leaves what was counted.
    #[pyo3(signature = (complete, size=None))]
    fn end(&self, py: Python<'_>, complete: bool, size: Option<i64>) {
        let (status, size) = {
            let mut state = self.state();
            if state.has_ended {
                return;
            }
            state.has_ended = true;
            if state.status == 0 && !complete {
                state.status = 500;
            }
            match size {
                Some(-1) => state.size = None,
                Some(size) => state.size = Some(size),
                None => {}
            }
            (state.status, state.size)
        };
        self.release(py);
        let answers = self.answers.get();
        let Some(log) = &answers.log else { return };
        if let Err(error) = self.log(py, log, status, size, complete) {
            let told = log.log.bind(py).call_method1(intern!(py, "failed"), (error.into_value(py),));
            if let Err(error) = told {
                error.write_unraisable(py, None);
            }
        }
    }

    fn __iter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let chunks = self.state().chunks.as_ref().map(|chunks| chunks.clone_ref(py));
        let Some(chunks) = chunks else { return Ok(None) };
        match chunks.into_bound(py).next() {
            Some(Ok(chunk)) => {
                let length = chunk.len().map_or(0, |length| i64::try_from(length).unwrap_or(i64::MAX));
                let mut state = self.state();
                state.size = state.size.map(|size| size.saturating_add(length));
                drop(state);
                Ok(Some(chunk))
            }
            None => {
                self.end(py, true, None);
                Ok(None)
            }
            Some(Err(error)) => {
                self.end(py, false, None);
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
        let method = self.environ.bind(py).get_item(intern!(py, "REQUEST_METHOD"));
        let is_head = method.ok().flatten().is_some_and(|method| method.eq("HEAD").unwrap_or(false));
        self.end(py, is_head, None);
        closed
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.exchange)?;
        visit.call(&self.environ)?;
        visit.call(&self.start_response)?;
        // Whoever holds the lock is at work, and not garbage.
        if let Ok(state) = self.state.try_lock() {
            visit.call(&state.body)?;
            visit.call(&state.chunks)?;
        }
        Ok(())
    }

    fn __clear__(&self) {
        let mut state = self.state();
        let taken = (state.body.take(), state.chunks.take());
        drop(state);
        drop(taken);
    }
}

impl Answer {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell_limits(
        &self,
        py: Python<'_>,
        sent: &Bound<'_, PyList>,
        verdict: &Verdict,
        policy: Bound<'_, PyAny>,
        own: &Own,
    ) -> PyResult<()> {
        let tells = &self.answers.get().tells;
        if tells.draft && !own.rate_limit {
            sent.append((intern!(py, "RateLimit"), verdict.fields(py)))?;
            sent.append((intern!(py, "RateLimit-Policy"), policy))?;
        }
        if let Some(clock) = tells.legacy.as_ref().filter(|_| !own.legacy_limit) {
            let reset = clock.get().unix().0.max(0.0) as u64 + verdict.reset();
            sent.append((intern!(py, "X-RateLimit-Limit"), verdict.limit().to_string()))?;
            sent.append((intern!(py, "X-RateLimit-Remaining"), verdict.remaining().to_string()))?;
            sent.append((intern!(py, "X-RateLimit-Reset"), reset.to_string()))?;
        }
        Ok(())
    }

    /// Tells whoever waits for the status, before anybody else learns of it: what counts failures is settled by then.
    fn tell(&self, py: Python<'_>, status: i64) {
        let waiting = self.exchange.bind(py).getattr(intern!(py, "at_status"));
        self.call_all(waiting, Some(status));
    }

    /// Ends what lasts as long as the answer.
    fn release(&self, py: Python<'_>) {
        let waiting = self.exchange.bind(py).getattr(intern!(py, "at_end"));
        self.call_all(waiting, None);
    }

    fn call_all(&self, waiting: PyResult<Bound<'_, PyAny>>, status: Option<i64>) {
        let Ok(waiting) = waiting.and_then(|waiting| Ok(waiting.cast_into::<PyTuple>()?)) else { return };
        for function in &waiting {
            let called = match status {
                Some(status) => function.call1((status,)),
                None => function.call0(),
            };
            if let Err(error) = called {
                // The answer is on its way; what was charged stays charged.
                error.write_unraisable(waiting.py(), Some(&function));
            }
        }
    }

    fn headers<'py>(
        &self,
        py: Python<'py>,
        code: i64,
        headers: &Bound<'py, PyList>,
    ) -> PyResult<Bound<'py, PyList>> {
        let exchange = self.exchange.bind(py);
        let tls = self.environ.bind(py).get_item(intern!(py, "wsgi.url_scheme"))?;
        let tls = tls.is_some_and(|scheme| scheme.eq(intern!(py, "https")).unwrap_or(false));
        // First: a function that decides a value may ask for the nonce.
        let route = self.policy_of_route(exchange, code)?;
        let nonce = exchange.getattr(intern!(py, "nonce"))?;
        let nonce: Option<&str> = if nonce.is_none() { None } else { Some(nonce.extract()?) };
        let policy = route.as_ref().unwrap_or_else(|| self.answers.get().headers.bind(py)).get();
        // A 304's headers replace those of the stored page (RFC 9111 section 3.2), whose nonce must stay.
        let (sent, own) = policy.applied(py, headers, tls, nonce, code == 304)?;
        if !exchange.getattr(intern!(py, "crossing"))?.is_none() {
            drop_crossing(&sent)?;
        }
        let mut sets_cookie = own.cookie;
        let more = exchange.getattr(intern!(py, "sends"))?.cast_into::<PyTuple>()?;
        if !more.is_empty() {
            sets_cookie |= add(&sent, &more)?;
        }
        if sets_cookie && let Some(cookies) = &self.answers.get().cookies {
            cookies.get().apply(py, &sent, tls, self.environ.bind(py))?;
        }
        if tls && self.names_unpinned_host(py)? {
            unpin(&sent)?;
        }
        // After all that may set a cookie.
        self.close_to_caches(exchange, policy, &sent, &own, code, nonce.is_some())?;
        if !own.request_id {
            sent.append((intern!(py, "X-Request-Id"), self.id.bind(py)))?;
        }
        if !(own.rate_limit && own.legacy_limit) {
            let limits = exchange.getattr(intern!(py, "limits"))?.cast_into::<PyTuple>()?;
            // The phase that refused is what the client should go by, else the one that has the least left.
            let mut tightest: Option<(Bound<'py, Verdict>, Bound<'py, PyAny>)> = None;
            for said in limits.iter() {
                let said = said.cast_into::<PyTuple>()?;
                let verdict = said.get_item(0)?.cast_into::<Verdict>()?;
                let rank = |verdict: &Verdict| (verdict.admitted(), verdict.remaining());
                let least = tightest.as_ref().map(|(least, _)| rank(least.get()));
                if least.is_none_or(|least| rank(verdict.get()) < least) {
                    tightest = Some((verdict, said.get_item(1)?));
                }
            }
            if let Some((verdict, policy)) = tightest {
                self.tell_limits(py, &sent, verdict.get(), policy, &own)?;
            }
        }
        Ok(sent)
    }

    /// Whether the request names a host that must not be pinned to TLS.
    fn names_unpinned_host(&self, py: Python<'_>) -> PyResult<bool> {
        let host = self.environ.bind(py).get_item(intern!(py, "HTTP_HOST"))?;
        let host = host.as_ref().and_then(|host| host.cast::<PyString>().ok());
        Ok(host.is_some_and(|host| !host.to_str().is_ok_and(may_be_pinned)))
    }

    /// The policy of the view that answers; `None` where the app's holds.
    fn policy_of_route<'py>(
        &self,
        exchange: &Bound<'py, PyAny>,
        code: i64,
    ) -> PyResult<Option<Bound<'py, PyHeaderPolicy>>> {
        let py = exchange.py();
        let route = exchange.getattr(intern!(py, "headers"))?;
        // What a view that failed would have allowed, its error page does not need.
        if route.is_none() || code == 500 {
            return Ok(None);
        }
        let route = match route.cast_into::<PyHeaderPolicy>() {
            Ok(policy) => return Ok(Some(policy)),
            Err(other) => other.into_inner(),
        };
        // Some of it is decided for this request.
        let chosen = route.call1((exchange,)).and_then(|chosen| Ok(chosen.cast_into::<PyHeaderPolicy>()?));
        match chosen {
            Ok(policy) => Ok(Some(policy)),
            Err(error) => {
                error.write_unraisable(py, Some(&route));
                Ok(None)
            }
        }
    }

    /// Closes an answer to shared caches where it is one reader's: see `headers::caching`.
    fn close_to_caches(
        &self,
        exchange: &Bound<'_, PyAny>,
        policy: &PyHeaderPolicy,
        sent: &Bound<'_, PyList>,
        own: &Own,
        code: i64,
        asked: bool,
    ) -> PyResult<()> {
        let py = exchange.py();
        let is_shared = own.sharing.is_too_wide(Reason::Once);
        if !is_shared && let Some(made) = &own.nonce {
            // For a template that asks once the answer has begun. Not where others may keep the page.
            exchange.setattr(intern!(py, "nonce"), made)?;
        }
        if code >= 400 && own.kept_by_policy {
            // What a place says of what it serves is not said of the errors there.
            return policy.close(sent, Reason::Once);
        }
        if !is_shared {
            return Ok(());
        }
        if asked {
            policy.close(sent, Reason::Once)?;
            self.tell_closed(exchange, "nonce");
        } else if code == 500 || !exchange.getattr(intern!(py, "refusal"))?.is_none() {
            policy.close(sent, Reason::Once)?;
        } else if own.sharing.is_too_wide(Reason::Personal) && self.is_personal(exchange, sent)? {
            policy.close(sent, Reason::Personal)?;
            self.tell_closed(exchange, "personal");
        }
        Ok(())
    }

    fn is_personal(&self, exchange: &Bound<'_, PyAny>, sent: &Bound<'_, PyList>) -> PyResult<bool> {
        let py = exchange.py();
        let environ = self.environ.bind(py);
        if !exchange.getattr(intern!(py, "principal"))?.is_none()
            || environ.contains(intern!(py, "HTTP_AUTHORIZATION"))?
        {
            return Ok(true);
        }
        let came = environ.contains(intern!(py, "HTTP_COOKIE"))?;
        for field in sent {
            let (name, value): (String, String) = field.extract()?;
            if name.eq_ignore_ascii_case("Set-Cookie")
                || (came && name.eq_ignore_ascii_case("Vary") && varies_by_cookie(&value))
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn tell_closed(&self, exchange: &Bound<'_, PyAny>, why: &str) {
        let py = exchange.py();
        let Some(closed) = &self.answers.get().closed else { return };
        if let Err(error) = closed.call1(py, (exchange, why)) {
            error.write_unraisable(py, Some(exchange));
        }
    }

    fn log(&self, py: Python<'_>, log: &Log, status: i64, size: Option<i64>, complete: bool) -> PyResult<()> {
        let exchange = self.exchange.bind(py);
        let micros = i64::try_from(self.started.elapsed().as_micros()).unwrap_or(i64::MAX);
        if let Some((name, own)) = &log.own
            && !log.sys.bind(py).getattr(name.bind(py)).is_ok_and(|stream| stream.is(own))
        {
            let given = (exchange, status, micros, size, complete);
            return log.log.bind(py).call_method1(intern!(py, "say"), given).map(drop);
        }
        if log.sink.get().needs_thread() {
            log.log.bind(py).call_method0(intern!(py, "start"))?;
        }
        let route = exchange.getattr(intern!(py, "route"))?;
        let principal = exchange.getattr(intern!(py, "principal"))?;
        let principal = if principal.is_none() { principal } else { principal.getattr(intern!(py, "id"))? };
        let codes = exchange.getattr(intern!(py, "codes"))?.cast_into()?;
        log.sink.get().record(
            py,
            &Record {
                environ: self.environ.bind(py),
                request_id: self.id.bind(py),
                route: route.cast().ok(),
                status,
                micros,
                size,
                principal: principal.cast().ok(),
                codes: &codes,
                complete,
            },
        )
    }
}

/// Drops what the app says by itself of who may read it from elsewhere: two that say so are one that is wrong.
fn drop_crossing(sent: &Bound<'_, PyList>) -> PyResult<()> {
    const OURS: &str = "access-control-";
    for index in (0..sent.len()).rev() {
        let (name, _): (Bound<'_, PyString>, Bound<'_, PyAny>) = sent.get_item(index)?.extract()?;
        let name = name.to_str()?;
        if name.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS)) {
            sent.del_item(index)?;
        }
    }
    Ok(())
}

/// Adds the fields of *more* whose names are not among *sent*; those of `Vary` and `Set-Cookie` always. Whether a
/// cookie is set.
fn add(sent: &Bound<'_, PyList>, more: &Bound<'_, PyTuple>) -> PyResult<bool> {
    let given = sent.len();
    let mut sets_cookie = false;
    for field in more {
        let (name, value): (String, String) = field.extract()?;
        if !may_be_sent(&name, &value) {
            return Err(PyValueError::new_err(
                "a header of our own has a character that would split the answer",
            ));
        }
        let mut is_there = false;
        let cookie = is_cookie(&name);
        let repeats = cookie || name.eq_ignore_ascii_case("vary");
        for index in 0..if repeats { 0 } else { given } {
            let (known, _): (Bound<'_, PyString>, Bound<'_, PyAny>) = sent.get_item(index)?.extract()?;
            is_there |= known.to_str()?.eq_ignore_ascii_case(&name);
        }
        if !is_there {
            sent.append(field)?;
            sets_cookie |= cookie;
        }
    }
    Ok(sets_cookie)
}

/// Takes `Strict-Transport-Security` out, whoever set it.
fn unpin(sent: &Bound<'_, PyList>) -> PyResult<()> {
    for index in (0..sent.len()).rev() {
        let (name, _): (Bound<'_, PyString>, Bound<'_, PyAny>) = sent.get_item(index)?.extract()?;
        if name.to_str()?.eq_ignore_ascii_case("Strict-Transport-Security") {
            sent.del_item(index)?;
        }
    }
    Ok(())
}

fn close(body: &Bound<'_, PyAny>) -> PyResult<()> {
    match body.getattr_opt(intern!(body.py(), "close"))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
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

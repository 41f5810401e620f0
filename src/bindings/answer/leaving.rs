//! The headers of an answer on its way out: which policy holds, what rooms add, and who may keep it.
//!
//! In this order: the policy of the view, or the app's; what others decided for this answer (`sends`), each unless it is
//! there; cookies; no pin for a host that must not have one; caches, after all that may set a cookie; the request's id;
//! the limit that has the least left.

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};

use super::super::cookies::is_cookie;
use super::super::headers::{Own, PyHeaderPolicy};
use super::super::limits::Verdict;
use super::Answer;
use crate::headers::{Reason, may_be_pinned, may_be_sent, varies_by_cookie};

impl Answer {
    /// The headers that the app gave, and what is added to them.
    pub(super) fn headers<'py>(
        &self,
        py: Python<'py>,
        code: i64,
        headers: &Bound<'py, PyList>,
    ) -> PyResult<Bound<'py, PyList>> {
        let exchange = self.exchange.bind(py);
        let tls = self.environ.bind(py).get_item(intern!(py, "wsgi.url_scheme"))?;
        let tls = tls.and_then(|scheme| scheme.extract::<String>().ok());
        let tls = matches!(tls.as_deref(), Some("https" | "wss"));
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
                let policy = said.get_item(1)?;
                if policy.is_none() {
                    continue; // to be counted, and told to nobody
                }
                let verdict = said.get_item(0)?.cast_into::<Verdict>()?;
                let rank = |verdict: &Verdict| (verdict.admitted(), verdict.remaining());
                let least = tightest.as_ref().map(|(least, _)| rank(least.get()));
                if least.is_none_or(|least| rank(verdict.get()) < least) {
                    tightest = Some((verdict, policy));
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

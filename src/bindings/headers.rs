//! Headers, for Python: tuples made once, joined to an application's list by reference.

use pyo3::exceptions::{PyRuntimeError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString, PyTuple};
use ring::rand::SystemRandom;

use self::given::{directives, features, replacements, strings};
use super::errors::guarded;
use crate::headers::{
    Answer, HeaderPolicy, Line, Nonce, NonceError, Options, Profile, Reason, Refusal, Reporting, Seen,
    Sharing, Template, Verdict, closed,
};

mod given;

/// The headers that leave with an application's responses, computed once and immutable.
///
/// :param profile: ``"api"``, ``"html"``, or ``"mixed"``: pages and data told apart by ``Content-Type``.
/// :param csp: directives instead of the profile's Content-Security-Policy (instead of the pages'
///     policy where the profile is ``"mixed"``). A name to a string of sources, a list of sources,
///     ``True`` for a directive without value, or ``None`` or ``False`` to leave it out. ``script_src``
///     is read as ``script-src``. The source ``"'nonce'"`` becomes the response's own nonce. It
///     replaces the whole policy: nothing is added to what is written.
/// :param overrides: a header's name to another value, or to ``None`` to send no such header. A
///     ``Content-Security-Policy-Report-Only`` here is checked, and given nonces, like *csp*.
/// :param keep: names on OWASP's removal list that may pass, e.g. ``["X-B3-TraceId"]``.
/// :param csp_report_only: directives of a policy that is sent beside, reported on and not enforced; as *csp*.
/// :param permissions: features of the browser that are another way than in the profile's ``Permissions-Policy``:
///     a name to ``"self"``, ``"*"``, an origin, a list of these (``[]``: nobody), or ``None`` to leave it out.
/// :param reports: where browsers report to: a path on this host, or an https URL. Added to every policy that
///     names no endpoint of its own, as ``rampart`` of ``Reporting-Endpoints``.
/// :raises ValueError: with what is wrong and the cure: unknown directive, keyword without quotes,
///     ``;`` in a value, misspelt header, a value that browsers would ignore.
///
/// >>> policy = HeaderPolicy("api", csp={"default-src": "'none'"})
/// >>> policy.csp()
/// "default-src 'none'"
#[pyclass(frozen, module = "flask_rampart._native", name = "HeaderPolicy")]
pub struct PyHeaderPolicy {
    core: HeaderPolicy,
    /// One for each of the core's answers, at the same index.
    ready: Vec<Ready>,
}

/// An answer as Python objects.
struct Ready {
    /// All the tuples: most responses set none of these names, and get the list whole.
    all: Py<PyList>,
    each: Vec<(u64, Py<PyTuple>)>,
    nonced: Vec<(u64, Py<PyString>, Template)>,
}

#[pymethods]
impl PyHeaderPolicy {
    #[new]
    #[pyo3(signature = (profile, *, csp=None, overrides=None, keep=None, csp_report_only=None, permissions=None, reports=None))]
    #[expect(clippy::too_many_arguments, reason = "each is given by its name")]
    fn new(
        py: Python<'_>,
        profile: &str,
        csp: Option<&Bound<'_, PyAny>>,
        overrides: Option<&Bound<'_, PyAny>>,
        keep: Option<&Bound<'_, PyAny>>,
        csp_report_only: Option<&Bound<'_, PyAny>>,
        permissions: Option<&Bound<'_, PyAny>>,
        reports: Option<&str>,
    ) -> PyResult<Self> {
        let options = Options {
            csp: csp.map(directives).transpose()?,
            csp_report_only: csp_report_only.map(directives).transpose()?,
            permissions: permissions.map(features).transpose()?,
            reporting: reports.map(Reporting::new).transpose()?,
            keep: keep.map(|keep| strings(keep, "keep")).transpose()?.unwrap_or_default(),
            overrides: overrides.map(replacements).transpose()?.unwrap_or_default(),
        };
        guarded(|| {
            let core = HeaderPolicy::new(Profile::named(profile)?, &options)?;
            let ready =
                core.answers().iter().map(|answer| Ready::new(py, answer)).collect::<PyResult<_>>()?;
            Ok(Self { core, ready })
        })
    }

    /// The headers to send instead of *headers*: a new list, so a shared constant stays as it is.
    ///
    /// Headers that tell what runs here are left out; those of the policy are added, unless the
    /// application set one of that name, in whatever case.
    ///
    /// :param headers: as given to ``start_response`` (PEP 3333): a list of tuples of two strings.
    /// :param tls: whether the response goes over TLS; HSTS and ``upgrade-insecure-requests`` need it.
    /// :param nonce: what :func:`new_nonce` made for this request, if a template asked for it. Without
    ///     it a fresh one is made where the policy needs one; an answer that others may keep is sent without.
    /// :param not_modified: whether the status is 304. The stored page keeps its policy and its
    ///     nonce: only what pages and data have in common is sent (RFC 9111 §3.2).
    /// :raises TypeError: if *headers* is no list of pairs of strings.
    /// :raises ValueError: if a name is no token, a value has a control character or one beyond
    ///     Latin-1 (RFC 9110 §5.5), or *nonce* is no base64 of at least 128 bits. Answer 500.
    ///
    /// >>> HeaderPolicy("api").apply([("Server", "x"), ("X-Frame-Options", "SAMEORIGIN")], tls=True)[0]
    /// ('X-Frame-Options', 'SAMEORIGIN')
    #[pyo3(signature = (headers, tls, nonce=None, *, not_modified=false))]
    fn apply<'py>(
        &self,
        py: Python<'py>,
        headers: &Bound<'py, PyList>,
        tls: bool,
        nonce: Option<&str>,
        not_modified: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        Ok(self.applied(py, headers, tls, nonce, not_modified)?.0)
    }

    /// The Content-Security-Policy as sent over TLS; of pages where the profile is ``"mixed"``.
    ///
    /// :param nonce: stands in its places; without it a fresh one does.
    /// :returns: ``""`` where none is sent.
    /// :raises ValueError: if *nonce* is no base64 of at least 128 bits.
    #[pyo3(signature = (nonce=None))]
    fn csp(&self, nonce: Option<&str>) -> PyResult<String> {
        guarded(|| {
            let nonce = nonce.map(Nonce::parse).transpose().map_err(nonce_error)?;
            match self.core.csp(true) {
                None => Ok(String::new()),
                Some(template) => match (template.fixed(), nonce) {
                    (Some(fixed), _) => Ok(fixed.to_owned()),
                    (None, Some(nonce)) => Ok(template.render(&nonce)),
                    (None, None) => Ok(template.render(&fresh()?)),
                },
            }
        })
    }

    /// ``"api"``, ``"html"`` or ``"mixed"``.
    #[getter]
    fn profile(&self) -> &'static str {
        self.core.profile().name()
    }

    /// Whether any response needs a nonce.
    #[getter]
    fn uses_nonce(&self) -> bool {
        self.core.uses_nonce()
    }

    fn __repr__(&self) -> String {
        format!("HeaderPolicy({:?})", self.profile())
    }
}

/// Headers of the middleware's own that an application set itself.
#[derive(Debug, Clone, Default)]
pub(super) struct Own {
    pub(super) request_id: bool,
    /// `RateLimit` or `RateLimit-Policy`.
    pub(super) rate_limit: bool,
    /// One that begins with `X-RateLimit-`.
    pub(super) legacy_limit: bool,
    /// Who may keep what was made of them.
    pub(super) sharing: Sharing,
    /// Whether it is the policy, and not the response itself, that lets somebody keep it.
    pub(super) kept_by_policy: bool,
    /// The nonce that was made for it, where none was given.
    pub(super) nonce: Option<String>,
    /// Whether a cookie is set.
    pub(super) cookie: bool,
}

impl Own {
    #[inline]
    fn note(&mut self, name: &str) {
        match name.len() {
            10 => self.cookie |= super::cookies::is_cookie(name),
            12 => self.request_id |= name.eq_ignore_ascii_case("X-Request-Id"),
            9 => self.rate_limit |= name.eq_ignore_ascii_case("RateLimit"),
            16 => self.rate_limit |= name.eq_ignore_ascii_case("RateLimit-Policy"),
            17 | 21 => {
                const LEGACY: &str = "X-RateLimit-";
                let start = name.get(..LEGACY.len());
                self.legacy_limit |= start.is_some_and(|start| start.eq_ignore_ascii_case(LEGACY));
            }
            _ => {}
        }
    }
}

impl PyHeaderPolicy {
    /// As `apply`, and which headers of the middleware's own were among *headers*.
    pub(super) fn applied<'py>(
        &self,
        py: Python<'py>,
        headers: &Bound<'py, PyList>,
        tls: bool,
        nonce: Option<&str>,
        not_modified: bool,
    ) -> PyResult<(Bound<'py, PyList>, Own)> {
        guarded(|| {
            // The copy comes first: what is judged is what is sent, whatever happens to *headers*.
            let sent = headers.get_slice(0, headers.len());
            let mut seen = Seen::default();
            let mut own = Own::default();
            let mut index = 0;
            let mut end = sent.len();
            while index < end {
                let entry = sent.get_item(index)?;
                match self.examine(&entry, &mut seen, &mut own)? {
                    (Verdict::Drop, _) => {
                        sent.del_item(index)?;
                        end -= 1;
                        continue;
                    }
                    (Verdict::Pass, Some(plain)) => sent.set_item(index, plain)?,
                    (Verdict::Pass, None) => {}
                }
                index += 1;
            }
            let nonce = nonce.map(Nonce::parse).transpose().map_err(nonce_error)?;
            let chosen = self.core.chosen(&seen, tls, not_modified);
            own.nonce = self.add(py, &sent, end, &seen, chosen, nonce)?;
            own.sharing = self.core.sharing(&seen, chosen);
            own.kept_by_policy = self.core.is_kept_by_policy(&seen, chosen);
            Ok((sent, own))
        })
    }

    /// Takes *sent* from shared caches: says anew who may keep it.
    pub(super) fn close(&self, sent: &Bound<'_, PyList>, reason: Reason) -> PyResult<()> {
        let mut given: Vec<String> = Vec::new();
        let mut index = 0;
        while index < sent.len() {
            let (name, value): (String, String) = sent.get_item(index)?.extract()?;
            if self.core.is_of_caching(&name) {
                if name.eq_ignore_ascii_case("Cache-Control") {
                    given.push(value);
                }
                sent.del_item(index)?;
            } else {
                index += 1;
            }
        }
        let value = closed(&given.iter().map(String::as_str).collect::<Vec<_>>(), reason);
        sent.append(("Cache-Control", value))
    }

    /// The verdict on one entry, and the tuple to send instead where the entry's own could change.
    fn examine<'py>(
        &self,
        entry: &Bound<'py, PyAny>,
        seen: &mut Seen,
        own: &mut Own,
    ) -> PyResult<(Verdict, Option<Bound<'py, PyTuple>>)> {
        let malformed =
            || PyTypeError::new_err("response headers are a list of tuples of two strings (PEP 3333)");
        let pair = entry.cast::<PyTuple>().map_err(|_| malformed())?;
        if pair.len() != 2 {
            return Err(malformed());
        }
        let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
        let name = name.cast::<PyString>().map_err(|_| malformed())?;
        let value = value.cast::<PyString>().map_err(|_| malformed())?;
        // A lone surrogate has no UTF-8 and no Latin-1 either.
        let name_text = name.to_str().map_err(|_| refused(Refusal::Name))?;
        let value_text = value.to_str().map_err(|_| refused(Refusal::Value(name_text.to_owned())))?;
        let verdict = self.core.examine(name_text, value_text, seen).map_err(refused)?;
        own.note(name_text);
        let exact = pair.is_exact_instance_of::<PyTuple>()
            && name.is_exact_instance_of::<PyString>()
            && value.is_exact_instance_of::<PyString>();
        if exact || verdict == Verdict::Drop {
            return Ok((verdict, None));
        }
        // A subclass may say something else when a server formats it (`__str__`, `__iter__`): what was
        // judged is what is sent.
        let py = entry.py();
        Ok((verdict, Some(PyTuple::new(py, [PyString::new(py, name_text), PyString::new(py, value_text)])?)))
    }

    /// Returns the nonce that was made, where none was given and one was needed.
    fn add(
        &self,
        py: Python<'_>,
        sent: &Bound<'_, PyList>,
        end: usize,
        seen: &Seen,
        chosen: usize,
        mut nonce: Option<Nonce<'_>>,
    ) -> PyResult<Option<String>> {
        let was_given = nonce.is_some();
        let Some(ready) = self.ready.get(chosen) else {
            return Err(PyRuntimeError::new_err("internal error in the native core; the request is refused"));
        };
        if seen.present == 0 {
            sent.set_slice(end, end, ready.all.bind(py))?;
        } else {
            for (_, line) in ready.each.iter().filter(|(bit, _)| seen.present & bit == 0) {
                sent.append(line.bind(py))?;
            }
        }
        // Nobody asked for one, and others get this very answer: they would all know it.
        let bare = nonce.is_none() && self.core.sharing(seen, chosen).is_too_wide(Reason::Once);
        for (_, name, template) in ready.nonced.iter().filter(|(bit, ..)| seen.present & bit == 0) {
            if bare {
                sent.append((name.bind(py), template.bare()))?;
                continue;
            }
            let nonce = match &mut nonce {
                Some(nonce) => nonce,
                none => none.insert(fresh()?),
            };
            let value = PyString::new(py, &template.render(nonce));
            sent.append(PyTuple::new(py, [name.bind(py), &value])?)?;
        }
        Ok(if was_given { None } else { nonce.map(|nonce| nonce.as_str().to_owned()) })
    }
}

impl Ready {
    fn new(py: Python<'_>, answer: &Answer) -> PyResult<Self> {
        let mut each = Vec::with_capacity(answer.fixed.len());
        for Line { bit, name, value } in &answer.fixed {
            let pair = PyTuple::new(py, [PyString::intern(py, name), PyString::new(py, value)])?;
            each.push((*bit, pair.unbind()));
        }
        let nonced = answer.nonced.iter();
        Ok(Self {
            all: PyList::new(py, each.iter().map(|(_, pair)| pair.bind(py)))?.unbind(),
            nonced: nonced
                .map(|l| (l.bit, PyString::intern(py, &l.name).unbind(), l.value.clone()))
                .collect(),
            each,
        })
    }
}

/// A nonce for one response: 128 bits from the system's generator, as 22 characters of base64.
///
/// :raises RuntimeError: if the system has no randomness to give.
///
/// >>> len(new_nonce())
/// 22
#[pyfunction]
pub(super) fn new_nonce() -> PyResult<String> {
    guarded(|| Ok(fresh()?.as_str().to_owned()))
}

fn fresh() -> PyResult<Nonce<'static>> {
    Nonce::fresh(&SystemRandom::new()).map_err(nonce_error)
}

fn refused(refusal: Refusal) -> PyErr {
    pyo3::exceptions::PyValueError::new_err(refusal.to_string())
}

fn nonce_error(error: NonceError) -> PyErr {
    match error {
        NonceError::NoRandomness => PyRuntimeError::new_err(error.to_string()),
        _ => pyo3::exceptions::PyValueError::new_err(error.to_string()),
    }
}
